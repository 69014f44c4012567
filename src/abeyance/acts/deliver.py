"""Sending what the outbox holds: each kind of message by its own act."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import structlog

from abeyance.acts.callback import call_back
from abeyance.acts.house import House
from abeyance.acts.notice import send_hook, send_mail
from abeyance.pending.message import Claimed, MessageKind, RetryAt, Settled, retry
from abeyance.store.ports import StoreAway

_log = structlog.get_logger("abeyance.outbox")

LONGEST: Final = timedelta(seconds=35)  # an attempt (30 s), and what surrounds it
LEASE: Final = timedelta(seconds=60)

ACTS: Final[Mapping[MessageKind, Callable[[House, Claimed], Awaitable[Settled | None]]]] = (
    MappingProxyType(
        {
            MessageKind.CALLBACK: call_back,
            MessageKind.MAIL: send_mail,
            MessageKind.WEBHOOK: send_hook,
        }
    )
)


async def deliver(house: House, claimed: Claimed) -> Settled | None:
    """Try to send one message, keep what came of it and return it. Raises `StoreAway`.

    `None`: it was not ours any more, so there is nothing to keep.

    Whoever is cancelled in the middle leaves it to others: they send it, perhaps once more.
    """
    try:
        settled = await ACTS[claimed.kind](house, claimed)
    except asyncio.CancelledError:
        await give_back(house, claimed)
        raise
    except StoreAway:
        raise
    except Exception as fault:
        # A bug of ours is an attempt too: without a bound it would come again with each lease.
        _log.error("a message could not be sent", kind=type(fault).__name__)
        settled = retry(claimed, house.clock.now(), house.random(1)[0] / 255)
    if settled is not None:
        await house.store.settle_message(claimed, settled)
    return settled


async def give_back(house: House, claimed: Claimed) -> None:
    """It is due for whoever comes first, before the lease is over. Raises `StoreAway`."""
    again = RetryAt(house.clock.now(), counts=False)
    await house.store.settle_message(claimed, again)
