"""`abeyance keys list`, `rotate` and `retire`: which key signs, and changing it; roots as well.

They work on the data folder alone. A running server notices by itself, so none is
asked and none has to run (OAUTH-OIDC-16).
"""

import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from abeyance.cli import common
from abeyance.cli.app import NO, OK
from abeyance.cli.calls import BadCall
from abeyance.keys.folder import read_signing
from abeyance.keys.making import Alg
from abeyance.keys.private_files import check_private_folder
from abeyance.keys.ring import LOOK_EVERY
from abeyance.keys.roots import Root, read_roots
from abeyance.keys.rotating import (
    AT_LEAST_AHEAD,
    CACHED,
    KeysStay,
    UnknownKey,
    drop_root,
    find_root,
    lay_down,
    succeed_root,
    take_out,
)
from abeyance.keys.schedule import KeyState, Schedule, Scheduled
from abeyance.oauth import fapi
from abeyance.server.clock import SystemClock
from abeyance.server.settings_fapi import INSTEAD, SWITCH
from abeyance.server.settings_sources import did_you_mean
from abeyance.server.settings_values import parse_duration, render_duration
from abeyance.wire.strict_json import JsonObject

_AHEAD: Final = "1h"
_FARTHEST: Final = timedelta(days=366)

Now = Annotated[Callable[[], datetime], Parameter(parse=False)]
_now = SystemClock().now


def list_keys(
    *,
    config: Path | None = None,
    data: str | None = None,
    output: Annotated[Literal["text", "json"], Parameter(name=["--output", "-o"])] = "text",
    now: Now = _now,
) -> int:
    """List the signing keys: kid, algorithm, from when each signs, and what it is for now.

    Below them the roots, if one follows another: all other keys are derived from them.

    next: published, and signs later. signing. retiring: signs no more, and is
    published for as long as a token of it may be valid. retired: neither; its file
    may go.

    Parameters
    ----------
    config
        The configuration file (TOML); else the one that ABEYANCE_CONFIG names.
    data
        The folder for keys and database, instead of the configured one.
    output
        text or json.
    """
    folder, at = _folder(config, data), now()
    keys = _read(folder)
    rows = [_describe(Schedule(keys), key, at) for key in keys]
    rows += _describe_roots(folder, at)
    if output == "json":
        print(json.dumps(rows, indent=2))
    elif rows:
        print("\n".join(_table(rows)))
    else:
        _tell(f"there are no keys in {folder} yet; the server makes them when it starts")
    return OK


def rotate(
    *,
    in_: Annotated[str | None, Parameter(name="--in")] = None,
    at_once: Annotated[bool, Parameter(name="--now", negative=())] = False,
    alg: Alg = "ES256",
    id_tokens: Annotated[bool, Parameter(negative=())] = False,
    root: Annotated[bool, Parameter(negative=())] = False,
    config: Path | None = None,
    data: str | None = None,
    now: Now = _now,
) -> int:
    """Lay down the next signing key. It is published now, and signs when its time has come.

    Tokens that the key before it has signed stay valid until they expire. Exit
    code 1 tells that one waits already.

    Parameters
    ----------
    in_
        When it begins to sign: 25m or more from now, 1h if nothing is said.
    at_once
        It signs at once, though some do not know it yet: for an emergency.
    alg
        ES256, EdDSA, RS256 or PS256.
    id_tokens
        It is for the ID tokens of this algorithm, beside the key that signs access tokens.
    root
        Not a signing key, but the root of those for nonces, logs, links and sealing.
    config
        The configuration file (TOML); else the one that ABEYANCE_CONFIG names.
    data
        The folder for keys and database, instead of the configured one.
    """
    ahead = _ahead(in_, at_once=at_once)
    settings, at = common.load(config, {"data": data}), now()
    folder = settings.data / "keys"
    if root:
        return _rotate_root(folder, at + ahead, at, alone=alg == "ES256" and not id_tokens)
    if settings.fapi and alg not in fapi.ALGORITHMS:
        raise BadCall("--alg", f"contradicts {SWITCH}", INSTEAD)
    try:
        key = lay_down(folder, at=at + ahead, alg=alg, now=at, id_tokens=id_tokens)
    except KeysStay as stay:
        return _no(stay)
    print(f"kid         {key.kid}")
    print(f"alg         {key.pair.alg}")
    print(f"signs from  {_instant(key.at)}")
    if at_once:
        _tell(f"warning: {_UNKNOWN}")
    _tell(_NOTICED)
    return OK


def retire(
    kid: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    config: Path | None = None,
    data: str | None = None,
    now: Now = _now,
) -> int:
    """Take a key out of use and out of the key set at once, because others may have it.

    A key that was only followed by another retires by itself. Tokens that this
    one has signed are refused from now on. Exit code 1 tells that it is the only
    key in use, and stays.

    Parameters
    ----------
    kid
        Which key; `abeyance keys list` shows them.
    config
        The configuration file (TOML); else the one that ABEYANCE_CONFIG names.
    data
        The folder for keys and database, instead of the configured one.
    """
    folder, at = _folder(config, data), now()
    if (root := find_root(folder, kid)) is not None:
        return _retire_root(folder, root, at)
    try:
        out = take_out(folder, kid, now=at)
    except UnknownKey as unknown:
        raise BadCall(
            "KID",
            "no signing key has it",
            did_you_mean(kid, unknown.known, "See: abeyance keys list."),
        ) from None
    except KeysStay as stay:
        return _no(stay)
    print(f"retired  {out.key.kid} ({out.path.name})")
    print(f"signs    {out.signing.kid}")
    if out.state is KeyState.SIGNING and out.signing_early:
        _tell(f"warning: {_UNKNOWN}")
    _tell(f"{_NOTICED} Who keeps our key set may accept tokens of it for {_CACHED} more.")
    return OK


def _rotate_root(folder: Path, at: datetime, now: datetime, *, alone: bool) -> int:
    if not alone:
        raise BadCall("--root", "has neither --alg nor --id-tokens", "Leave them out.")
    try:
        root = succeed_root(folder, at=at, now=now)
    except KeysStay as stay:
        return _no(stay)
    print(f"root       {root.id}")
    print(f"used from  {_instant(root.at)}")
    _tell(
        f"{_NOTICED} It seals anew what the old one has sealed, and takes that out when nothing"
        " needs it any more. Bring the new file to every host before its time."
    )
    return OK


def _retire_root(folder: Path, root: Root, now: datetime) -> int:
    try:
        path = drop_root(folder, root, now=now)
    except KeysStay as stay:
        return _no(stay)
    print(f"retired  {root.id} ({path.name})")
    _tell(f"{_NOTICED} What only it has sealed is lost: some callbacks are not sent.")
    return OK


def _describe_roots(folder: Path, at: datetime) -> list[JsonObject]:
    if not folder.exists():
        return []
    roots = read_roots(folder)
    if len(roots.all) == 1:
        return []
    used = roots.used_at(at)
    return [
        {
            "kid": root.id,
            "alg": "HKDF",
            "tokens": "none",
            "signs_from": _instant(root.at) if root.at.year > 1 else "always",
            "state": _state(root, used),
            "until": None,
            "file": root.path.name,
        }
        for root in roots.all
    ]


def _state(root: Root, used: Root) -> str:
    if root == used:
        return "root in use"
    return "next root" if root.at > used.at else "root to retire"


_CACHED: Final = render_duration(CACHED)
_NOTICED: Final = f"A running server notices within {LOOK_EVERY:g} seconds."
_UNKNOWN: Final = (
    f"who keeps our key set may refuse new tokens for up to {_CACHED}, until they fetch it again"
)


def _folder(config: Path | None, data: str | None) -> Path:
    return common.load(config, {"data": data}).data / "keys"


def _read(folder: Path) -> tuple[Scheduled, ...]:
    if not folder.exists():
        return ()
    check_private_folder(folder)
    return read_signing(folder)


def _ahead(text: str | None, *, at_once: bool) -> timedelta:
    if at_once:
        if text is not None:
            raise BadCall("--now", "says otherwise than --in", "Say one of them.")
        return timedelta()
    ahead = parse_duration("--in", text or _AHEAD)
    least = render_duration(AT_LEAST_AHEAD)
    if ahead < AT_LEAST_AHEAD:
        raise BadCall(
            "--in",
            f"is shorter than {least}, and who keeps our key set would not know the key in time",
            f"Say {least} or more, or --now in an emergency.",
        )
    if ahead > _FARTHEST:
        raise BadCall("--in", "is too far ahead", f"Say {render_duration(_FARTHEST)} or less.")
    return ahead


def _describe(schedule: Schedule, key: Scheduled, at: datetime) -> JsonObject:
    state, retires_at = schedule.state(key, at), schedule.retires_at(key)
    return {
        "kid": key.kid,
        "alg": key.pair.alg,
        "tokens": "id" if key.line else "access",
        "signs_from": _instant(key.at),
        "state": state.value,
        "until": _instant(retires_at) if retires_at and state is KeyState.RETIRING else None,
        "file": key.path.name,
    }


def _table(rows: Sequence[JsonObject]) -> list[str]:
    lines: list[tuple[str, ...]] = [("kid", "alg", "tokens", "signs from", "state")]
    for row in rows:
        until = f" until {row['until']}" if row["until"] else ""
        cells = [str(row[name]) for name in ("kid", "alg", "tokens", "signs_from")]
        lines.append((*cells, f"{row['state']}{until}"))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _tell(text: str) -> None:
    print(f"abeyance: {text}", file=sys.stderr)


def _no(stay: KeysStay) -> int:
    _tell(str(stay))
    return NO
