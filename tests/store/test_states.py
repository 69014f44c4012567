"""The database's lists of states against the table of the core; its statements against scans."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from abeyance.pending.states import OPEN, TRANSITIONS, Event, Stage
from abeyance.store.sql import (
    calls,
    changes,
    changes_grants,
    changes_moving,
    changes_opening,
    devices,
    grants,
    inbox,
    parties,
    requests,
)
from abeyance.store.sql.text import DECIDED_STATES, OPEN_STATES, each_of, sql
from abeyance.store.sqlite import connection, schema
from tests.covers import covers


@pytest.fixture
def db(tmp_path: Path) -> Iterator[apsw.Connection]:
    path = tmp_path / "abeyance.db"
    connection.prepare_file(path)
    with closing(connection.connect_writer(path, None)) as db:
        schema.migrate(db)
        yield db


def source_of(db: apsw.Connection, name: str) -> str:
    [[source]] = db.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (name,))
    return str(source)


def states_in(source: str) -> list[list[str]]:
    """Every list of states, sorted, in the order of the source."""
    lists = re.findall(r"\bstate IN \(([^)]*)\)", source)
    return [sorted(re.findall(r"'(\w+)'", each)) for each in lists]


@covers("DTR-POLL-03")
def test_the_table_knows_the_states_of_the_core_and_no_others(db: apsw.Connection) -> None:
    of_request, with_detail = states_in(source_of(db, "request"))
    assert of_request == sorted(Stage)
    assert with_detail == sorted((Stage.AWAITING_INTERACTION, Stage.APPROVED, Stage.DENIED))


def test_the_partial_indexes_hold_what_has_not_ended(db: apsw.Connection) -> None:
    [open_states] = states_in(source_of(db, "request_open"))
    [decided_states] = states_in(source_of(db, "request_approved"))
    assert open_states == sorted(OPEN)
    assert sorted(open_states + decided_states) == sorted(
        stage for stage, row in TRANSITIONS.items() if row
    )
    assert f"WHERE state IN ({OPEN_STATES})" in source_of(db, "request_open")
    assert f"WHERE state IN ({DECIDED_STATES})" in source_of(db, "request_approved")


@covers("DTR-CANC-05")
def test_the_trigger_guards_every_state_without_a_way_out(db: apsw.Connection) -> None:
    [ended] = states_in(source_of(db, "request_stays_ended"))
    assert ended == sorted(stage for stage, row in TRANSITIONS.items() if not row)


STATEMENTS = {
    "find_held": requests.FIND_HELD,
    "find_at": requests.FIND_AT,
    "find_snapshot": requests.FIND_SNAPSHOT,
    "list_ballots": requests.LIST_BALLOTS,
    "find_token": requests.FIND_TOKEN,
    "list_events": requests.LIST_EVENTS,
    "list_interactions": requests.LIST_INTERACTIONS,
    "find_holding": requests.FIND_HOLDING,
    "find_sealed": requests.FIND_SEALED,
    "homes_of_client": grants.HOMES_OF_CLIENT,
    "homes_of_person": grants.HOMES_OF_PERSON,
    "homes_of_consent": grants.HOMES_OF_CONSENT,
    "homes_of_session": grants.HOMES_OF_SESSION,
    "find_code": grants.FIND_CODE,
    "find_refresh": grants.FIND_REFRESH,
    "find_family": grants.FIND_FAMILY,
    "find_grant": grants.FIND_GRANT,
    "open_grant": changes_grants.OPEN_GRANT,
    "live_until": changes_grants.LIVE_UNTIL,
    "add_code": changes_grants.ADD_CODE,
    "spend_code": changes_grants.SPEND_CODE,
    "hold_family": changes_grants.HOLD_FAMILY,
    "use_family": changes_grants.USE_FAMILY,
    "turn_family": changes_grants.TURN_FAMILY,
    "spend_refresh": changes_grants.SPEND_REFRESH,
    "drop_sealed": changes_grants.DROP_SEALED,
    **dict(
        zip(
            ("end_grant", "end_codes", "end_family", "end_device", "end_tokens"),
            changes_grants.END_HOME,
            strict=True,
        )
    ),
    "bind_device": devices.BIND_DEVICE,
    "claim_device": devices.CLAIM_DEVICE,
    "contest_device": devices.CONTEST_DEVICE,
    "answer_device": devices.ANSWER_DEVICE,
    "spend_device": devices.SPEND_DEVICE,
    "find_device": devices.FIND_DEVICE,
    "open_device": devices.OPEN_DEVICE,
    "record_interaction": changes.RECORD_INTERACTION,
    "add_concerns": sql(changes_opening.ADD_CONCERNS, people=each_of("person", 2)),
    "add_to_inbox": sql(changes_opening.ADD_TO_INBOX, reviewers=each_of("reviewer", 2)),
    "find_consent": parties.FIND_CONSENT,
    "drop_consent": parties.DROP_CONSENT,
    "drop_authorizations": calls.DROP_AUTHORIZATIONS,
    "find_authorization": calls.FIND_AUTHORIZATION,
    "drop_calls": calls.DROP_CALLS,
    "find_call": calls.FIND_CALL,
    "open_request": changes_opening.OPEN_REQUEST,
    "add_snapshot": changes_opening.ADD_SNAPSHOT,
    "clear_inbox": changes_moving.CLEAR_INBOX,
    "cast_vote": changes.CAST_VOTE,
    "revoke_token": changes.REVOKE_TOKEN,
    "add_token": changes.ADD_TOKEN,
    "add_event": changes.ADD_EVENT,
    "add_pulse": changes.ADD_PULSE,
    **{f"advance_{event}": changes_moving.ADVANCE[event] for event in Event},
    **{f"raise_{event}": changes_moving.RAISE_VERSION[event] for event in Event},
    **{f"close_{event}": changes_moving.CLOSE_HOME[event] for event in Event},
    "list_waiting": inbox.LIST_WAITING,
    "count_waiting": inbox.COUNT_WAITING,
    "find_client": parties.FIND_CLIENT,
    "put_client": parties.PUT_CLIENT,
    "find_person": parties.FIND_PERSON,
    "find_session": parties.FIND_SESSION,
    "put_session": parties.PUT_SESSION,
    "end_session": parties.END_SESSION,
    "end_sessions_of": parties.END_SESSIONS_OF,
    "use_invitation": parties.USE_INVITATION,
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_hot_statement_searches_by_key_and_never_scans_a_table(
    db: apsw.Connection, name: str
) -> None:
    statement = STATEMENTS[name]
    nothing = dict.fromkeys(re.findall(r":(\w+)", statement))
    plan = [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", nothing)]
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}
    assert tables.isdisjoint(step.split()[1] for step in plan if step.startswith("SCAN"))
