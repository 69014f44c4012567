"""Pending requests, what came of them, and the one write."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from abeyance.pending.change import Applied, AuditEvent, Change, Superseded, TokenRecord
from abeyance.pending.credentials import (
    FoundAssertion,
    FoundCode,
    FoundRefresh,
    UserGrant,
)
from abeyance.pending.device import FoundDevice
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.repetition import Repetition
from abeyance.pending.request import Held, Key, Loaded


class Requests(Protocol):
    """Pending requests and the tokens that come of them."""

    async def find_held(self, handle: HandleHash) -> Held | None: ...
    async def find_loaded(self, key: Key) -> Loaded | None:
        """`None` also for a request whose details were disposed of."""
        ...

    async def list_loaded(self, home: Home) -> Sequence[Loaded]:
        """The requests of one home that can be loaded, in the order of their numbers."""
        ...

    async def find_token(self, home: Home, jti: bytes) -> TokenRecord | None: ...
    async def find_code(self, handle: HandleHash) -> FoundCode | None:
        """An authorization code, spent or not."""
        ...

    async def find_device(self, home: Home) -> FoundDevice | None:
        """The device session at this home, in whatever state."""
        ...

    async def find_refresh(self, handle: HandleHash) -> FoundRefresh | None:
        """A refresh token of any generation, with its family as it stands."""
        ...

    async def find_grant(self, home: Home) -> UserGrant | None:
        """What a person granted at this home, ended or not."""
        ...

    async def find_assertion(self, home: Home) -> FoundAssertion | None:
        """The assertion that was used at this home, with the grant that it opened."""
        ...

    async def list_derived(
        self, home: Home, jti: bytes | None, *, after: Home | None, limit: int
    ) -> Sequence[Home]:
        """Homes of what was derived from a token there, or (`None`) from anything there: in
        their order, those behind `after`.
        """
        ...

    async def find_holding(self, home: Home, *, now: datetime) -> Loaded | None:
        """The open request that holds the home's family, if one has not expired."""
        ...

    async def find_sealed(self, key: Key) -> bytes | None:
        """The sealed copy of a request's handle, if it has one."""
        ...

    async def find_repetition(self, home: Home, key: bytes) -> Repetition | None:
        """The last request at this home that may be sent again under `key`."""
        ...

    async def find_events(self, key: Key) -> Sequence[AuditEvent]:
        """The audit events of one request, oldest first."""
        ...

    async def apply(self, change: Change) -> Applied | Superseded: ...
