"""All ports in one."""

from collections.abc import Callable
from typing import Protocol

from abeyance.pending.request import Key
from abeyance.store.ports.authorizations import Authorizations
from abeyance.store.ports.ending import Disposals, Sweeps
from abeyance.store.ports.lists import History, Inbox
from abeyance.store.ports.once import Calls, Reservations
from abeyance.store.ports.outbox import Outbox
from abeyance.store.ports.parties import Parties, Registrations
from abeyance.store.ports.requests import Requests
from abeyance.store.ports.reviewing import Reviewing
from abeyance.store.ports.whole import Leases, Measuring, Sealing, Wholes


class Store(
    Wholes,
    Leases,
    Measuring,
    Sealing,
    Requests,
    Inbox,
    History,
    Sweeps,
    Parties,
    Registrations,
    Authorizations,
    Calls,
    Reservations,
    Disposals,
    Outbox,
    Reviewing,
    Protocol,
):
    """All ports, and the life of the thing behind them."""

    def on_change(self, tell: Callable[[Key], None]) -> None:
        """Call `tell` on the event loop after each commit that moved a request,
        after the store's own memory has forgotten it and before the writer is told.
        """
        ...

    def on_messages(self, tell: Callable[[], None]) -> None:
        """Call `tell` on the event loop after each commit by which a message may have
        fallen due.
        """
        ...

    async def check(self) -> None:
        """Raise `StoreAway` unless the store can read and write now (readiness)."""
        ...

    async def close(self) -> None: ...
