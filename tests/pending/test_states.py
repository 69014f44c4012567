"""The table of states, cell by cell, and what the clock makes of it (readings 1 and 3)."""

from datetime import datetime, timedelta, timezone

import pytest

from abeyance.pending.states import (
    OPEN,
    TRANSITIONS,
    AwaitingInteraction,
    Cancelled,
    Denied,
    Event,
    Expired,
    Outcome,
    Pending,
    Redeemed,
    Stage,
    State,
    stage_after,
    stage_of,
    stages_before,
)
from tests.covers import covers
from tests.pending.examples import LIFE, NOW, SECOND, approved, held

# Written from the requirements, not from the code; `-` changes nothing.
EXPECTED = """
                     | asked    | done    | approve  | deny   | cancel    | stale  | redeem
pending              | awaiting | -       | approved | denied | cancelled | denied | -
awaiting_interaction | awaiting | pending | approved | denied | cancelled | denied | -
approved             | -        | -       | -        | -      | cancelled | denied | redeemed
denied               | -        | -       | -        | -      | -         | -      | -
cancelled            | -        | -       | -        | -      | -         | -      | -
redeemed             | -        | -       | -        | -      | -         | -      | -
"""
COLUMNS = {
    "asked": Event.INTERACTION_ASKED,
    "done": Event.INTERACTION_DONE,
    "approve": Event.APPROVE,
    "deny": Event.DENY,
    "cancel": Event.CANCEL,
    "stale": Event.STALE,
    "redeem": Event.REDEEM,
}
STATES: dict[Stage, State] = {
    Stage.PENDING: Pending(),
    Stage.AWAITING_INTERACTION: AwaitingInteraction(1),
    Stage.APPROVED: approved(),
    Stage.DENIED: Denied(Outcome.DENIED),
    Stage.CANCELLED: Cancelled(),
    Stage.REDEEMED: Redeemed(),
}


def expected_cells() -> dict[tuple[Stage, Event], Stage | None]:
    head, *rows = (
        [cell.strip() for cell in line.split("|")] for line in EXPECTED.strip("\n").splitlines()
    )
    words: dict[str, Stage | None] = {stage.value: stage for stage in Stage}
    words |= {"awaiting": Stage.AWAITING_INTERACTION, "-": None}
    return {
        (Stage(row[0]), COLUMNS[name]): words[cell]
        for row in rows
        for name, cell in zip(head[1:], row[1:], strict=True)
    }


CELLS = expected_cells()


@covers("DTR-POLL-03", "DTR-CANC-02", "DTR-CANC-05", "DTR-OK-03", "T-254")
@pytest.mark.parametrize(("stage", "event"), [(stage, event) for stage in Stage for event in Event])
def test_each_event_leads_where_the_requirements_say(stage: Stage, event: Event) -> None:
    assert stage_after(stage, event) == CELLS[stage, event]


def test_the_table_speaks_of_every_stage_and_of_no_more() -> None:
    assert set(TRANSITIONS) == set(Stage)
    assert set(CELLS) == {(stage, event) for stage in Stage for event in Event}


@pytest.mark.parametrize("event", Event)
def test_the_stores_conditions_are_the_same_table_read_by_column(event: Event) -> None:
    assert set(stages_before(event)) == {
        stage for stage in Stage if CELLS[stage, event] is not None
    }


@covers("DTR-OK-03", "DTR-CANC-05", "T-254")
def test_nothing_leads_out_of_an_end_and_one_thing_leads_to_a_token() -> None:
    ends = {Stage.DENIED, Stage.CANCELLED, Stage.REDEEMED}
    assert all(stage_after(end, event) is None for end in ends for event in Event)
    assert stages_before(Event.REDEEM) == (Stage.APPROVED,)
    # And what was approved is never open again, so a decision cannot be repeated.
    assert not {stage_after(Stage.APPROVED, event) for event in Event} & set(OPEN)


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_has_a_state_of_its_own(stage: Stage) -> None:
    assert stage_of(STATES[stage]) is stage


def test_open_is_what_can_still_be_decided() -> None:
    assert set(OPEN) == set(stages_before(Event.APPROVE)) == set(stages_before(Event.DENY))


# --- the clock


@covers("DTR-RD-01", "DTR-RESP-03", "T-094", "T-095", "T-118", "EXT-DECIDE-12")
@pytest.mark.parametrize(
    "stage", [Stage.PENDING, Stage.AWAITING_INTERACTION, Stage.APPROVED], ids=str
)
def test_expiry_wins_over_what_waits_and_over_what_nobody_collected(stage: Stage) -> None:
    request = held(STATES[stage])
    assert request.state_at(request.expires_at - timedelta(microseconds=1)) == STATES[stage]
    assert request.state_at(request.expires_at) == Expired()
    assert request.state_at(request.expires_at + 365 * 24 * 3600 * SECOND) == Expired()


@covers("DTR-RD-03", "T-096")
@pytest.mark.parametrize("stage", [Stage.DENIED, Stage.CANCELLED, Stage.REDEEMED], ids=str)
def test_what_has_ended_stays_as_it_ended_past_expiry(stage: Stage) -> None:
    request = held(STATES[stage])
    assert request.state_at(request.expires_at - SECOND) == STATES[stage]
    assert request.state_at(request.expires_at + LIFE) == STATES[stage]


@covers("T-119")
def test_an_instant_counts_in_whatever_time_zone_it_is_given() -> None:
    request = held()
    for hours in (-11, 0, 5.75, 14):
        zone = timezone(timedelta(hours=hours))
        assert request.state_at((NOW + LIFE - SECOND).astimezone(zone)) == Pending()
        assert request.state_at((NOW + LIFE).astimezone(zone)) == Expired()


@covers("T-119")
def test_a_clock_that_was_wrong_for_a_while_has_changed_nothing() -> None:
    request = held()
    before = request.state_at(NOW)
    request.state_at(NOW + timedelta(hours=1))
    assert request.state_at(NOW) == before == Pending()


def test_a_naive_clock_is_a_fault_and_not_an_answer() -> None:
    with pytest.raises(TypeError):
        held().state_at(datetime(2026, 10, 1))  # noqa: DTZ001  # the mistake under test
