"""Sending what the outbox holds: each kind of message by its own act."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from abeyance.acts.callback import call_back
from abeyance.acts.house import House
from abeyance.acts.notice import send_hook, send_mail
from abeyance.pending.message import Claimed, MessageKind, Settled

LONGEST: Final = timedelta(seconds=35)  # an attempt (30 s), and what surrounds it
LEASE: Final = timedelta(seconds=60)

ACTS: Final[Mapping[MessageKind, Callable[[House, Claimed], Awaitable[Settled]]]] = (
    MappingProxyType(
        {
            MessageKind.CALLBACK: call_back,
            MessageKind.MAIL: send_mail,
            MessageKind.WEBHOOK: send_hook,
        }
    )
)


async def deliver(house: House, claimed: Claimed) -> Settled:
    """Try to send one message, keep what came of it and return it. Raises `StoreAway`."""
    settled = await ACTS[claimed.kind](house, claimed)
    await house.store.settle_message(claimed, settled)
    return settled
