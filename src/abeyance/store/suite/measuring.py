"""How much there is."""
# ruff: noqa: S101

from datetime import timedelta

from abeyance.pending.states import Event
from abeyance.store.ports import Measured
from abeyance.store.suite.ground import (
    NOW,
    Suite,
    a_request,
    advance,
    change,
    covers,
    open_request,
)


class MeasuringSuite(Suite):
    """How much there is."""

    @covers("SEC-OPS-17")
    async def test_what_waits_is_counted_until_it_is_decided_or_over(self) -> None:
        async with self.open_store() as store:
            nothing = Measured(waiting=0, oldest=None, messages=0)
            assert await store.measure(now=NOW, at_most=9) == nothing
            held = [await open_request(store, a_request()) for _ in range(3)]
            oldest = min(each.opened_at for each in held)
            measured = await store.measure(now=NOW, at_most=9)
            assert measured == Measured(waiting=3, oldest=oldest, messages=0)
            await store.apply(change(held[0].key, advance(Event.DENY)))
            assert (await store.measure(now=NOW, at_most=9)).waiting == 2
            assert (await store.measure(now=NOW, at_most=1)).waiting == 1, "up to the bound"
            over = max(each.expires_at for each in held) + timedelta(seconds=1)
            assert await store.measure(now=over, at_most=9) == nothing
