"""What a request that waits for days has to do with traces: two, and a link between them.

A span from the request to its redemption would be open for as long as people take. So the audit
of a request says in which trace it was opened, and the span that redeems it links there, from
whichever process. Where tracing is off nothing is written and nothing is read.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from abeyance.acts.house import House
from abeyance.pending.change import AuditEvent, Row
from abeyance.pending.request import Key

_TRACE: Final = "trace"  # in the detail of the event: a traceparent (W3C Trace Context)


def note_trace(house: House, rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows of a request that opens, with the trace in which it does."""
    current = None if house.traces is None else house.traces.current()
    if current is None:
        return tuple(rows)
    return tuple(
        replace(row, detail={**row.detail, _TRACE: current})
        if isinstance(row, AuditEvent) and row.event == "opened"
        else row
        for row in rows
    )


async def link_first(house: House, key: Key) -> None:
    """Link what happens now to the trace in which this request was opened."""
    if house.traces is None or house.traces.current() is None:
        return
    for event in await house.store.find_events(key):
        told = event.detail.get(_TRACE)
        if isinstance(told, str):
            house.traces.link(told)
