"""Ends transactions whose process says nothing, where the server's own bounds do not reach.

`idle_in_transaction_session_timeout` counts from the end of a statement. A process that is
stopped after it had a statement prepared and before it runs it is not idle for the server,
which waits for the rest of the statement, cancels nothing meanwhile (not by `statement_timeout`
either) and keeps every lock: its home could not be written to until the process goes on.
`transaction_timeout` would end it, from PostgreSQL 17 on (decision 0023).

Source: PostgreSQL 18, 19.11.1 (timeouts), 27.2.3 (`pg_stat_activity`), 54.2.3 (extended query).
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog

from abeyance.store.ports import StoreAway
from abeyance.store.postgres.engine import Engine

# Only sessions of `Engine`: others that share the user may copy for as long as they like. Found
# before any is ended, whatever the planner would rather do first.
END_SILENT: Final = """
    WITH silent AS MATERIALIZED (
        SELECT pid
          FROM pg_stat_activity
         WHERE datname = current_database() AND usename = current_user
           AND application_name ~ '^abeyance [0-9]+$'
           AND state = 'active' AND wait_event = 'ClientRead'
           AND query_start < clock_timestamp() - $1::interval
    )
    SELECT count(*) FROM silent WHERE pg_terminate_backend(pid)
    """

_log = structlog.get_logger("abeyance.store")


class Silence:
    """Looks twice in `longest`, which is how long a process may say nothing."""

    def __init__(self, engine: Engine, longest: timedelta) -> None:
        self._engine = engine
        self._longest = longest
        self._failed = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep((self._longest / 2).total_seconds())
            await self._look()

    async def _look(self) -> None:
        try:
            [[ended]] = await self._engine.look_up(END_SILENT, self._longest)
        except StoreAway:
            return
        except Exception as fault:
            # Whatever it is, the next look may succeed: nobody would start this task anew.
            if not self._failed:
                _log.error("silent transactions could not be ended", kind=type(fault).__name__)
            self._failed = True
            return
        self._failed = False
        if ended:
            _log.warning("transactions of a process that said nothing were ended", count=ended)
