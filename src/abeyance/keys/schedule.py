"""Which key signs and which are published, by the instants from which they sign.

Keys stand in lines: one signs access tokens (and what else has no line of its own), and there
is one for each algorithm of ID tokens that it does not serve. In a line the youngest key whose
instant has come signs. A key is published from when it lies
in the folder, so before its first use, until no token that it signed can be valid
any more: its successor has signed for longer than the longest life of an access
token or ID token (OAUTH-META-07, OAUTH-OIDC-16). What follows from a folder is judged here; the
folder is read in `folder`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from abeyance.proofs.jwk import KeyPair, KeySet

MAIN: Final = ""  # the line that signs access tokens

# The longest life of an access token or an ID token, and what clocks may differ.
LINGERS: Final = timedelta(hours=1, minutes=5)


class KeyState(StrEnum):
    """What a key is for at one instant."""

    NEXT = "next"  # published, signs later
    SIGNING = "signing"
    RETIRING = "retiring"  # signs no more; tokens of it may be valid
    RETIRED = "retired"  # neither published nor used


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A signing key and when it begins to sign. `digest` is SHA-256 of its file.

    `line`: `MAIN`, or the algorithm of the ID tokens that it signs.
    """

    at: datetime
    pair: KeyPair
    path: Path
    digest: bytes = field(repr=False)
    line: str = MAIN

    @property
    def kid(self) -> str:
        return self.pair.kid


@dataclass(frozen=True, slots=True)
class Standing:
    """How the keys stand from `since` until before `until`; `None` is without end.

    `for_id_tokens`: which key signs them, by algorithm. `recognised`: all keys that are there,
    published or not, by which what was signed long ago is known as ours.
    """

    signing: Scheduled
    for_id_tokens: Mapping[str, KeyPair]
    recognised: KeySet
    published: KeySet
    since: datetime | None
    until: datetime | None

    def holds_at(self, now: datetime) -> bool:
        """Is this still, or again, how the keys stand?"""
        return (self.since is None or self.since <= now) and (
            self.until is None or now < self.until
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """At least one key in the main line; in each line the oldest first, each once."""

    keys: tuple[Scheduled, ...]

    def standing(self, now: datetime) -> Standing:
        """Judge by the clock."""
        signing = self.signing_in(MAIN, now)
        lines = {each.line for each in self.keys if each.line != MAIN}
        identity = {line: self.signing_in(line, now).pair for line in lines}
        shown = [each for each in self.keys if self.state(each, now) is not KeyState.RETIRED]
        changes = [each.at for each in self.keys]
        changes += [at for each in self.keys if (at := self.retires_at(each)) is not None]
        return Standing(
            signing=signing,
            for_id_tokens={signing.pair.alg: signing.pair, **identity},
            recognised=KeySet(tuple(each.pair.public for each in reversed(self.keys))),
            # The youngest first, since some clients only try one.
            published=KeySet(tuple(each.pair.public for each in reversed(shown))),
            since=max((at for at in changes if at <= now), default=None),
            until=min((at for at in changes if at > now), default=None),
        )

    def state(self, key: Scheduled, now: datetime) -> KeyState:
        """What one of these keys is for now."""
        line = self._line(key.line)
        place, signs = line.index(key), line.index(self.signing_in(key.line, now))
        if place > signs:
            return KeyState.NEXT
        if place == signs:
            return KeyState.SIGNING
        retires_at = self.retires_at(key)
        return KeyState.RETIRED if retires_at and now >= retires_at else KeyState.RETIRING

    def retires_at(self, key: Scheduled) -> datetime | None:
        """When it is published no more; `None` while nothing succeeds it."""
        line = self._line(key.line)
        later = line[line.index(key) + 1 :]
        return later[0].at + LINGERS if later else None

    def without(self, key: Scheduled) -> "Schedule | None":
        """What is left when it goes, or `None` if nothing is left in its line."""
        left = tuple(each for each in self.keys if each != key)
        return Schedule(left) if any(each.line == key.line for each in left) else None

    def signing_in(self, line: str, now: datetime) -> Scheduled:
        """The key of a line that signs now."""
        # Before the first instant there is still somebody who has to sign.
        keys = self._line(line)
        return keys[max((i for i, each in enumerate(keys) if each.at <= now), default=0)]

    def _line(self, line: str) -> tuple[Scheduled, ...]:
        return tuple(each for each in self.keys if each.line == line)
