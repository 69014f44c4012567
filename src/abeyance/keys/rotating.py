"""Laying down the next signing key, and taking one out of use.

Both only move files: a running server notices within seconds (`ring`). Who keeps our
key set may keep it for `CACHED`, so a key lies there five times as long before it
signs (OAUTH-META-08), or else some refuse its first tokens.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from abeyance.keys.folder import read_schedule, read_signing, render_stamp, signing_path
from abeyance.keys.making import Alg, new_private_pem, parse_signing_pem
from abeyance.keys.private_files import (
    UnsafeKeys,
    check_private_folder,
    move_private,
    write_private,
)
from abeyance.keys.roots import ROOT, Root, lay_down_root, read_roots, take_out_root
from abeyance.keys.schedule import MAIN, KeyState, Schedule, Scheduled

CACHED: Final = timedelta(minutes=5)
AT_LEAST_AHEAD: Final = 5 * CACHED


class UnknownKey(Exception):
    """No signing key has this `kid`."""

    def __init__(self, known: tuple[str, ...]) -> None:
        super().__init__(known)
        self.known = known


class KeysStay(Exception):
    """Nothing was changed: why, and what would have to be done first."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem, fix)
        self.fix = fix
        self._text = f"{problem}. {fix}"

    def __str__(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True)
class TakenOut:
    """What was taken out of use, what it was for, and what signs now."""

    key: Scheduled
    state: KeyState
    path: Path
    signing: Scheduled
    signing_early: bool  # before it was meant to, so that some may not know it yet


def lay_down(
    folder: Path, *, at: datetime, alg: Alg, now: datetime, id_tokens: bool = False
) -> Scheduled:
    """Make the key that signs from `at` on, or at once if its line has no other.

    `id_tokens`: in the line that signs ID tokens of this algorithm.
    Raises `KeysStay` if one waits already and this one would come later than now;
    `UnsafeKeys` for a folder in which a server would not find it.
    """
    check_private_folder(folder)
    all_there, line = read_signing(folder), alg if id_tokens else MAIN
    there = [each for each in all_there if each.line == line]
    if not there:
        at = now
    elif at > now:
        at = _whole_second_after(at)
        if there[-1].at > now:
            raise KeysStay(
                f"{there[-1].kid} waits already, to sign from {there[-1].at:%Y-%m-%dT%H:%M:%SZ} on",
                "Wait for it, or take it out: abeyance keys retire KID.",
            )
    path = signing_path(folder, at, line)
    pem = new_private_pem(alg)
    if not write_private(path, pem):
        raise UnsafeKeys(path, "is there already", "Try again in a second.")
    kid = parse_signing_pem(pem).kid
    return next(each for each in read_schedule(folder, all_there).keys if each.kid == kid)


def succeed_root(folder: Path, *, at: datetime, now: datetime) -> Root:
    """Make the root that is used from `at` on. Raises `KeysStay`, `UnsafeKeys`."""
    check_private_folder(folder)
    if not (folder / ROOT).exists() and not list(folder.glob("root-*.key")):
        at = now
    else:
        roots = read_roots(folder)
        if roots.changes_at(now) is not None:
            waits = roots.all[-1]
            raise KeysStay(
                f"{waits.id} waits already, to be used from {waits.at:%Y-%m-%dT%H:%M:%SZ} on",
                "Wait for it, or take it out: abeyance keys retire KID.",
            )
    return lay_down_root(folder, at=_whole_second_after(at))


def find_root(folder: Path, name: str) -> Root | None:
    """Raises `UnsafeKeys`."""
    check_private_folder(folder)
    return next((each for each in read_roots(folder).all if each.id == name), None)


def drop_root(folder: Path, root: Root, *, now: datetime) -> Path:
    """Take a root out of use at once, for one that others may have: what only it has sealed is
    lost, and so are its addresses of interactions. Raises `KeysStay` for the one that is used.
    """
    if read_roots(folder).used_at(now).id == root.id:
        raise KeysStay("It is the root in use", "First: abeyance keys rotate --root --now.")
    return take_out_root(folder, root)


def take_out(folder: Path, kid: str, *, now: datetime) -> TakenOut:
    """Take a key out of use and out of the key set at once, for one that others may have.

    Raises `UnknownKey`, and `KeysStay` for the only key in use, without which
    nothing could be signed, or only by a key that nobody has in their key set.
    """
    check_private_folder(folder)
    schedule = read_schedule(folder)
    key = next((each for each in schedule.keys if each.kid == kid), None)
    if key is None:
        raise UnknownKey(tuple(each.kid for each in schedule.keys))
    state = schedule.state(key, now)
    successor = _successor(schedule, key, now)
    path = folder / f"retired-{render_stamp(key.at)}-{kid[:8]}.pem"
    move_private(key.path, path)
    return TakenOut(
        key=key,
        state=state,
        path=path,
        signing=successor,
        signing_early=schedule.state(successor, now) is KeyState.NEXT,
    )


def _successor(schedule: Schedule, key: Scheduled, now: datetime) -> Scheduled:
    """What signs when this key has gone."""
    left = schedule.without(key)
    signing = left.signing_in(key.line, now) if left else None
    if signing is None or schedule.state(signing, now) is KeyState.RETIRED:
        raise KeysStay(
            "It is the only key in use",
            "Lay down another one first: abeyance keys rotate --now.",
        )
    return signing


def _whole_second_after(at: datetime) -> datetime:
    return at if not at.microsecond else at.replace(microsecond=0) + timedelta(seconds=1)
