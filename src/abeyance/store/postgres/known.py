"""Clients that this process has asked for a moment ago, so that each poll need not ask again.

Another process may change a client and cannot reach into this memory. So each entry is good for
`lease` seconds from before it was asked for, and whoever replaces a client waits so long behind
COMMIT: when the change is acknowledged, nobody knows the client as it was.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from abeyance.parties.client import Client, ClientId

LEASE: Final = 0.5  # seconds
_MARGIN: Final = 1.2  # of a lease: clocks of two machines do not run alike
_MOST: Final = 10_000


class Known:
    """Touched by one loop alone."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._known: dict[ClientId, tuple[float, Client]] = {}

    def get(self, client: ClientId) -> Client | None:
        """The client, if it was asked for less than a lease ago."""
        until, known = self._known.get(client, (0.0, None))
        return known if asyncio.get_running_loop().time() < until else None

    async def load(
        self, client: ClientId, find: Callable[[ClientId], Awaitable[Client | None]]
    ) -> Client | None:
        """Ask for it. That there is no such client is not remembered."""
        until = asyncio.get_running_loop().time() + self._lease
        found = await find(client)
        if found is not None and self._lease:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[client] = (until, found)
        return found

    async def outlive(self) -> None:
        """Wait until no process can know what a commit before this call has replaced."""
        if self._lease:
            await asyncio.sleep(self._lease * _MARGIN)
