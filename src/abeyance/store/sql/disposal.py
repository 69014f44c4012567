"""Getting rid of what nobody is owed any more, a bounded page at a time (reading 21).

One table of what goes when (`STOCKS`): a new table of the schema that grows is one line there.
A page looks at so many rows and at no more, whether they may go or not, so that the writer is
never held long; each row is deleted only if what was true when it was found is true still.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import msgspec

from abeyance.access.access import Access
from abeyance.pending.request import Held
from abeyance.pending.states import Approved, AwaitingInteraction, Denied, State
from abeyance.store.ports import Disposed, Retention
from abeyance.store.sql import rows
from abeyance.store.sql.db import Db
from abeyance.store.sql.text import HELD, sql

Age: TypeAlias = Callable[[Retention], timedelta]
Place: TypeAlias = tuple[Any, ...]  # instant and key of a row; empty at the beginning
Turn: TypeAlias = Callable[[Db, Retention, datetime, Place, int], Awaitable["Page"]]


def _details(kept: Retention) -> timedelta:
    return kept.details


def _tombstone(kept: Retention) -> timedelta:
    return kept.tombstone


def _whole(kept: Retention) -> timedelta:
    return kept.details + kept.tombstone


def _audit(kept: Retention) -> timedelta:
    return kept.audit


# --- what goes when


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """Rows of a table that go when the instant `by` is `age` ago, `unless` something holds them.

    `key` names a row, and follows `by` in an index. `unless` is SQL over the row, with
    `:since` (what is older may go) and `:audit` (the same for logs). `first` is done before
    the rows of a page, with `:since`; `then` after each row, with its key.
    """

    table: str
    key: tuple[str, ...]
    by: str
    age: Age
    unless: str = "FALSE"
    first: str | None = None
    then: tuple[str, ...] = ()


ONE_AT_A_TIME: Final = b"disposal"

_MAY_DELETE: Final = """
    INSERT INTO disposal (log, before)
    VALUES ('{log}', :since)
    ON CONFLICT (log) DO UPDATE
       SET before = CASE WHEN disposal.before > excluded.before
                         THEN disposal.before ELSE excluded.before END
    """

STOCKS: Final = (
    # A token that something was derived from is asked for as long as that lives.
    Stock(
        table="token",
        key=("home", "jti"),
        by="expires_at",
        age=_tombstone,
        unless="""
            coalesce(until, 0) > :since
            OR EXISTS (SELECT 1 FROM derived WHERE source_home = token.home
                                               AND source_jti = token.jti)""",
    ),
    # What a person granted goes last of what is at its home.
    Stock(
        table="user_grant",
        key=("home",),
        by="live_until",
        age=_whole,
        unless="""
            EXISTS (SELECT 1 FROM request WHERE home = user_grant.home)
            OR EXISTS (SELECT 1 FROM token WHERE home = user_grant.home)
            OR EXISTS (SELECT 1 FROM derived WHERE source_home = user_grant.home)
            OR EXISTS (SELECT 1 FROM family WHERE home = user_grant.home AND until > :since)""",
        then=(
            "DELETE FROM code WHERE home = :home",
            "DELETE FROM refresh_token WHERE home = :home",
            "DELETE FROM family WHERE home = :home",
            "DELETE FROM derived WHERE home = :home",
        ),
    ),
    Stock(
        table="assertion",
        key=("home",),
        by="expires_at",
        age=_whole,
        unless="EXISTS (SELECT 1 FROM user_grant WHERE home = assertion.home)",
    ),
    # Grants ask whether their session was ended by force, and a host application may show one
    # again that was; one that was ended before it was known says when nobody, and of whom.
    Stock(
        table="session",
        key=("digest",),
        by="seen_at",
        age=_details,
        unless="""
            person = ''
            OR (forced = 1 AND seen_at > :audit)
            OR EXISTS (SELECT 1 FROM user_grant WHERE session = session.digest
                                                  AND ended_at IS NULL)""",
    ),
    Stock(table="outbox", key=("home", "n", "seq"), by="until", age=_tombstone),
    Stock(table="invitation", key=("digest",), by="expires_at", age=_tombstone),
    Stock(table="initial_token", key=("digest",), by="expires_at", age=_tombstone),
    Stock(table="authorization_request", key=("digest",), by="expires_at", age=_tombstone),
    Stock(table="pushed_request", key=("digest",), by="expires_at", age=_tombstone),
    Stock(table="device", key=("home",), by="expires_at", age=_tombstone),
    Stock(table="challenge_session", key=("digest",), by="expires_at", age=_tombstone),
    Stock(table="call", key=("key",), by="until", age=_tombstone),
    Stock(table="reservation", key=("key",), by="until", age=_tombstone),
    Stock(table="refusal", key=("essence",), by="last_at", age=_details),
    Stock(table="standing_approval", key=("home", "n"), by="until", age=_tombstone),
    Stock(
        table="audit",
        key=("home", "seq"),
        by="at",
        age=_audit,
        first=_MAY_DELETE.format(log="audit"),
    ),
    Stock(
        table="security_event",
        key=("seq",),
        by="at",
        age=_audit,
        first=_MAY_DELETE.format(log="security_event"),
    ),
)


@dataclass(frozen=True, slots=True)
class Page:
    """What one page did: how many rows of each kind went, and whose requests the store's
    memory must forget. `place`: the last row that was looked at, `None` at the end.
    """

    counts: Mapping[str, int]
    place: Place | None
    forgotten: tuple[bytes, ...] = ()


async def dispose(
    db: Db, kept: Retention, now: datetime, limit: int, after: str | None
) -> tuple[Disposed, tuple[bytes, ...]]:
    """Do one page behind the cursor `after`: the turns come one after the other."""
    await db.hold(ONE_AT_A_TIME)
    turn, place = (0, ()) if after is None else parse_cursor(after, len(_TURNS))
    page = await _TURNS[turn](db, kept, now, place, limit)
    cursor = None
    if page.place is not None:
        cursor = render_cursor(turn, page.place)
    elif turn + 1 < len(_TURNS):
        cursor = render_cursor(turn + 1, ())
    return Disposed(page.counts, cursor), page.forgotten


def render_cursor(turn: int, place: Place) -> str:
    return msgspec.json.encode(
        [turn, *(each.hex() if isinstance(each, bytes) else each for each in place)]
    ).decode()


def parse_cursor(cursor: str, turns: int) -> tuple[int, Place]:
    try:
        turn, *place = _CURSOR.decode(cursor)
        found = tuple(bytes.fromhex(each) if isinstance(each, str) else each for each in place)
    except (msgspec.DecodeError, ValueError):
        raise ValueError("not a cursor of this store") from None
    if not isinstance(turn, int) or not 0 <= turn < turns:
        raise ValueError("not a cursor of this store")
    return turn, found


_CURSOR: Final = msgspec.json.Decoder(list[int | str])

# --- requests: first what they say, later that they were

FIND_OVER: Final = sql(
    """
    SELECT {held}
      FROM request
     WHERE disposed = :disposed AND expires_at <= :since
     ORDER BY expires_at
     LIMIT :limit
    """,
    held=HELD,
)

# As they were made when it opened: no index finds the concerns of a request.
FIND_ASKED: Final = "SELECT document FROM snapshot WHERE home = :home AND n = :n"

FORGET_CONCERN: Final = """
    DELETE FROM concern
     WHERE person = :person AND part = :part AND opened_at = :opened_at
       AND home = :home AND n = :n
    """

# What was asked, by whom, who decided it and why: nothing of it is left but how it ended.
FORGET_DETAILS: Final = (
    *(
        f"DELETE FROM {table} WHERE home = :home AND n = :n"  # noqa: S608 - our own names
        for table in ("repetition", "sealed", "inbox", "vote", "interaction", "snapshot")
    ),
    "DELETE FROM outbox WHERE home = :home AND n = :n AND kind = 'mail'",
)

LEAVE_TOMBSTONE: Final = """
    UPDATE request
       SET disposed = 1, detail = :detail
     WHERE home = :home AND n = :n
    """

DROP_REQUEST: Final = "DELETE FROM request WHERE home = :home AND n = :n"
KEEP_NUMBER: Final = "UPDATE user_grant SET past_n = :n WHERE home = :home AND past_n < :n"


async def _forget_details(
    db: Db, kept: Retention, now: datetime, _place: Place, limit: int
) -> Page:
    limit = of_many_rows(limit)
    over = await _find_over(db, now - kept.details, limit, disposed=False)
    for held in over:
        await forget_details(db, held)
    return _page_of_requests("details", over, limit)


async def forget_details(db: Db, held: Held) -> None:
    """Leave a tombstone of a request."""
    at = {"home": held.key.home, "n": held.key.n}
    opened = at | {"opened_at": rows.micros(held.opened_at)}
    for (document,) in await db.rows(FIND_ASKED, at):
        asked = rows.parse_json(str(document))
        for person in asked["plan"]["reviewers"]:
            await db.rows(FORGET_CONCERN, opened | {"part": "reviewer", "person": person})
        for person in {asked["client_owner"], asked.get("person")} - {None}:
            await db.rows(FORGET_CONCERN, opened | {"part": "asker", "person": person})
    for statement in FORGET_DETAILS:
        await db.rows(statement, at)
    await db.rows(LEAVE_TOMBSTONE, at | {"detail": rows.state_detail(_bare(held.state))})


async def _drop_tombstones(
    db: Db, kept: Retention, now: datetime, _place: Place, limit: int
) -> Page:
    over = await _find_over(db, now - kept.details - kept.tombstone, limit, disposed=True)
    for held in over:
        at = {"home": held.key.home, "n": held.key.n}
        await db.rows(KEEP_NUMBER, at)
        await db.rows(DROP_REQUEST, at)
    return _page_of_requests("request", over, limit)


def of_many_rows(limit: int) -> int:
    """How many things fill a page of which each has rows in several tables."""
    return max(1, limit // 5)


async def _find_over(db: Db, since: datetime, limit: int, *, disposed: bool) -> Sequence[Held]:
    where = {"disposed": int(disposed), "since": rows.micros(since), "limit": limit}
    return [rows.parse_held(row) for row in await db.rows(FIND_OVER, where)]


def _page_of_requests(kind: str, over: Sequence[Held], limit: int) -> Page:
    # Whatever is found is done with, so the next page begins where this one did.
    place = () if len(over) == limit else None
    return Page({kind: len(over)}, place, tuple(held.handle.digest for held in over))


def _bare(state: State) -> State:
    """The same end, without a word of what it was about."""
    match state:
        case Approved(until=until):
            return Approved(_NOTHING, until)
        case AwaitingInteraction():
            return replace(state, note=None)
        case Denied():
            return replace(state, remark=None)
        case _:
            return state


_NOTHING: Final = Access(frozenset(), frozenset(), (), timedelta(0))

# --- everything else


def _turn(stock: Stock) -> Turn:
    names = (stock.by, *stock.key)
    values = tuple(f":after_{name}" for name in names)
    find = sql(
        """
        SELECT {names}
          FROM {table}
         WHERE {by} <= :since AND ({names}) > ({after})
         ORDER BY {names}
         LIMIT :limit
        """,
        table=stock.table,
        by=stock.by,
        names=", ".join(names),
        after=", ".join(values),
    )
    drop = sql(
        """
        DELETE FROM {table}
         WHERE {key} AND {by} /*! + 0 */ <= :since AND NOT ({unless})
        RETURNING 1
        """,  # by its key, whatever PostgreSQL thinks of how few are so old (see `text`)
        table=stock.table,
        by=stock.by,
        key=" AND ".join(f"{name} = :{name}" for name in stock.key),
        unless=stock.unless,
    )

    async def turn(db: Db, kept: Retention, now: datetime, place: Place, limit: int) -> Page:
        since = {"since": rows.micros(now - stock.age(kept))}
        told = since | {"audit": rows.micros(now - kept.audit)}
        if stock.first is not None:
            await db.rows(stock.first, since)
        # Nothing is older than the first instant there is, whatever its key.
        after = place or (-1, *(None for _ in stock.key))
        limit = of_many_rows(limit) if stock.then else limit
        where = {f"after_{name}": value for name, value in zip(names, after, strict=True)}
        found = await db.rows(find, where | since | {"limit": limit})
        gone = 0
        for row in found:
            key = dict(zip(stock.key, row[1:], strict=True))
            if await db.rows(drop, key | told):
                gone += 1
                for statement in stock.then:
                    await db.rows(statement, key)
        return Page({stock.table: gone}, tuple(found[-1]) if len(found) == limit else None)

    return turn


_TURNS: Final[tuple[Turn, ...]] = (_forget_details, _drop_tombstones, *map(_turn, STOCKS))
