"""How a request opens, in SQL: within its quotas, for its reviewers, or not at all."""

from typing import Any, Final

from abeyance.pending.change import Open
from abeyance.pending.handles import Home
from abeyance.pending.request import Held, Snapshot
from abeyance.pending.states import OPEN, stage_of
from abeyance.store.sql import rows, rows_snapshot
from abeyance.store.sql.db import Db
from abeyance.store.sql.inbox import A_TURN, LAST_TURN
from abeyance.store.sql.text import HELD, OPEN_STATES, STATE, each_of, named, sql

OPEN_REQUEST: Final = sql(
    """
    INSERT INTO request ({held}, holds_family)
    SELECT :home, :n, :version, :state, :detail, :client, :jkt, :digest,
           :opened_at, :decide_by, :expires_at, :interval, :holds_family
     WHERE :most_of_client > (SELECT count(*)
                                FROM request
                               WHERE client_id = :client
                                 AND state IN ({open})
                                 AND expires_at > :opened_at)
       AND (:person IS NULL
            OR :most_of_person > (SELECT count(*)
                                    FROM (SELECT DISTINCT home, n
                                            FROM inbox
                                           WHERE person = :person
                                             AND decide_by > :opened_at
                                           LIMIT :most_of_person) AS theirs))
       AND (:holds_family = 0
            OR NOT EXISTS (SELECT 1
                             FROM request
                            WHERE home = :home
                              AND holds_family = 1
                              AND {of_state} IN ({open})
                              AND expires_at > :opened_at))
    ON CONFLICT DO NOTHING
    RETURNING n
    """,
    held=HELD,
    of_state=STATE,
    open=OPEN_STATES,
)

ADD_SNAPSHOT: Final = """
    INSERT INTO snapshot (home, n, document)
    VALUES (:home, :n, :document)
    """

# Beyond a few of one client, the others come first (SEC-DOS-09). Whoever has as many of this
# client's as may be is left out, and then the request does not open (EXT-QUEUE-01).
ADD_TO_INBOX: Final = """
    WITH asked AS MATERIALIZED (
        SELECT column1 AS reviewer,
               (SELECT count(*)
                  FROM (SELECT 1
                          FROM inbox
                         WHERE client_id = :client
                           AND reviewer = column1
                           AND decide_by > :opened_at
                         LIMIT :most_of_reviewer) AS theirs) AS waiting
          FROM (VALUES {reviewers}) AS reviewers)
    INSERT INTO inbox (home, n, reviewer, decide_by, client_id, person, turn)
    SELECT :home, :n, reviewer, :decide_by, :client, :person,
           CASE WHEN waiting < :in_turns THEN waiting ELSE :in_turns END / :a_turn
      FROM asked
     WHERE waiting < :most_of_reviewer
    RETURNING n
    """


async def open_request(db: Db, home: Home, step: Open) -> tuple[Held, ...] | None:
    """The request as it opened; `None` if it lost, and then nothing of it may stay."""
    held, snapshot = step.held, step.snapshot
    if held.key.home != home:
        raise ValueError("a request opens at the home of its change")
    if (held.client, held.binding) != (snapshot.client, snapshot.binding):
        raise ValueError("a request has the client and the key of its snapshot")
    # Others of this client, or about this person, may be opening at other homes.
    await db.hold(b"client " + snapshot.client.encode())
    if snapshot.person is not None:
        await db.hold(b"person " + snapshot.person.encode())
    values = rows.held_values(held)
    conditions = {
        "person": snapshot.person,
        "most_of_client": step.at_most.client,
        "most_of_person": step.at_most.person,
        "most_of_reviewer": step.at_most.reviewer,
        "holds_family": int(step.holds_family),
    }
    if not await db.rows(OPEN_REQUEST, values | conditions):
        return None
    at = {"home": home, "n": held.key.n}
    await db.rows(ADD_SNAPSHOT, at | {"document": rows_snapshot.snapshot_document(snapshot)})
    await _add_concerns(db, at | {"opened_at": values["opened_at"]}, snapshot)
    if stage_of(held.state) in OPEN and snapshot.plan.reviewers:
        reviewers = sorted(snapshot.plan.reviewers)
        turns = {"a_turn": A_TURN, "in_turns": A_TURN * LAST_TURN}
        added = await db.rows(
            sql(ADD_TO_INBOX, reviewers=each_of("reviewer", len(reviewers))),
            values | conditions | turns | named("reviewer", reviewers),
        )
        if len(added) < len(reviewers):
            return None
    return (held,)


ADD_CONCERNS: Final = """
    INSERT INTO concern (person, part, opened_at, home, n)
    SELECT column1, :part, :opened_at, :home, :n
      FROM (VALUES {people}) AS people
    """


async def _add_concerns(db: Db, at: dict[str, Any], snapshot: Snapshot) -> None:
    askers = {snapshot.client_owner, snapshot.person} - {None}
    for part, people in (("reviewer", snapshot.plan.reviewers), ("asker", askers)):
        if people:
            await db.rows(
                sql(ADD_CONCERNS, people=each_of("person", len(people))),
                at | {"part": part} | named("person", people),
            )
