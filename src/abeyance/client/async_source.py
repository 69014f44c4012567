"""The awaiting source of tokens: as `sync_source`, with awaited steps."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Final, assert_never

import anyio
import anyio.to_thread

from abeyance.client.async_client import AsyncClient, AsyncPendingToken
from abeyance.client.grant_file import GrantFile
from abeyance.client.progress import Progress
from abeyance.client.providing import (
    Command,
    Commands,
    Do,
    Obtain,
    Provider,
    Refresh,
    Rest,
    Resume,
    Save,
    Wait,
)
from abeyance.client.sealing import Seal
from abeyance.client.token import Token


class AsyncTokenSource:
    """As `TokenSource`, for the tasks of one event loop."""

    def __init__(
        self,
        client: AsyncClient,
        obtain: Callable[[], Awaitable["Token | AsyncPendingToken"]] | None = None,
        *,
        path: str | PathLike[str] | None = None,
        seal: Seal | None = None,
        on_progress: Callable[[Progress], object] | None = None,
        timeout: timedelta | None = None,
    ) -> None:
        self.client: Final = client
        self._obtain = obtain
        self._file = None if path is None else GrantFile(Path(path), seal)
        self._on_progress = on_progress
        self._timeout = timeout
        self._provider = Provider(client.link, self._file, can_obtain=obtain is not None)
        self._turn = anyio.Lock()

    async def token(self, *, instead_of: Token | None = None) -> Token:
        """As `TokenSource.token`."""
        if (token := self._provider.in_hand(instead_of)) is not None:
            return token
        async with self._turn:
            return await self._run(self._provider.provide(instead_of, self._timeout))

    async def keep(self, token: Token) -> None:
        """Take over a token that was obtained elsewhere. Raises `OSError`."""
        async with self._turn:
            await anyio.to_thread.run_sync(self._provider.keep, token)

    async def _run(self, commands: Commands) -> Token:
        reply: object = None
        fault: BaseException | None = None
        try:
            while True:
                try:
                    command = commands.send(reply) if fault is None else commands.throw(fault)
                except StopIteration as stop:
                    token: Token = stop.value
                    return token
                reply = fault = None
                try:
                    reply = await self._perform(command)
                except Exception as raised:  # the flow decides what it means
                    fault = raised
        finally:
            commands.close()

    async def _perform(self, command: Command) -> object:
        match command:
            case Do(work):
                # A cancelled task must not leave a spent refresh token in the file.
                with anyio.CancelScope(shield=True):
                    done = await anyio.to_thread.run_sync(work)
                return done
            case Refresh(token, defer):
                return await self.client.refresh(token, defer=defer)
            case Obtain() if self._obtain is not None:
                return await self._obtain()
            case Resume() if self._file is not None:
                return await self.client.resume(self._file.pending, seal=self._file.effective_seal)
            case Save(pending) if self._file is not None:
                return await pending.save(self._file.pending, seal=self._file.effective_seal)
            case Wait(pending):
                return await pending.wait(on_progress=self._on_progress, timeout=self._timeout)
            case Rest(seconds):
                await (self.client.sleep or anyio.sleep)(seconds)
                return None
            case Obtain() | Resume() | Save():
                raise AssertionError("asked for what this source does not have")
            case _:
                assert_never(command)
