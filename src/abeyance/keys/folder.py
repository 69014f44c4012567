"""The folder of keys: what lies in it and what is derived from it.

    root.key, root-20260304T120000Z.key  32 random bytes; see `roots`
    signing-20260304T120000Z.pem    a signing key, which signs from that instant on
    id-token-RS256-20260304T120000Z.pem  the same, for the ID tokens of one algorithm
    retired-20260304T120000Z-*.pem  one that was taken out of use; never read

Each purpose has its own key (OAUTH-SEC-07). Which signing key is for what, and when,
is `schedule`'s; laying down and taking out of use, `rotating`'s.
"""

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from abeyance.keys.making import ALGORITHMS, new_private_pem, parse_signing_pem
from abeyance.keys.private_files import (
    UnsafeKeys,
    make_private_folder,
    read_private,
    write_private,
)
from abeyance.keys.roots import Roots, load_or_make_roots
from abeyance.keys.schedule import MAIN, KeyState, Schedule, Scheduled
from abeyance.proofs.jwk import BadKey

ROOT: Final = "root.key"
ROOT_BYTES: Final = 32
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_SIGNING = re.compile(
    r"(?:signing|id-token-(ES256|EdDSA|RS256|PS256))-([0-9]{8}T[0-9]{6}Z)\.pem", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Keys:
    """All that lies in the folder."""

    schedule: Schedule
    roots: Roots


def load_or_create(folder: Path, *, now: datetime, id_tokens: Iterable[str] = ()) -> Keys:
    """Load the keys, making what is missing. `id_tokens`: the algorithms to sign them with.

    Raises `UnsafeKeys` for what others could read, for links, and for what is
    no key.
    """
    make_private_folder(folder)
    roots = load_or_make_roots(folder)
    if not _lines(read_signing(folder)) & {MAIN}:
        write_private(signing_path(folder, now), new_private_pem())
    schedule = read_schedule(folder)
    there = {*_lines(schedule.keys), schedule.standing(now).signing.pair.alg}
    wanted = set(id_tokens) - there
    missing = [alg for alg in ALGORITHMS if alg in wanted]
    for alg in missing:
        write_private(signing_path(folder, now, alg), new_private_pem(alg))
    return Keys(read_schedule(folder, schedule.keys) if missing else schedule, roots)


def read_schedule(folder: Path, known: Iterable[Scheduled] = ()) -> Schedule:
    """Read the signing keys; raises `UnsafeKeys`, also if there is none, and `OSError`.

    `known` are keys that were read before, which need not be parsed again.
    """
    keys = read_signing(folder, known)
    if MAIN not in _lines(keys):
        raise UnsafeKeys(folder, "has no signing key", "Make one: abeyance keys rotate --now.")
    return Schedule(keys)


def check_algorithms(schedule: Schedule, allowed: Collection[str] | None, now: datetime) -> None:
    """Raise `UnsafeKeys` for a key that signs access tokens, now or later, by none of these.

    One that signs no more may stay: what it has signed ends by itself (OAUTH-FAPI-14).
    """
    if allowed is None:
        return
    for key in schedule.keys:
        if key.line != MAIN or key.pair.alg in allowed:
            continue
        match schedule.state(key, now):
            case KeyState.SIGNING:
                fix = "Lay down another one: abeyance keys rotate --now --alg ES256."
            case KeyState.NEXT:
                fix = f"Take it out: abeyance keys retire {key.kid}."
            case _:
                continue
        raise UnsafeKeys(
            key.path, f"signs with {key.pair.alg}, which the profile in the settings forbids", fix
        )


def read_signing(folder: Path, known: Iterable[Scheduled] = ()) -> tuple[Scheduled, ...]:
    """As `read_schedule`, but there may be none."""
    parsed = {each.digest: each.pair for each in known}
    found: dict[str, Scheduled] = {}
    for path in sorted(folder.iterdir()):
        if not (name := _SIGNING.fullmatch(path.name)):
            continue
        try:
            at = datetime.strptime(name[2], _STAMP).replace(tzinfo=UTC)
        except ValueError:
            raise UnsafeKeys(path, "has no instant in its name", "Rename it.") from None
        try:
            content = read_private(path)
            digest = hashlib.sha256(content).digest()
            pair = parsed.get(digest) or parse_signing_pem(content)
        except FileNotFoundError:
            continue  # taken out of use at this moment
        except BadKey as error:
            raise UnsafeKeys(path, f"is no signing key: {error}", "Move it away.") from None
        line = name[1] or MAIN
        if line not in (MAIN, pair.alg):
            raise UnsafeKeys(path, f"holds a key for {pair.alg}", "Rename it or move it away.")
        found.setdefault(pair.kid, Scheduled(at, pair, path, digest, line))
    return tuple(found.values())


def signing_path(folder: Path, at: datetime, line: str = MAIN) -> Path:
    """How the name of a signing key's file tells what it signs, and from when on."""
    kind = "signing" if line == MAIN else f"id-token-{line}"
    return folder / f"{kind}-{render_stamp(at)}.pem"


def _lines(keys: Iterable[Scheduled]) -> set[str]:
    return {each.line for each in keys}


def render_stamp(at: datetime) -> str:
    """An instant, to the second, as it stands in the names of files."""
    return at.astimezone(UTC).strftime(_STAMP)
