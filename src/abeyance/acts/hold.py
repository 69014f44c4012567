"""Holding a poll until its request moves (EXT-WAIT): a bell and a timer, no thread or transaction.

What was judged at arrival (client, key, pace) is not judged again; what is answered in the
end is read anew by whoever held (EXT-WAIT-04).
"""

import asyncio
import math
from datetime import datetime

from abeyance.acts.house import Gone, House, Wait
from abeyance.pending.request import Held
from abeyance.pending.states import AwaitingInteraction
from abeyance.volatile.waiters import Bell


async def hold(house: House, wait: Wait, held: Held) -> bool:
    """Wait until the state of the request is another, or the time is up; then look again.

    `False`: answer as it is, since that is news to the client, or too many are held already,
    or nobody listens any more. Two polls of one handle are never held together: the clock
    says so to the second.
    """
    if _is_news(house, held):
        return False
    left = (_end(held) - house.clock.now()).total_seconds()
    seconds = min(wait.seconds, house.terms.long_poll.total_seconds())
    if seconds < 1 or not house.limits.held.take(held.client):
        return False
    wait.applied = int(seconds)
    house.clocks.hold(held.handle.digest)
    try:
        with house.waiters.listen(held.key) as bell:
            # A moment behind the end, where `expired_token` is the answer.
            timer = house.clock.after(min(seconds, math.ceil(left)), bell.end)
            try:
                return await _until_moved(house, held, bell, wait.gone)
            finally:
                timer.cancel()
    finally:
        house.clocks.release(held.handle.digest, house.clock.tick())
        house.limits.held.leave(held.client)


def _is_news(house: House, held: Held) -> bool:
    """Has it moved since the client heard of it (EXT-WAIT-02)? Of what this process was not
    asked about yet, the client knows how it began.
    """
    told = house.clocks.get(held.handle.digest).told
    return held.version > 1 if told is None else held.state != told


def _end(held: Held) -> datetime:
    """When there is something else to say without anybody doing anything."""
    until = held.state.until if isinstance(held.state, AwaitingInteraction) else None
    return held.expires_at if until is None else min(until, held.expires_at)


async def _until_moved(house: House, held: Held, bell: Bell, gone: Gone) -> bool:
    leaving = asyncio.ensure_future(gone())
    leaving.add_done_callback(lambda _: bell.ring())
    try:
        while True:
            bell.still()
            # Whoever has gone must not be given what is given once.
            if leaving.done():
                return False
            # Read after listening, so that no change falls in between.
            now = await house.store.find_held(held.handle)
            if bell.over or now is None or now.state != held.state:
                return not leaving.done()
            await bell.wait()
    finally:
        leaving.cancel()
        await asyncio.wait([leaving])
