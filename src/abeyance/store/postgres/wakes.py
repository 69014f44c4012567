"""Telling other processes what has changed, over `NOTIFY`: a lost word costs latency, never truth.

Sent behind COMMIT on a connection of its own, many in one statement. Within the transaction it
would never be lost, but PostgreSQL lets only one transaction that notifies commit at a time.
Behind a pooler that hands out connections by transaction nothing can be heard; then whoever
waits in another process is answered when its wait is over.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import structlog

from abeyance.pending.handles import Home
from abeyance.pending.request import Key
from abeyance.store.ports import StoreAway
from abeyance.store.postgres.address import Address, Bounds, Connection, connect
from abeyance.store.postgres.engine import Engine

CHANNEL: Final = "abeyance"
NOTIFY: Final = "SELECT pg_notify($1, $2)"
_PAUSE: Final = 0.02  # seconds between two messages: what comes meanwhile goes together
_LONGEST: Final = 7_900  # bytes; PostgreSQL takes 8,000
_AGAIN: Final = 1.0  # seconds after which a lost connection is made anew
_MOVED: Final = "m"
_EARNED: Final = "e"
_ANSWERED: Final = "a"

_log = structlog.get_logger("abeyance.store")


class Wakes:
    """What is called with the words of other processes: `moved` and `answered` with requests,
    `earned` with digests that got a poll.
    """

    def __init__(
        self,
        engine: Engine,
        address: Address,
        bounds: Bounds,
        *,
        moved: Callable[[Key], None],
        earned: Callable[[bytes], None],
        answered: Callable[[Key], None],
    ) -> None:
        self._engine = engine
        self._address = address
        self._bounds = bounds
        self._moved = moved
        self._earned = earned
        self._answered = answered
        self._us = secrets.token_hex(8)
        self._words: dict[str, None] = {}
        self._something = asyncio.Event()
        self._failed = False
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def start(self) -> None:
        """Listen from now on. Raises what `connect` raises."""
        if self._address.pooled:
            return
        connection = await self._listen()
        loop = asyncio.get_running_loop()
        self._tasks = (
            loop.create_task(self._go_on_listening(connection)),
            loop.create_task(self._send()),
        )

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def tell_moved(self, keys: Iterable[Key]) -> None:
        self._tell(_MOVED + _spelled(key) for key in keys)

    def tell_answered(self, key: Key) -> None:
        self._tell((_ANSWERED + _spelled(key),))

    def tell_earned(self, digest: bytes) -> None:
        self._tell((_EARNED + digest.hex(),))

    def _tell(self, words: Iterable[str]) -> None:
        if self._tasks:
            self._words |= dict.fromkeys(words)
            if self._words:
                self._something.set()

    async def _send(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._words:
                await self._put(self._message())
            await asyncio.sleep(_PAUSE)

    async def _put(self, message: str) -> None:
        try:
            await self._engine.put(NOTIFY, CHANNEL, message)
        except StoreAway:
            return
        except Exception as fault:
            # Whatever it is, the next words are said again: nobody would start this task anew.
            if not self._failed:
                _log.error("other processes could not be told", kind=type(fault).__name__)
            self._failed = True
        else:
            self._failed = False

    def _message(self) -> str:
        """As many words as fit, behind who says them."""
        message = self._us
        for word in list(self._words):
            if len(message) + len(word) + 1 > _LONGEST:
                break
            message += " " + word
            del self._words[word]
        return message

    async def _listen(self) -> Connection:
        connection = await connect(self._address, self._bounds, name="abeyance listener")
        await connection.add_listener(CHANNEL, self._hear)
        return connection

    async def _go_on_listening(self, connection: Connection) -> None:
        while True:
            lost = asyncio.Event()
            # A new one each time: the callback is called once, when the connection ends.
            connection.add_termination_listener(lambda _, lost=lost: lost.set())
            try:
                if not connection.is_closed():
                    await lost.wait()
            finally:
                connection.terminate()
            connection = await self._listen_again()

    async def _listen_again(self) -> Connection:
        while True:
            await asyncio.sleep(_AGAIN)
            with suppress(Exception):
                return await self._listen()

    def _hear(self, _connection: Any, _process: int, _channel: str, message: Any) -> None:
        """Whatever is not ours to read is passed over: anybody with the database may speak."""
        us, *words = str(message).split(" ")
        if us == self._us:
            return
        for word in words:
            with suppress(ValueError):
                self._hear_word(word[:1], word[1:])

    def _hear_word(self, kind: str, rest: str) -> None:
        if kind == _MOVED:
            self._moved(_read(rest))
        elif kind == _ANSWERED:
            self._answered(_read(rest))
        elif kind == _EARNED:
            self._earned(bytes.fromhex(rest))


def _spelled(key: Key) -> str:
    return f"{key.home.hex()}{key.n:x}"


def _read(word: str) -> Key:
    return Key(Home(bytes.fromhex(word[:32])), int(word[32:], 16))
