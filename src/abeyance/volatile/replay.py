"""Replay memory: which proofs and assertions have been used (OAUTH-DPOP-12, OAUTH-CAUTH-17).

An entry is kept until its proof could not be accepted any more. After a restart
the memory is empty: a proof or assertion seen before may then be used once more
within what is left of its life (`docs/operations.md` states the bound).
"""

from datetime import datetime
from typing import Final, Protocol

from abeyance.proofs.replay import ReplayMark

CAPACITY: Final = 1_000_000
_SLOT: Final = 10  # seconds


class ReplayMemoryFull(Exception):
    """No room for another entry: nothing is forgotten early, the request waits (503)."""


class ReplayMemory(Protocol):
    async def use(self, mark: ReplayMark, *, now: datetime) -> bool:
        """Take the mark, atomically; `False` if it was taken before.

        Raises `ReplayMemoryFull`.
        """
        ...


class LocalReplayMemory:
    """One process's memory: when each digest may be forgotten, swept slot by slot."""

    __slots__ = ("_capacity", "_slots", "_swept", "_until")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._until: dict[bytes, datetime] = {}
        self._slots: dict[int, list[bytes]] = {}
        self._swept = 0

    async def use(self, mark: ReplayMark, *, now: datetime) -> bool:
        self._sweep(int(now.timestamp()) // _SLOT)
        # Looked up by digest alone: the same `jti` with another `iat` is a replay too.
        until = self._until.get(mark.digest)
        if until is not None and until >= now:
            return False
        if len(self._until) >= self._capacity:
            raise ReplayMemoryFull
        self._until[mark.digest] = mark.until
        self._slots.setdefault(int(mark.until.timestamp()) // _SLOT, []).append(mark.digest)
        return True

    def __len__(self) -> int:
        return len(self._until)

    def forget(self, mark: ReplayMark) -> None:
        """It was not used after all."""
        self._until.pop(mark.digest, None)

    def _sweep(self, present: int) -> None:
        if present <= self._swept:
            return
        self._swept = present
        for slot in [slot for slot in self._slots if slot < present]:
            for digest in self._slots.pop(slot):
                # A digest taken again has a later slot of its own, or stands here twice.
                until = self._until.get(digest)
                if until is not None and int(until.timestamp()) // _SLOT == slot:
                    del self._until[digest]


class SharedReplayMemory:
    """The memory of several processes: this one's own in front of what they have together.

    What this process has seen is refused without asking; anything else is taken in both.
    """

    __slots__ = ("_ours", "_theirs")

    def __init__(self, ours: LocalReplayMemory, theirs: ReplayMemory) -> None:
        self._ours = ours
        self._theirs = theirs

    async def use(self, mark: ReplayMark, *, now: datetime) -> bool:
        if not await self._ours.use(mark, now=now):
            return False
        try:
            return await self._theirs.use(mark, now=now)
        except BaseException:
            self._ours.forget(mark)
            raise
