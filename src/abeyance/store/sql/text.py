"""What the statements have in common: lists of columns and lists of states.

A statement stands as plain SQL beside the function that runs it; `sql` fills in
lists that have one home elsewhere, at import. Values are always bound.
"""

from collections.abc import Iterable
from typing import Final

from abeyance.pending.states import OPEN, TRANSITIONS, Stage


def sql(text: str, **lists: str) -> str:
    """Fill `{name}` with a list of ours (never with a value)."""
    for name, part in lists.items():
        text = text.replace("{" + name + "}", part)
    return text


def each_of(name: str, count: int) -> str:
    """The rows of a `VALUES` with so many parameters; `named` gives them their values."""
    return ", ".join(f"(:{name}_{number})" for number in range(count))


def named(name: str, values: Iterable[object]) -> dict[str, object]:
    return {f"{name}_{number}": value for number, value in enumerate(values)}


def sql_list(stages: Iterable[Stage]) -> str:
    return ", ".join(f"'{stage}'" for stage in stages)


# Spelt as the partial indexes spell them, or SQLite does not see that the index applies.
OPEN_STATES: Final = sql_list(OPEN)
DECIDED_STATES: Final = sql_list(
    stage for stage, row in TRANSITIONS.items() if row and stage not in OPEN
)

# Where the key finds the row. While its statistics say that next to nothing is in another index
# (a partial one, or beyond an instant), PostgreSQL would rather read all of that than look up the
# key, and it goes on so when much has come in: 92 ms for a redemption beside 94,000 that were
# approved since. So it is kept from seeing that such an index would do. SQLite, to which this is
# a comment, takes the key anyway.
STATE: Final = "state /*! || '' */"
GRANT_LIVES: Final = (
    "EXISTS (SELECT 1 FROM user_grant WHERE home = :home AND ended_at /*! + 0 */ IS NULL)"
)

HELD: Final = (
    "home, n, version, state, detail, client_id, jkt, handle_digest,"
    " opened_at, decide_by, expires_at, interval"
)
BALLOT: Final = (
    "voter, verdict, granted, reason, shareable, seen, shown, version, at, authenticated"
)
TOKEN: Final = "jti, n, client_id, subject, issued_at, expires_at, revoked_at, until"
EVENT: Final = "n, at, event, actor, detail"

USER_GRANT: Final = (
    "client_id, person, session, consent, auth_time, opened_at, live_until, ended_at"
)
FAMILY: Final = "generation, head, granted, jkt, approved, opened_at, idle_until, until, ended_at"
ASSERTION: Final = "issuer, subject, jti, digest, client_id, jkt, used_at, expires_at"
REFRESH: Final = "digest, generation, issued_at, spent_at, successor"
