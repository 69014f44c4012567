"""The blocking source of tokens: performs what `providing` wants."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Final, assert_never

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
from abeyance.client.sync_client import Client, PendingToken
from abeyance.client.token import Token


class TokenSource:
    """A token whenever one is needed. May be shared between threads.

    `obtain` makes a first one, such as `lambda: client.request_token(scope="read")`;
    without it there must be one that is kept. `path`: keep it there, sealed, shared
    by every process that names the same file: one of them refreshes, the others take
    what it got. `timeout`: how long a decision may take, each time it is needed.
    """

    def __init__(
        self,
        client: Client,
        obtain: Callable[[], "Token | PendingToken"] | None = None,
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
        self._turn = threading.Lock()

    def token(self, *, instead_of: Token | None = None) -> Token:
        """A token that can be used; blocks while one is obtained, refreshed or decided.

        `instead_of`: one that a resource server has rejected. Raises what
        obtaining, refreshing and waiting raise; `StillPending` when the time-out
        is over, which ends nothing: the next call goes on.
        """
        if (token := self._provider.in_hand(instead_of)) is not None:
            return token
        with self._turn:
            return self._run(self._provider.provide(instead_of, self._timeout))

    def keep(self, token: Token) -> None:
        """Take over a token that was obtained elsewhere. Raises `OSError`."""
        with self._turn:
            self._provider.keep(token)

    def _run(self, commands: Commands) -> Token:
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
                    reply = self._perform(command)
                except Exception as raised:  # the flow decides what it means
                    fault = raised
        finally:
            commands.close()

    def _perform(self, command: Command) -> object:
        match command:
            case Do(work):
                return work()
            case Refresh(token, defer):
                return self.client.refresh(token, defer=defer)
            case Obtain() if self._obtain is not None:
                return self._obtain()
            case Resume() if self._file is not None:
                return self.client.resume(self._file.pending, seal=self._file.effective_seal)
            case Save(pending) if self._file is not None:
                return pending.save(self._file.pending, seal=self._file.effective_seal)
            case Wait(pending):
                return pending.wait(on_progress=self._on_progress, timeout=self._timeout)
            case Rest(seconds):
                return (self.client.sleep or time.sleep)(seconds)
            case Obtain() | Resume() | Save():
                raise AssertionError("asked for what this source does not have")
            case _:
                assert_never(command)
