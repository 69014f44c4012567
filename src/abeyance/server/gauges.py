"""What is measured when somebody looks, not when it happens: what waits, how late, how well.

The names are those of docs/operations.md. Nothing is labelled by client, person or anything
else that comes from outside, so the series are as many whatever is sent (SEC-OPS-17).
"""

import asyncio
from typing import Final

from prometheus_client import Gauge, Histogram, ProcessCollector

from abeyance import __version__
from abeyance.acts.house import House, Timer
from abeyance.server.http import UNAVAILABLE
from abeyance.store.ports import StoreAway

FRESH: Final = 5.0  # seconds for which a measure stands, however many look
AT_MOST: Final = 50_000  # that are counted
BEAT: Final = 0.5  # seconds between two looks at how late the event loop is
_LATE: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_UNKNOWN: Final = float("nan")


class Gauges:
    """The gauges of one house, in the registry of its counters."""

    __slots__ = (
        "_check_seconds",
        "_held",
        "_house",
        "_lag",
        "_late",
        "_looking",
        "_measured",
        "_messages",
        "_oldest",
        "_pending",
        "_timer",
        "_up",
    )

    def __init__(self, house: House) -> None:
        self._house = house
        self._looking = asyncio.Lock()
        self._measured = -FRESH  # the tick of the last measure
        self._pending = self._gauge("requests_pending", "Requests that wait; counted to 50,000")
        self._oldest = self._gauge(
            "oldest_pending_seconds", "For how long the oldest of them has waited"
        )
        self._messages = self._gauge(
            "outbox_messages", "Callbacks and notices not sent yet; counted to 50,000"
        )
        self._lag = self._gauge(
            "outbox_lag_seconds", "For how long the next message has been due; 0 if none is"
        )
        self._held = self._gauge("polls_held", "Polls that are held at this moment")
        self._held.set_function(lambda: house.limits.held.taken)
        self._up = self._gauge("store_up", "1 if the store can be read and written")
        self._check_seconds = self._gauge(
            "store_check_seconds", "How long the last check of the store took: a read and a write"
        )
        build = Gauge(
            "abeyance_build_info", "Which program", ["version"], registry=house.counters.registry
        )
        build.labels(version=__version__).set(1)
        ProcessCollector(registry=house.counters.registry)
        house.counters.registry.register(UNAVAILABLE)
        self._late = Histogram(
            "abeyance_event_loop_lag_seconds",
            "By how much the event loop was late, looked at twice a second",
            buckets=_LATE,
            registry=house.counters.registry,
        )
        self._timer = self._beat()

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _beat(self) -> Timer:
        clock = self._house.clock
        due = clock.tick() + BEAT

        def go_off() -> None:
            self._late.observe(max(0.0, clock.tick() - due))
            self._timer = self._beat()

        return clock.after(BEAT, go_off)

    def _gauge(self, name: str, documentation: str) -> Gauge:
        registry = self._house.counters.registry
        return Gauge(f"abeyance_{name}", documentation, registry=registry)

    async def look(self) -> None:
        """Measure anew unless that was done a moment ago."""
        async with self._looking:
            tick = self._house.clock.tick()
            if tick - self._measured < FRESH:
                return
            try:
                await self._measure(tick)
            except StoreAway:
                self._up.set(0)
                for gauge in (
                    self._pending,
                    self._oldest,
                    self._messages,
                    self._lag,
                    self._check_seconds,
                ):
                    gauge.set(_UNKNOWN)
            self._measured = tick

    async def _measure(self, tick: float) -> None:
        store, clock = self._house.store, self._house.clock
        await store.check()
        self._check_seconds.set(clock.tick() - tick)
        now = clock.now()
        measured = await store.measure(now=now, at_most=AT_MOST)
        due = await store.next_message()
        self._pending.set(measured.waiting)
        oldest = 0.0 if measured.oldest is None else (now - measured.oldest).total_seconds()
        self._oldest.set(max(0.0, oldest))
        self._messages.set(measured.messages)
        self._lag.set(0.0 if due is None else max(0.0, (now - due).total_seconds()))
        self._up.set(1)
