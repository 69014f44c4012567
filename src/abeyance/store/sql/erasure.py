"""Taking a person out of every table, a bounded page at a time: what must stay names a pseudonym.

Their own requests leave tombstones, their grants go with all that came of them. What others
rely on stays: who decided is still told apart from everybody else, under another name. A page
looks at so many rows and at no more; the person's own row goes last, so that an erasure which
was cut short can be done again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from abeyance.parties.person import Person, PersonId
from abeyance.pending.handles import Home
from abeyance.pending.request import Key
from abeyance.store.ports import Disposed
from abeyance.store.sql import disposal, parties, rows
from abeyance.store.sql.db import Db
from abeyance.store.sql.disposal import Page, Place
from abeyance.store.sql.requests import find_at
from abeyance.wire.strict_json import JsonObject

Names: TypeAlias = dict[str, str]  # `was` and `becomes`
Turn: TypeAlias = Callable[[Db, Names, Place, int], Awaitable[Page]]

BEGIN: Final = "INSERT INTO erasure (was, becomes) VALUES (:was, :becomes)"
END: Final = "DELETE FROM erasure"


async def erase(
    db: Db, was: PersonId, becomes: Person, limit: int, after: str | None
) -> tuple[Disposed, tuple[bytes, ...]]:
    """Do one page behind the cursor `after`; after the last one only `becomes` is left."""
    await db.hold(disposal.ONE_AT_A_TIME)
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

FIND_SNAPSHOT: Final = "SELECT document FROM snapshot WHERE home = :home AND n = :n"
PUT_SNAPSHOT: Final = "UPDATE snapshot SET document = :document WHERE home = :home AND n = :n"

RENAME: Final = (
    "UPDATE vote SET voter = :becomes WHERE home = :home AND n = :n AND voter = :was",
    "DELETE FROM inbox WHERE home = :home AND n = :n AND reviewer = :was",
    # What was still to be told to them, nobody reads.
    """
    DELETE FROM outbox
     WHERE home = :home AND n = :n AND kind = 'mail' AND "to" LIKE '% ' || :as_pattern ESCAPE '!'
    """,
    """
    UPDATE concern
       SET person = :becomes
     WHERE person = :was AND part = :part AND opened_at = :opened_at
       AND home = :home AND n = :n
    """,
)


async def _leave_requests(db: Db, names: Names, _place: Place, limit: int) -> Page:
    limit = disposal.of_many_rows(limit)
    found = await db.rows(FIND_CONCERNS, {"was": names["was"], "limit": limit})
    forgotten = []
    for part, opened_at, home, n in found:
        at = {"home": home, "n": n}
        [[document]] = await db.rows(FIND_SNAPSHOT, at) or [[None]]
        asked = {} if document is None else rows.parse_json(str(document))
        if asked.get("person") == names["was"]:
            held = await find_at(db, Key(Home(rows.parse_bytes(home)), rows.parse_count(n)))
            if held is not None:
                await disposal.forget_details(db, held)
                forgotten.append(held.handle.digest)
            continue
        if asked:
            document = rows.render_json(_without(asked, names))
            await db.rows(PUT_SNAPSHOT, at | {"document": document})
        concern = {"part": part, "opened_at": opened_at, "as_pattern": _as_pattern(names["was"])}
        for statement in RENAME:
            await db.rows(statement, names | at | concern)
    # What was found does not concern them any more, so the next page begins where this one did.
    return Page({"request": len(found)}, () if len(found) == limit else None, tuple(forgotten))


def _without(asked: dict[str, Any], names: Names) -> JsonObject:
    """The snapshot of somebody else's request, with them under another name."""
    renamed = partial(_renamed, names=names)
    plan = asked["plan"]
    asked |= {
        "plan": plan | {"reviewers": sorted(map(renamed, plan["reviewers"]))},
        "client_owner": renamed(asked["client_owner"]),
    }
    interaction = asked.get("interaction")
    if interaction is not None:
        asked["interaction"] = interaction | {"people": sorted(map(renamed, interaction["people"]))}
    return asked


def _renamed(person: Any, names: Names) -> Any:
    return names["becomes"] if person == names["was"] else person


def _as_pattern(text: str) -> str:
    """Text as `LIKE` finds it."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


# --- everything else that names them


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """A table without an index by person: it is read through, `key` after `key`.

    `names` says of the values of `columns` whether they name them; `then` is done to each row
    that does, with the key and what `becomes` makes of the columns as its parameters.
    """

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    names: Callable[[Names, Sequence[Any]], bool]
    then: tuple[str, ...]
    becomes: Callable[[Names, Sequence[Any]], dict[str, str]] = lambda _names, _values: {}


def _is_one(names: Names, values: Sequence[Any]) -> bool:
    """One of the columns is their name."""
    return names["was"] in values


def _quotes(names: Names, values: Sequence[Any]) -> bool:
    """A document has their name as one of its strings."""
    return rows.render_json(names["was"]) in values[-1]


def _acts(names: Names, values: Sequence[Any]) -> bool:
    actor = rows.parse_json(values[0]).get("actor")
    return actor is not None and _quotes(names, (rows.render_json(actor),))


def _acts_as_another(names: Names, values: Sequence[Any]) -> dict[str, str]:
    asked = rows.parse_json(values[0])
    actor = _under("sub", rows.render_json(asked["actor"]), names)
    return {"document": rows.render_json(asked | {"actor": rows.parse_json(actor)})}


def _took_the_step(names: Names, values: Sequence[Any]) -> bool:
    return bool(rows.parse_json(values[0])["person"] == names["was"])


def _somebody_took_it(names: Names, values: Sequence[Any]) -> dict[str, str]:
    done = rows.parse_json(values[0])
    bare = {"person": names["becomes"], "person_name": "", "answers": []}
    return {"document": rows.render_json(done | bare)}


def _is_actor(names: Names, actor: str) -> bool:
    return actor == f"person:{names['was']}"


def _in_audit(names: Names, values: Sequence[Any]) -> bool:
    return _is_actor(names, values[0]) or _quotes(names, values)


def _audit_of_another(names: Names, values: Sequence[Any]) -> dict[str, str]:
    actor, detail = values
    for member in ("subject", "sub"):
        detail = _under(member, detail, names)
    return {"actor": _actor_of_another(names, actor), "detail": detail}


def _actor_of_another(names: Names, actor: str) -> str:
    return f"person:{names['becomes']}" if _is_actor(names, actor) else actor


def _under(member: str, document: str, names: Names) -> str:
    """The same with their pseudonym as this member's value, wherever it stands."""
    was, becomes = (f'"{member}":{rows.render_json(names[each])}' for each in ("was", "becomes"))
    return document.replace(was, becomes)


def _in_security_log(names: Names, values: Sequence[Any]) -> bool:
    # Clients have names too: what was done to one of the same name is not about them.
    event, actor, detail = values
    return _is_actor(names, actor) or (not event.startswith("client_") and names["was"] in detail)


def _words_of_another(names: Names, values: Sequence[Any]) -> dict[str, str]:
    _, actor, detail = values
    was, becomes = names["was"], names["becomes"]
    words = f" {detail} ".replace(f" {was} ", f" {becomes} ").replace(f" {was}:", f" {becomes}:")
    return {"actor": _actor_of_another(names, actor), "detail": words.strip(" ")}


NAMINGS: Final = (
    Naming(
        table="user_grant",
        key=("home",),
        columns=("person",),
        names=_is_one,
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
        columns=("claim_person", "contested_by"),
        names=_is_one,
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
        columns=("approver", "subject", "document"),
        names=lambda names, values: _is_one(names, values) or _quotes(names, values),
        then=("DELETE FROM standing_approval WHERE home = :home AND n = :n",),
    ),
    # Requests about somebody else, for whom they acted.
    Naming(
        table="snapshot",
        key=("home", "n"),
        columns=("document",),
        names=_acts,
        then=(PUT_SNAPSHOT,),
        becomes=_acts_as_another,
    ),
    # Issued to somebody without a grant of theirs.
    Naming(
        table="token",
        key=("home", "jti"),
        columns=("subject",),
        names=_is_one,
        then=("DELETE FROM token WHERE home = :home AND jti = :jti",),
    ),
    # Whom a client expected, or who began to sign in: the page or the step is asked for again.
    *(
        Naming(
            table=table,
            key=("digest",),
            columns=("document",),
            names=_quotes,
            then=(f"DELETE FROM {table} WHERE digest = :digest",),  # noqa: S608 - our own names
        )
        for table in ("authorization_request", "pushed_request", "challenge_session")
    ),
    Naming(
        table="interaction",
        key=("home", "n", "number"),
        columns=("document",),
        names=_took_the_step,
        then=(
            """
            UPDATE interaction
               SET document = :document
             WHERE home = :home AND n = :n AND number = :number
            """,
        ),
        becomes=_somebody_took_it,
    ),
    Naming(
        table="audit",
        key=("home", "seq"),
        columns=("actor", "detail"),
        names=_in_audit,
        then=(
            """
            UPDATE audit
               SET actor = :actor, detail = :detail
             WHERE home = :home AND seq = :seq
            """,
        ),
        becomes=_audit_of_another,
    ),
    Naming(
        table="security_event",
        key=("seq",),
        columns=("event", "actor", "detail"),
        names=_in_security_log,
        then=("UPDATE security_event SET actor = :actor, detail = :detail WHERE seq = :seq",),
        becomes=_words_of_another,
    ),
    *(
        Naming(
            table=table,
            key=(key,),
            columns=("person",),
            names=_is_one,
            then=(f"DELETE FROM {table} WHERE {key} = :{key}",),  # noqa: S608 - our own names
        )
        for table, key in (("session", "digest"), ("invitation", "digest"))
    ),
)

_NUMBERS: Final = frozenset({"n", "number", "seq"})


def _turn(naming: Naming) -> Turn:
    key, width = ", ".join(naming.key), len(naming.key)
    find = f"""
        SELECT {key}, {", ".join(naming.columns)}
          FROM {naming.table}
         WHERE ({key}) > ({", ".join(f":after_{name}" for name in naming.key)})
         ORDER BY {key}
         LIMIT :limit
        """  # noqa: S608 - our own names
    first = tuple(-1 if name in _NUMBERS else b"" for name in naming.key)

    async def turn(db: Db, names: Names, place: Place, limit: int) -> Page:
        after = place or first
        where = {f"after_{name}": value for name, value in zip(naming.key, after, strict=True)}
        found = await db.rows(find, {"limit": limit} | where)
        named = 0
        for row in found:
            values = tuple(row[width:])
            if not naming.names(names, values):
                continue
            named += 1
            told = dict(zip(naming.key, row[:width], strict=True))
            for statement in naming.then:
                await db.rows(statement, told | naming.becomes(names, values))
        more = tuple(found[-1][:width]) if len(found) == limit else None
        return Page({naming.table: named}, more)

    return turn


DROP_CONSENTS: Final = "DELETE FROM consent WHERE person = :was RETURNING 1"


async def _drop_consents(db: Db, names: Names, _place: Place, _limit: int) -> Page:
    # One for each client at most, by their own key.
    return Page({"consent": len(await db.rows(DROP_CONSENTS, {"was": names["was"]}))}, None)


_TURNS: Final[tuple[Turn, ...]] = (_leave_requests, _drop_consents, *map(_turn, NAMINGS))
