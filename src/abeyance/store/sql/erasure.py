"""Taking a person out of every table, a bounded page at a time: what must stay names a pseudonym.

Their own requests leave tombstones, their grants go with all that came of them. What others
rely on stays: who decided is still told apart from everybody else, under another name. A page
looks at so many rows and at no more; the person's own row goes last, so that an erasure which
was cut short can be done again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from abeyance.parties.person import Person, PersonId
from abeyance.pending.handles import Home
from abeyance.pending.request import Key
from abeyance.store.ports import Disposed
from abeyance.store.sql import disposal, parties, rows
from abeyance.store.sql.db import Db
from abeyance.store.sql.disposal import Page, Place
from abeyance.store.sql.requests import find_at

Turn: TypeAlias = Callable[[Db, dict[str, str], Place, int], Awaitable[Page]]

BEGIN: Final = "INSERT INTO erasure (was, becomes) VALUES (:was, :becomes)"
END: Final = "DELETE FROM erasure"


async def erase(
    db: Db, was: PersonId, becomes: Person, limit: int, after: str | None
) -> tuple[Disposed, tuple[bytes, ...]]:
    """Do one page behind the cursor `after`; after the last one only `becomes` is left."""
    turn, place = (0, ()) if after is None else disposal.parse_cursor(after, len(_TURNS))
    names = {"was": str(was), "becomes": str(becomes.id)}
    await db.rows(BEGIN, names)
    page = await _TURNS[turn](db, names, place, limit)
    await db.rows(END)
    cursor = None
    if page.place is not None:
        cursor = disposal.render_cursor(turn, page.place)
    elif turn + 1 < len(_TURNS):
        cursor = disposal.render_cursor(turn + 1, ())
    else:
        await db.rows("DELETE FROM person WHERE id = :was", {"was": was})
        await parties.put_person(db, becomes)
    return Disposed(page.counts, cursor), page.forgotten


# --- requests that concern them

FIND_CONCERNS: Final = """
    SELECT part, opened_at, home, n
      FROM concern
     WHERE person = :was
     LIMIT :limit
    """

IS_ABOUT: Final = """
    SELECT json_extract(document, '$.person') IS :was
      FROM snapshot
     WHERE home = :home AND n = :n
    """

RENAME: Final = (
    """
    UPDATE snapshot
       SET document = json_set(
               document,
               '$.plan',
               json(replace(json_extract(document, '$.plan'),
                            json_quote(:was), json_quote(:becomes))),
               '$.client_owner',
               iif(json_extract(document, '$.client_owner') IS :was, :becomes,
                   json_extract(document, '$.client_owner')))
     WHERE home = :home AND n = :n
    """,
    """
    UPDATE snapshot
       SET document = json_set(
               document,
               '$.interaction.people',
               json(replace(json_extract(document, '$.interaction.people'),
                            json_quote(:was), json_quote(:becomes))))
     WHERE home = :home AND n = :n
       AND json_extract(document, '$.interaction.people') IS NOT NULL
    """,
    "UPDATE vote SET voter = :becomes WHERE home = :home AND n = :n AND voter = :was",
    "DELETE FROM inbox WHERE home = :home AND n = :n AND reviewer = :was",
    # What was still to be told to them, nobody reads.
    """
    DELETE FROM outbox
     WHERE home = :home AND n = :n
       AND kind = 'mail' AND substr("to", instr("to", ' ') + 1) = :was
    """,
    """
    UPDATE concern
       SET person = :becomes
     WHERE person = :was AND part = :part AND opened_at = :opened_at
       AND home = :home AND n = :n
    """,
)


async def _leave_requests(db: Db, names: dict[str, str], _place: Place, limit: int) -> Page:
    limit = disposal.of_many_rows(limit)
    found = await db.rows(FIND_CONCERNS, {"was": names["was"], "limit": limit})
    forgotten = []
    for part, opened_at, home, n in found:
        at = {"home": home, "n": n}
        about = await db.rows(IS_ABOUT, at | {"was": names["was"]})
        if about == [(1,)]:
            held = await find_at(db, Key(Home(rows.parse_bytes(home)), rows.parse_count(n)))
            if held is not None:
                await disposal.forget_details(db, held)
                forgotten.append(held.handle.digest)
            continue
        for statement in RENAME:
            await db.rows(statement, names | at | {"part": part, "opened_at": opened_at})
    # What was found does not concern them any more, so the next page begins where this one did.
    return Page({"request": len(found)}, () if len(found) == limit else None, tuple(forgotten))


# --- everything else that names them


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """A table without an index by person: it is read through, `key` after `key`. `names` is SQL
    that says whether a row names them; `then` is done to each that does.
    """

    table: str
    key: tuple[str, ...]
    names: str
    then: tuple[str, ...]


_WORDS: Final = """
    UPDATE security_event
       SET actor = iif(actor = 'person:' || :was, 'person:' || :becomes, actor),
           detail = trim(replace(replace(' ' || detail || ' ',
                                         ' ' || :was || ' ', ' ' || :becomes || ' '),
                                 ' ' || :was || ':', ' ' || :becomes || ':'))
     WHERE seq = :seq
    """

NAMINGS: Final = (
    Naming(
        table="user_grant",
        key=("home",),
        names="person = :was",
        then=tuple(
            f"DELETE FROM {table} WHERE home = :home"  # noqa: S608 - our own names
            for table in (
                "code",
                "refresh_token",
                "family",
                "derived",
                "token",
                "assertion",
                "device",
                "user_grant",
            )
        ),
    ),
    Naming(
        table="device",
        key=("home",),
        names="claim_person IS :was OR contested_by IS :was",
        then=(
            """
            UPDATE device
               SET claim_person = NULL, claim_session = NULL, claim_until = NULL,
                   contested_by = NULL
             WHERE home = :home
            """,
        ),
    ),
    # What they allowed for later requests, or were to do by them, answers no more.
    Naming(
        table="standing_approval",
        key=("home", "n"),
        names="approver IS :was OR subject IS :was OR instr(document, json_quote(:was))",
        then=("DELETE FROM standing_approval WHERE home = :home AND n = :n",),
    ),
    # Requests about somebody else, for whom they acted.
    Naming(
        table="snapshot",
        key=("home", "n"),
        names="instr(coalesce(json_extract(document, '$.actor'), ''), json_quote(:was))",
        then=(
            """
            UPDATE snapshot
               SET document = json_set(
                       document,
                       '$.actor',
                       json(replace(json_extract(document, '$.actor'),
                                    '"sub":' || json_quote(:was),
                                    '"sub":' || json_quote(:becomes))))
             WHERE home = :home AND n = :n
            """,
        ),
    ),
    # Issued to somebody without a grant of theirs.
    Naming(
        table="token",
        key=("home", "jti"),
        names="subject = :was",
        then=("DELETE FROM token WHERE home = :home AND jti = :jti",),
    ),
    # Whom a client expected, or who began to sign in: the page or the step is asked for again.
    *(
        Naming(
            table=table,
            key=("digest",),
            names="instr(document, json_quote(:was))",
            then=(f"DELETE FROM {table} WHERE digest = :digest",),  # noqa: S608 - our own names
        )
        for table in ("authorization_request", "pushed_request", "challenge_session")
    ),
    Naming(
        table="interaction",
        key=("rowid",),
        names="json_extract(document, '$.person') = :was",
        then=(
            """
            UPDATE interaction
               SET document = json_set(document, '$.person', :becomes, '$.person_name', '',
                                       '$.answers', json('[]'))
             WHERE rowid = :rowid
            """,
        ),
    ),
    Naming(
        table="audit",
        key=("home", "seq"),
        names="actor = 'person:' || :was OR instr(detail, json_quote(:was))",
        then=(
            """
            UPDATE audit
               SET actor = iif(actor = 'person:' || :was, 'person:' || :becomes, actor),
                   detail = replace(replace(detail,
                       '"subject":' || json_quote(:was), '"subject":' || json_quote(:becomes)),
                       '"sub":' || json_quote(:was), '"sub":' || json_quote(:becomes))
             WHERE home = :home AND seq = :seq
            """,
        ),
    ),
    # Clients have names too: what was done to one of the same name is not about them.
    Naming(
        table="security_event",
        key=("seq",),
        names="actor = 'person:' || :was OR (event NOT GLOB 'client_*' AND instr(detail, :was))",
        then=(_WORDS,),
    ),
    *(
        Naming(
            table=table,
            key=(key,),
            names="person = :was",
            then=(f"DELETE FROM {table} WHERE {key} = :{key}",),  # noqa: S608 - our own names
        )
        for table, key in (("session", "digest"), ("invitation", "digest"))
    ),
)


def _turn(naming: Naming) -> Turn:
    key = ", ".join(naming.key)
    find = f"""
        SELECT {key}, {naming.names}
          FROM {naming.table}
         WHERE ({key}) > ({", ".join(f":after_{name}" for name in naming.key)})
         ORDER BY {key}
         LIMIT :limit
        """  # noqa: S608 - our own names

    async def turn(db: Db, names: dict[str, str], place: Place, limit: int) -> Page:
        # Bytes come after numbers, and there is no smaller number than this.
        after = place or tuple(-1 for _ in naming.key)
        where = {f"after_{name}": value for name, value in zip(naming.key, after, strict=True)}
        found = await db.rows(find, {"was": names["was"], "limit": limit} | where)
        named = 0
        for *keys, is_named in found:
            if not is_named:
                continue
            named += 1
            told = names | dict(zip(naming.key, keys, strict=True))
            for statement in naming.then:
                await db.rows(statement, told)
        more = tuple(found[-1][:-1]) if len(found) == limit else None
        return Page({naming.table: named}, more)

    return turn


DROP_CONSENTS: Final = "DELETE FROM consent WHERE person = :was RETURNING 1"


async def _drop_consents(db: Db, names: dict[str, str], _place: Place, _limit: int) -> Page:
    # One for each client at most, by their own key.
    return Page({"consent": len(await db.rows(DROP_CONSENTS, {"was": names["was"]}))}, None)


_TURNS: Final[tuple[Turn, ...]] = (_leave_requests, _drop_consents, *map(_turn, NAMINGS))
