"""What the server asks PostgreSQL stays at one home, as the statements' own plans say.

The statements are those that a running server sends, or the exported suite where that goes
further; their plans are of tables in which 20,000 other requests lie: some of each kind, or, as
statistics may say for long after it has changed, hardly one that waits, is approved or lives.
"""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from abeyance.pending.change import (
    Applied,
    CastVote,
    Change,
    DerivedFrom,
    OpenGrant,
    RecordInteraction,
    SealedCopy,
    UseAssertion,
)
from abeyance.pending.exchanged import Source
from abeyance.store.ports import Store
from abeyance.store.postgres.store import PostgresStore
from abeyance.store.suite import Place, StoreSuite
from abeyance.store.suite.derived import an_assertion
from abeyance.store.suite.devices import open_device
from abeyance.store.suite.granted import a_grant, an_interaction, open_family
from abeyance.store.suite.ground import a_ballot, a_home, a_request, a_token, an_event
from abeyance.store.suite.outbox import a_waiting
from abeyance.store.suite.reviewing import a_memory
from tests.postgres.databases import Database, Databases
from tests.postgres.plans import BUSY, QUIET, Access, Crowd, plans_of, recorded
from tests.served import Served, keeping_in, serve

# What the suite is to do meanwhile.
DONE: Final = (
    "test_a_code_is_spent_once_and_remembered",
    "test_a_turned_family_has_a_new_head_and_remembers_the_old_one",
    "test_a_use_without_a_turn_only_begins_the_idle_time_again",
    "test_holding_changes_nothing_and_an_older_generation_turns_nothing",
    "test_one_open_request_holds_a_family_and_is_found",
    "test_a_sealed_copy_is_shown_until_its_request_has_ended",
    "test_a_step_is_recorded_once_and_a_repetition_takes_everything_back",
    "test_a_closed_home_ends_with_all_that_lives_there",
    "test_used_again_it_must_be_the_same_client_key_and_assertion",
    "test_what_was_derived_is_found_by_its_token_and_by_its_home",
    "test_a_claim_may_be_renewed_by_its_holder_and_taken_when_it_is_over",
    "test_the_second_other_account_ends_a_claimed_session",
    "test_of_yes_and_no_at_once_one_counts_and_stays",
    "test_of_twenty_polls_after_the_yes_one_spends_the_code",
    "test_of_two_keys_that_prove_themselves_first_one_binds",
    "test_what_has_expired_can_still_go_stale",
    "test_a_step_that_only_raises_the_version_leaves_the_state",
    "test_a_second_vote_of_one_reviewer_loses_and_takes_everything_back",
    "test_a_token_is_revoked_once_and_by_its_client_only",
    "test_it_is_ended_once_and_stays_so",
    "test_every_end_makes_it_due_but_those_that_its_client_knows",
    "test_it_is_tried_again_when_it_shall_be",
    "test_the_details_go_when_their_time_is_over_and_not_before",
    "test_the_number_of_a_request_that_has_gone_is_not_given_again",
    "test_a_grant_goes_with_all_it_left_when_nothing_of_it_lives",
    "test_events_go_when_their_time_is_over_and_only_then",
)


class Part(StoreSuite):
    """The suite, to be called piece by piece."""

    def __init__(self, database: Database) -> None:
        self._url = database.url

    def new_place(self) -> Place:
        @asynccontextmanager
        async def place() -> AsyncIterator[Store]:
            store = await PostgresStore.open(self._url, lease=0)
            try:
                yield store
            finally:
                await store.close()

        return place


@pytest.fixture(params=[BUSY, QUIET], ids=["busy", "quiet"])
def crowd(request: pytest.FixtureRequest) -> Crowd:
    found: Crowd = request.param
    return found


@pytest.fixture
async def running(database: Database, tmp_path: Path) -> AsyncIterator[Served]:
    with keeping_in(database.url):
        async with serve(tmp_path) as served:
            yield served


async def test_what_happens_to_a_request_touches_its_home_alone(
    running: Served, database: Database, monkeypatch: pytest.MonkeyPatch, crowd: Crowd
) -> None:
    codes = [await running.s1.defer() for _ in range(4)]
    async with recorded(monkeypatch) as asked:
        for code in codes:
            assert (await running.s1.poll(code)).error == "authorization_pending"
        await running.approve(codes[0])
        assert (await running.s1.poll(codes[0])).status == 200
        assert (await running.s1.poll(codes[0])).error == "invalid_grant"
        await running.deny(codes[1])
        assert (await running.s1.poll(codes[1])).error == "access_denied"
        assert (await running.s1.revoke(codes[2])).status == 200
        assert (await running.s1.poll(codes[2])).error == "access_denied"
    found = await plans_of(asked, database, crowd)
    assert tables_of(found) >= {"request", "snapshot", "inbox", "audit"}
    assert [each for each in found if not each.is_by("home")] == []


async def test_what_opens_a_request_counts_by_whose_it_is(
    running: Served, database: Database, monkeypatch: pytest.MonkeyPatch, crowd: Crowd
) -> None:
    """A quota is over all homes of a client or a reviewer: this alone looks beyond a home."""
    async with recorded(monkeypatch) as asked:
        await running.s1.defer()
    found = await plans_of(asked, database, crowd)
    assert tables_of(found) >= {"request", "inbox"}
    by = "home|client_id|reviewer|person"
    assert [each for each in found if not each.is_by(by)] == []


async def test_whatever_is_asked_by_home_stays_there_and_nothing_reads_a_whole_table(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, crowd: Crowd
) -> None:
    """Codes, families, devices, messages, disposal. What is due or over is looked for over all
    homes, by time.
    """
    async with recorded(monkeypatch) as asked:
        for name in DONE:
            async with databases.fresh() as database:
                await getattr(Part(database), name)()
    async with databases.fresh() as database:
        await leave_a_row_of_each(database)
        found = await plans_of(asked, database, crowd)
    at_home = [each for each in found if begins_with_the_home(each.statement)]
    assert tables_of(at_home) >= TABLES
    assert [each for each in at_home if not each.is_by("(source_)?home")] == []
    rest = [each for each in found if each not in at_home]
    assert tables_of(rest) >= {"request", "outbox", "audit", "user_grant"}
    assert [each for each in rest if each.scan == "Seq Scan"] == []


TABLES: Final = {
    *("request", "snapshot", "inbox", "vote", "interaction", "sealed", "outbox", "audit"),
    *("token", "user_grant", "code", "family", "refresh_token", "device", "assertion"),
}


def tables_of(found: Sequence[Access]) -> set[str]:
    return {each.table for each in found}


def begins_with_the_home(text: str) -> bool:
    """Is a home the first thing that each of its conditions asks for?"""
    conditions = re.findall(r"\bWHERE\s+(?:\w+\.)?(\w+) ", text)
    return bool(conditions) and set(conditions) <= {"home", "source_home"}


async def leave_a_row_of_each(database: Database) -> None:
    async with Part(database).open_store() as store:
        home, _ = await open_family(store)
        await open_device(store)
        await a_memory(store)
        steps = (RecordInteraction(1, an_interaction()), CastVote(1, a_ballot()))
        more = (SealedCopy(1, b"sealed"), a_token(home), an_event("something"))
        for change in (
            Change(home, (a_request(home=home),)),
            Change(home, steps, more),
            Change(used := a_home(), (UseAssertion(an_assertion()), OpenGrant(a_grant()))),
            Change(used, (), (DerivedFrom(Source(home, b"jti")),)),
        ):
            assert isinstance(await store.apply(change), Applied)
        await a_waiting(store)
