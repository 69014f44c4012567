"""Which proofs and assertions have been used, for all processes together (OAUTH-DPOP-12).

An unlogged table: a crash of the database forgets it, and a proof that was used within its last
minutes may then be used once more. Marks that are taken in one turn of the loop leave together.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from abeyance.proofs.replay import ReplayMark
from abeyance.store.postgres.engine import Engine
from abeyance.store.postgres.gather import Gathered
from abeyance.store.sql.rows import micros

# What has run out is no obstacle, and need not be deleted first.
TAKE: Final = """
    INSERT INTO used_proof (digest, until)
    SELECT * FROM unnest($1::bytea[], $2::bigint[])
    ON CONFLICT (digest) DO UPDATE SET until = excluded.until WHERE used_proof.until < $3::bigint
    RETURNING digest
    """
FORGET: Final = """
    DELETE FROM used_proof
     WHERE digest IN (SELECT digest FROM used_proof WHERE until < $1::bigint LIMIT 20000)
    """
_EVERY: Final = timedelta(seconds=10)


class Used:
    """Each digest is asked for once at a time: the caller knows its own process's marks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._taken: Gathered[ReplayMark, bool] = Gathered(self._take)
        self._now = 0
        self._forgets: set[asyncio.Task[object]] = set()
        self._next = 0

    async def use(self, mark: ReplayMark, *, now: datetime) -> bool:
        """Take the mark; `False` if it was taken before. Raises `StoreAway`: it may be taken."""
        self._now = micros(now)
        return await self._taken.find(mark) is True

    async def close(self) -> None:
        """Wait for what is under way."""
        await self._taken.close()
        await asyncio.gather(*self._forgets, return_exceptions=True)

    async def _take(self, marks: Sequence[ReplayMark]) -> Mapping[ReplayMark, bool]:
        now = self._now
        untils = {mark.digest: micros(mark.until) for mark in marks}
        taken = await self._engine.put(TAKE, list(untils), list(untils.values()), now)
        if now >= self._next:
            self._next = now + _EVERY // timedelta(microseconds=1)
            task = asyncio.get_running_loop().create_task(self._engine.put(FORGET, now))
            self._forgets.add(task)
            task.add_done_callback(self._forgotten)
        won = {digest for (digest,) in taken}
        return {mark: mark.digest in won for mark in marks}

    def _forgotten(self, task: "asyncio.Task[object]") -> None:
        """Another time, if the database is away."""
        self._forgets.discard(task)
        if not task.cancelled():
            task.exception()
