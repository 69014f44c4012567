"""The way from callers to hosts: it delays, drops, repeats, cuts and parts."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from faults.simulation.chance import Chance, Fault
from faults.simulation.hosts import Down, Host, Reply

TIMEOUT: Final = 40.0  # seconds until a caller gives up
_DELAY: Final = 8.0
_PARTED: Final = 60.0


class NoAnswer(Exception):
    """Whether anything happened, the caller will never know."""


@dataclass(slots=True)
class Network:
    """`hosts` are what a name of the server leads to, one or another."""

    chance: Chance
    hosts: list[Host]
    parted: set[tuple[str, int]] = field(default_factory=set)
    repeated: set["asyncio.Task[Reply]"] = field(default_factory=set)

    async def post(
        self,
        caller: str,
        path: str,
        form: Sequence[tuple[str, str]],
        headers: Sequence[tuple[bytes, bytes]] = (),
        *,
        twice: Callable[[], None] = lambda: None,
    ) -> Reply:
        """Call some host; `twice` is told if the network repeats it, and keeps that answer.

        Raises `NoAnswer`, after a while.
        """
        number = self.chance.rng.randrange(len(self.hosts))
        host = self.hosts[number]
        self._part(caller, number)
        await self._travel()
        if (caller, number) in self.parted or self.chance.strikes(Fault.DROP, 0.04):
            await asyncio.sleep(TIMEOUT)
            raise NoAnswer
        if self.chance.strikes(Fault.DUPLICATE, 0.03):
            twice()
            again = asyncio.ensure_future(self._repeat(host, path, form, headers))
            self.repeated.add(again)
            again.add_done_callback(self.repeated.discard)
        try:
            async with asyncio.timeout(TIMEOUT):
                reply = await host.post(path, form, headers)
        except (Down, TimeoutError):
            raise NoAnswer from None
        if self.chance.strikes(Fault.RESET, 0.06):
            raise NoAnswer
        await self._travel()
        return reply

    async def _travel(self) -> None:
        if self.chance.strikes(Fault.DELAY, 0.1):
            await asyncio.sleep(self.chance.rng.random() * _DELAY)
        else:
            await asyncio.sleep(self.chance.soon(0.1))

    async def _repeat(
        self,
        host: Host,
        path: str,
        form: Sequence[tuple[str, str]],
        headers: Sequence[tuple[bytes, bytes]],
    ) -> Reply:
        await self._travel()
        try:
            return await host.post(path, form, headers)
        except Down:
            return Reply(0, {})

    def _part(self, caller: str, number: int) -> None:
        if self.chance.strikes(Fault.PARTITION, 0.01):
            pair = (caller, number)
            self.parted.add(pair)
            asyncio.get_running_loop().call_later(
                self.chance.rng.random() * _PARTED, self.parted.discard, pair
            )
