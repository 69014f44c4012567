"""What one more waiting request takes: memory of the server, and room in the database."""

from dataclasses import dataclass

from bench.polls import PollCase


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRequest:
    """On average; `payload_bytes` is the canonical JSON of what was asked."""

    memory_bytes: int
    database_bytes: int
    payload_bytes: int


def fill_and_weigh(case: PollCase, few: int, many: int) -> WaitingRequest:
    """Open requests from `few` to `many` and see what grew.

    Memory is read when each of them has been polled, since the first poll gives
    a request its clock.
    """
    memory, database = case.server.resident_bytes(), case.watch.database_bytes()
    case.fill(many)
    polled = 0
    while polled < many:
        polled += case.poll(1).told.requests
    grown = many - few
    return WaitingRequest(
        memory_bytes=round((case.server.resident_bytes() - memory) / grown),
        database_bytes=round((case.watch.database_bytes() - database) / grown),
        payload_bytes=round(case.watch.payload_bytes()),
    )
