"""Races, shown to fail on a store in which one safeguard is gone.

A race test that passes on broken code is the commonest lie.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from abeyance.pending.change import Change
from abeyance.pending.states import Event
from abeyance.store.sql import changes, changes_grants, changes_moving, changes_opening
from abeyance.store.sql.db import Db
from abeyance.store.sql.text import GRANT_LIVES, STATE
from abeyance.store.suite import Place, StoreSuite
from tests.store.places import place_at

Test = Callable[[StoreSuite], Coroutine[Any, Any, None]]


class Suite(StoreSuite):
    __test__ = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def new_place(self) -> Place:
        return place_at(self.folder / "abeyance.db")


def without(statement: str, safeguard: str) -> str:
    assert safeguard in statement
    return statement.replace(safeguard, "")


VERSION = "AND (:version IS NULL OR version = :version)"


def drop(patch: pytest.MonkeyPatch, trigger: str) -> None:
    """Triggers are the second line of defence: with them, a gap in the first is a fault."""
    apply = changes.apply

    async def drop_and_apply(db: Db, change: Change) -> Any:
        await db.rows(f"DROP TRIGGER IF EXISTS {trigger}")
        return await apply(db, change)

    patch.setattr(changes, "apply", drop_and_apply)


def forget_states(patch: pytest.MonkeyPatch) -> None:
    loose = {
        event: without(statement, VERSION).replace(f"AND {STATE} IN", "AND 'any' NOT IN")
        for event, statement in changes_moving.ADVANCE.items()
    }
    patch.setattr(changes_moving, "ADVANCE", loose)
    drop(patch, "request_stays_ended")


def forget_versions(patch: pytest.MonkeyPatch) -> None:
    for name in ("ADVANCE", "RAISE_VERSION"):
        loose = {
            each: without(text, VERSION) for each, text in getattr(changes_moving, name).items()
        }
        patch.setattr(changes_moving, name, loose)


def forget_clocks(patch: pytest.MonkeyPatch) -> None:
    for name in ("ADVANCE", "RAISE_VERSION"):
        loose = {
            each: text.replace("AND decide_by > :alive_at", "").replace(
                "AND expires_at > :alive_at", ""
            )
            for each, text in getattr(changes_moving, name).items()
        }
        patch.setattr(changes_moving, name, loose)


def forget_quota(patch: pytest.MonkeyPatch) -> None:
    loose = changes_opening.OPEN_REQUEST.replace(":most_of_client >", "1000 >")
    patch.setattr(changes_opening, "OPEN_REQUEST", loose)


def forget_the_person(patch: pytest.MonkeyPatch) -> None:
    loose = changes_opening.OPEN_REQUEST.replace(":most_of_person >", "1000 >")
    patch.setattr(changes_opening, "OPEN_REQUEST", loose)


def forget_the_reviewers(patch: pytest.MonkeyPatch) -> None:
    loose = changes_opening.ADD_TO_INBOX.replace("waiting < :most_of_reviewer", "waiting < 1000")
    patch.setattr(changes_opening, "ADD_TO_INBOX", loose)


def forget_turns(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        changes_opening,
        "ADD_TO_INBOX",
        changes_opening.ADD_TO_INBOX.replace("/ :a_turn", "* 0 / :a_turn"),
    )


def vote_again(patch: pytest.MonkeyPatch) -> None:
    loose = changes.CAST_VOTE.replace("DO NOTHING", "DO UPDATE SET shareable = shareable")
    patch.setattr(changes, "CAST_VOTE", loose)
    drop(patch, "vote_is_final")


def revoke_again(patch: pytest.MonkeyPatch) -> None:
    loose = without(changes.REVOKE_TOKEN, "AND revoked_at IS NULL")
    patch.setattr(changes, "REVOKE_TOKEN", loose)


def keep_the_inbox(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(changes_moving, "CLEAR_INBOX", "DELETE FROM inbox WHERE home = :home AND n = -:n")


def loosen(patch: pytest.MonkeyPatch, name: str, safeguard: str, other: str = "") -> None:
    text = getattr(changes_grants, name)
    assert safeguard in text
    patch.setattr(changes_grants, name, text.replace(safeguard, other))


def spend_again(patch: pytest.MonkeyPatch) -> None:
    loosen(patch, "SPEND_CODE", "AND spent_at IS NULL")
    drop(patch, "code_stays_spent")


def spend_without_ground(patch: pytest.MonkeyPatch) -> None:
    """Closing spends the codes too, so both must be gone."""
    loosen(patch, "SPEND_CODE", f"AND {GRANT_LIVES}")
    spend_again(patch)


def grant_again(patch: pytest.MonkeyPatch) -> None:
    loosen(patch, "OPEN_GRANT", "DO NOTHING", "DO UPDATE SET live_until = live_until")


def turn_any_generation(patch: pytest.MonkeyPatch) -> None:
    for name in ("TURN_FAMILY", "USE_FAMILY"):
        loosen(patch, name, "AND generation = :generation", "AND :generation > 0")


def turn_what_has_ended(patch: pytest.MonkeyPatch) -> None:
    for name in ("TURN_FAMILY", "HOLD_FAMILY"):
        loosen(patch, name, "ended_at IS NULL AND")
    drop(patch, "family_stays_ended")


def keep_tokens_of_a_closed_home(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(changes_grants, "END_HOME", changes_grants.END_HOME[:-1])


def keep_what_lost(patch: pytest.MonkeyPatch) -> None:
    """A lost change that is not taken back."""
    apply = changes.apply

    class Forgetful:
        def __init__(self, db: Db) -> None:
            self.rows = db.rows
            self.hold = db.hold

        async def undo(self) -> None:
            pass

    async def forgetful(db: Db, change: Change) -> Any:
        return await apply(Forgetful(db), change)

    patch.setattr(changes, "apply", forgetful)


BROKEN: list[tuple[Callable[[pytest.MonkeyPatch], None], Test]] = [
    (forget_states, StoreSuite.test_of_fifty_redemptions_one_wins),
    (forget_states, StoreSuite.test_a_redemption_and_a_cancellation_never_both_win),
    (forget_states, StoreSuite.test_an_approval_and_a_denial_never_both_win),
    (forget_states, StoreSuite.test_an_approval_and_a_cancellation_end_cancelled),
    (forget_states, StoreSuite.test_of_simultaneous_cancellations_one_moves_the_request),
    (forget_versions, StoreSuite.test_of_votes_on_one_version_one_wins_and_the_others_weigh_again),
    (forget_versions, StoreSuite.test_a_change_that_saw_an_older_version_loses),
    (
        forget_clocks,
        partial(
            StoreSuite.test_a_decision_counts_until_its_deadline_and_not_at_it, event=Event.APPROVE
        ),
    ),
    (
        forget_clocks,
        partial(
            StoreSuite.test_what_has_expired_is_neither_redeemed_nor_cancelled, event=Event.REDEEM
        ),
    ),
    (keep_the_inbox, partial(StoreSuite.test_what_is_resolved_waits_for_nobody, event=Event.DENY)),
    (forget_quota, StoreSuite.test_of_fifty_requests_at_the_limit_less_one_exactly_one_opens),
    (forget_quota, StoreSuite.test_a_client_at_its_quota_opens_no_more),
    (forget_the_person, StoreSuite.test_no_more_wait_about_one_person_than_the_quota_allows),
    (forget_the_reviewers, StoreSuite.test_no_more_of_one_client_wait_for_one_reviewer),
    (forget_turns, StoreSuite.test_a_client_that_asks_a_lot_does_not_hide_the_others),
    (vote_again, StoreSuite.test_of_one_reviewers_simultaneous_votes_one_counts),
    (revoke_again, StoreSuite.test_a_token_is_revoked_once_and_by_its_client_only),
    (
        spend_again,
        StoreSuite.test_of_two_who_show_a_code_one_defers_and_the_other_leaves_nothing,
    ),
    (
        spend_without_ground,
        partial(
            StoreSuite.test_a_code_that_is_shown_while_its_home_closes_leaves_nothing_alive,
            closed_first=True,
        ),
    ),
    (grant_again, StoreSuite.test_of_simultaneous_answers_to_one_question_one_counts),
    (turn_any_generation, StoreSuite.test_of_twenty_turns_of_a_family_one_is_its_head),
    (
        turn_any_generation,
        StoreSuite.test_a_deferred_and_a_plain_refresh_together_turn_the_family_once,
    ),
    (
        turn_what_has_ended,
        partial(
            StoreSuite.test_whatever_is_collected_while_a_home_closes_has_ended_with_it,
            closed_first=True,
        ),
    ),
    (
        keep_tokens_of_a_closed_home,
        partial(
            StoreSuite.test_whatever_is_collected_while_a_home_closes_has_ended_with_it,
            closed_first=False,
        ),
    ),
    (keep_what_lost, StoreSuite.test_a_code_is_not_spent_by_a_change_that_loses),
    (keep_what_lost, StoreSuite.test_a_second_vote_of_one_reviewer_loses_and_takes_everything_back),
]


@pytest.mark.parametrize(("breaks", "test"), BROKEN)
async def test_the_suite_notices_that_a_safeguard_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: Any, test: Test
) -> None:
    breaks(monkeypatch)
    with pytest.raises((AssertionError, ExceptionGroup)):
        await test(Suite(tmp_path))
