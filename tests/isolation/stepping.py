"""Requests that stop before every step in the store, until a test lets one of them go on.

`Stepper.watch` puts itself between a server and its store: on SQLite there are two connections
(the writer's and the reader's), on PostgreSQL each server has its own. A read is a step; to look
up a client only with `clients`. A change is three: it asks for its place (and waits if another
has it), it writes, it commits; with `fine` every statement is one. Whoever waits for a lock is
seen to wait in the database itself, so nothing here depends on how long anything takes.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import apsw
import asyncpg

from abeyance.store.ports import Store, StoreAway
from abeyance.store.postgres.store import PostgresStore
from abeyance.store.sql.db import NOTHING, Db, Operation, Row, Values
from abeyance.store.sqlite import SqliteStore

Act = Callable[[], Awaitable[Any]]

_OURS: Final[ContextVar["Session | None"]] = ContextVar("session", default=None)
_A_MOMENT: Final = 0.002  # seconds between two looks at what waits for a lock
_GIVES_UP: Final = 60.0


@dataclass(slots=True, eq=False)
class Session:
    """One request. `stands`: the step before which it has stopped."""

    stepper: "Stepper"
    act: Act
    begun: Callable[[], None]
    stands: str | None = None
    task: "asyncio.Task[Any] | None" = None
    backend: int | None = None
    waits: bool = False  # it has asked for its place in the store
    fails: bool = False  # its next step meets a store that has gone
    _go: Callable[[], None] | None = None
    _fresh: bool = True

    @property
    def done(self) -> bool:
        return self.task is not None and self.task.done()

    async def live(self) -> Any:
        _OURS.set(self)
        await self.stand("begin")
        self.begun()
        return await self.act()

    async def stand(self, step: str) -> None:
        """Stop before this step; the first is taken with the beginning."""
        if self._is_first(step):
            return
        go: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def go_on() -> None:
            if not go.done():
                go.set_result(None)

        self._arrive(step, go_on)
        await go
        if self.fails:
            self.fails = False
            raise StoreAway("the reader is gone")

    async def stand_in_thread(self, step: str) -> None:
        """The same for what runs in a thread of the store, and never waits there."""
        if self._is_first(step):
            return
        go = threading.Event()
        self.stepper.loop.call_soon_threadsafe(self._arrive, step, go.set)
        go.wait()
        if self.fails:
            self.fails = False
            raise apsw.FullError("the disk is full")

    def go_on(self) -> None:
        go, self._go, self.stands = self._go, None, None
        if go is not None:
            go()

    def _is_first(self, step: str) -> bool:
        if step == "begin" or not self._fresh:
            return False
        self._fresh = False
        return True

    def _arrive(self, step: str, go: Callable[[], None]) -> None:
        self.stands, self._go, self.waits = step, go, False
        self.stepper.moved.set()
        if self.stepper.free:
            self.go_on()


@dataclass(slots=True)
class Choice:
    """Who could have gone on, and who did."""

    able: tuple[int, ...]
    took: int
    step: str


@dataclass(slots=True)
class Stepper:
    """Runs some acts in an order. `url`: where to see who waits, on PostgreSQL."""

    url: str | None = None
    fine: bool = False
    clients: bool = False
    loop: asyncio.AbstractEventLoop = field(init=False, repr=False)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    sessions: list[Session] = field(default_factory=list)
    cut_at: int | None = None  # the step before which the store goes away
    writer: Session | None = None  # who is in SQLite's writer
    free: bool = False
    _looker: "asyncpg.Connection[asyncpg.Record] | None" = None

    def watch(self, store: Store) -> None:
        """From now on this store's steps are those of whoever takes them."""
        if isinstance(store, SqliteStore):
            _watch(store, self, Session.stand_in_thread)
        elif isinstance(store, PostgresStore):
            # What is remembered for half a second would be asked for in some runs alone.
            store._known._lease = 0
            _watch(store, self, Session.stand)

    async def run(
        self, acts: Sequence[tuple[Act, Callable[[], None]]], order: Sequence[int]
    ) -> tuple[list[Any], list[Choice]]:
        """Let them begin, and go on in this order; where it ends, whoever went on goes on.

        What they answer (or raise), and what was chosen from.
        """
        self.loop = asyncio.get_running_loop()
        self.free, self.writer = False, None
        self.sessions = [Session(self, act, begun) for act, begun in acts]
        for session in self.sessions:
            session.task = asyncio.create_task(session.live())
        took: list[Choice] = []
        try:
            async with asyncio.timeout(_GIVES_UP):
                while await self._settle():
                    able = tuple(n for n, each in enumerate(self.sessions) if each.stands)
                    chosen = self._choose(able, took, order)
                    took.append(Choice(able, chosen, self.sessions[chosen].stands or ""))
                    if self.cut_at == len(took) - 1:
                        await self._cut(self.sessions[chosen])
                    self.sessions[chosen].go_on()
        finally:
            self.free = True
            for session in self.sessions:
                session.go_on()
        tasks = [each.task for each in self.sessions if each.task is not None]
        return await asyncio.gather(*tasks, return_exceptions=True), took

    async def close(self) -> None:
        if self._looker is not None:
            await self._looker.close()

    async def _cut(self, session: Session) -> None:
        """On PostgreSQL every connection is cut off; on SQLite the disk refuses once."""
        if self.url is None:
            session.fails = True
            return
        await (await self._look()).execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    async def _look(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._looker is None:
            self._looker = await asyncpg.connect(self.url)
        return self._looker

    def _choose(self, able: tuple[int, ...], took: list[Choice], order: Sequence[int]) -> int:
        at = len(took)
        if at < len(order) and order[at] in able:
            return order[at]
        return took[-1].took if took and took[-1].took in able else able[0]

    async def _settle(self) -> bool:
        """Wait until each has stopped, has ended or waits for another; `False`: all have ended."""
        while True:
            self.moved.clear()
            under_way = [each for each in self.sessions if not each.stands and not each.done]
            if not under_way:
                return any(each.stands for each in self.sessions)
            stopped = any(each.stands for each in self.sessions)
            if stopped and await self._all_wait(under_way):
                return True
            tasks = [each.task for each in under_way if each.task is not None]
            moved = asyncio.ensure_future(self.moved.wait())
            await asyncio.wait(
                [moved, *tasks], timeout=_A_MOMENT, return_when=asyncio.FIRST_COMPLETED
            )
            moved.cancel()

    async def _all_wait(self, sessions: Sequence[Session]) -> bool:
        if not all(each.waits for each in sessions):
            return False
        if self.url is None:
            return all(self.writer not in (None, each) for each in sessions)
        backends = [each.backend for each in sessions if each.backend is not None]
        # Somebody else, such as who empties the outbox, is soon gone again.
        [[blocked]] = await (await self._look()).fetch(
            "SELECT count(*) FROM unnest($1::int[]) AS pid"
            " WHERE pg_blocking_pids(pid) && $2::int[]",
            backends,
            [each.backend for each in self.sessions if each.backend is not None],
        )
        return bool(blocked == len(sessions))


class _Stepped:
    """`Db` of a change, with a stop before what it writes."""

    def __init__(self, db: Db, session: Session, stand: Callable[[Session, str], Any]) -> None:
        self._db, self._session, self._stand = db, session, stand
        self._began = False

    async def rows(self, statement: str, values: Values = NOTHING) -> Sequence[Row]:
        if not self._began or self._session.stepper.fine:
            self._began = True
            await self._stand(self._session, " ".join(statement.split()[:3]))
            self._session.waits = True
        return await self._db.rows(statement, values)

    async def hold(self, key: bytes) -> None:
        self._session.waits = True
        await self._db.hold(key)

    async def undo(self) -> None:
        await self._db.undo()


def _watch(store: Any, stepper: Stepper, stand: Callable[[Session, str], Any]) -> None:
    """Put a stop before each read, and before each step of a change."""
    change = store._change

    def stopping(what: str, method: Any) -> Any:
        async def stops(*given: Any, **more: Any) -> Any:
            session = _OURS.get()
            if session is not None and (what != "find_client" or stepper.clients):
                await session.stand(what)
            return await method(*given, **more)

        return stops

    async def changes(write: Operation[Any]) -> Any:
        session = _OURS.get()
        if session is None:
            return await change(write)
        await session.stand("ask for a place")
        session.waits = True

        async def steps(db: Db) -> Any:
            if stepper.url is None:
                stepper.writer = session
            else:
                session.backend = db.connection.get_server_pid()  # type: ignore[attr-defined]
            answer = await write(_Stepped(db, session, stand))
            await stand(session, "commit")
            return answer

        try:
            return await change(steps)
        finally:
            session.waits, session.backend = False, None
            if stepper.writer is session:
                stepper.writer = None

    store._change = changes
    for name in ("_read", "find_held", "find_client"):
        setattr(store, name, stopping(name, getattr(store, name)))
