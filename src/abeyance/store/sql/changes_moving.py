"""How a request moves and ends, in SQL: by the table of `pending.states`, and in time.

The lists of states come from that table; the clocks of the events are here (`_CLOCK`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from abeyance.pending.change import Advance, CloseHome
from abeyance.pending.handles import Home
from abeyance.pending.request import Held
from abeyance.pending.states import (
    OPEN,
    TRANSITIONS,
    Event,
    Stage,
    State,
    stage_after,
    stage_of,
    stages_before,
)
from abeyance.store.sql import changes_grants, outbox, rows
from abeyance.store.sql.db import Db
from abeyance.store.sql.text import HELD, STATE, sql, sql_list

_CLOCK: Final[Mapping[Event, str | None]] = {
    Event.INTERACTION_ASKED: "expires_at",
    Event.INTERACTION_DONE: "expires_at",
    Event.APPROVE: "decide_by",
    Event.DENY: "decide_by",
    Event.CANCEL: "expires_at",
    Event.STALE: None,
    Event.REDEEM: "expires_at",
}


def _advance_sql(event: Event, *, resolves: bool) -> str:
    column = _CLOCK[event]
    return sql(
        """
        UPDATE request
           SET version = version + 1{and_state}
         WHERE home = :home AND n = :n
           AND (:version IS NULL OR version = :version)
           AND {of_state} IN ({before}){and_clock}
        RETURNING {held}
        """,
        of_state=STATE,
        and_state=", state = :state, detail = :detail" if resolves else "",
        before=sql_list(stages_before(event)),
        and_clock=f" AND {column} > :alive_at" if column else "",
        held=HELD,
    )


ADVANCE: Final = {event: _advance_sql(event, resolves=True) for event in Event}
RAISE_VERSION: Final = {event: _advance_sql(event, resolves=False) for event in Event}

CLOSE_HOME: Final = {
    event: sql(
        """
        UPDATE request
           SET version = version + 1, state = :state, detail = :detail
         WHERE home = :home
           AND {of_state} IN ({before})
           AND (:at IS NULL OR expires_at > :at)
        RETURNING {held}
        """,
        of_state=STATE,
        before=sql_list(stages_before(event)),
        held=HELD,
    )
    for event in Event
}

CLEAR_INBOX: Final = """
    DELETE FROM inbox
     WHERE home = :home AND n = :n
    """


async def advance(db: Db, home: Home, step: Advance) -> tuple[Held, ...] | None:
    """The request as it moved; `None` if it is not where it should be, or too late."""
    where: dict[str, Any] = {"home": home, "n": step.n, "version": step.version}
    if _CLOCK[step.event]:
        where["alive_at"] = rows.micros(step.alive_at)
    if step.to is None:
        found = await db.rows(RAISE_VERSION[step.event], where)
    else:
        found = await db.rows(ADVANCE[step.event], where | _to(step.event, step.to))
    if not found:
        return None
    held = rows.parse_held(found[0])
    await _leave_inbox(db, held)
    await _tell(db, held, step.alive_at, quiet=step.quiet)
    return (held,)


async def close_home(db: Db, home: Home, step: CloseHome) -> tuple[Held, ...]:
    """The requests that ended; everything else that lives at the home ends with them."""
    at = None if step.at is None else rows.micros(step.at)
    where = {"home": home, "at": at} | _to(step.event, step.to)
    closed = tuple(map(rows.parse_held, await db.rows(CLOSE_HOME[step.event], where)))
    for held in closed:
        await _leave_inbox(db, held)
        await _tell(db, held, step.at or held.opened_at)
    await changes_grants.end_home(db, home, step)
    return closed


async def _leave_inbox(db: Db, held: Held) -> None:
    stage = stage_of(held.state)
    if stage not in OPEN:
        await db.rows(CLEAR_INBOX, {"home": held.key.home, "n": held.key.n})
    if not TRANSITIONS[stage]:
        await changes_grants.drop_sealed(db, held.key.home, held.key.n)


async def _tell(db: Db, held: Held, at: datetime, *, quiet: bool = False) -> None:
    """Whoever waits to hear of the end of this request hears of it now."""
    stage = stage_of(held.state)
    if stage in OPEN:
        return
    if quiet or stage is Stage.REDEEMED:
        await outbox.suppress(db, held.key)
    await outbox.fall_due(db, held.key, at)


def _to(event: Event, state: State) -> dict[str, Any]:
    stage = stage_of(state)
    if all(stage_after(before, event) is not stage for before in stages_before(event)):
        raise ValueError(f"{event} never leads to {stage}")
    return {"state": stage.value, "detail": rows.state_detail(state)}
