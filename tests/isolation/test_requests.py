"""Requests about one deferral, in every order (T-151 to T-157, T-161; SEC-RACE-01 to -06)."""

from abeyance.pending.votes import Verdict
from tests.covers import covers
from tests.isolation.ground import Ground
from tests.served import Served


@covers("T-151", "SEC-RACE-01", "DTR-OK-03")
async def test_of_two_polls_of_an_approval_one_has_the_token(ground: Ground) -> None:
    await ground.explore(
        ground.approved,
        {"one": ground.poll, "other": ground.poll},
        {("token", "spent", "redeemed"), ("spent", "token", "redeemed")},
    )


@covers("T-153", "SEC-RACE-05")
async def test_a_poll_beside_an_approval_waits_or_has_the_token(ground: Ground) -> None:
    await ground.explore(
        ground.waiting,
        {"poll": ground.poll, "rita": ground.votes("rita")},
        {("pending", "counted", "approved"), ("token", "counted", "redeemed")},
    )


@covers("T-152", "SEC-RACE-01")
async def test_of_three_polls_of_an_approval_one_has_the_token(ground: Ground) -> None:
    await ground.explore(
        ground.approved,
        {"one": ground.poll, "other": ground.poll, "third": ground.poll},
        {
            ("token", "spent", "spent", "redeemed"),
            ("spent", "token", "spent", "redeemed"),
            ("spent", "spent", "token", "redeemed"),
        },
    )


@covers("T-154", "SEC-RACE-05")
async def test_a_poll_beside_a_denial_waits_or_hears_of_it(ground: Ground) -> None:
    await ground.explore(
        ground.waiting,
        {"poll": ground.poll, "rita": ground.votes("rita", Verdict.DENY)},
        {("pending", "counted", "denied"), ("denied", "counted", "denied")},
    )


@covers("T-155", "SEC-RACE-03", "DTR-CANC-02", "DTR-CANC-05")
async def test_a_poll_beside_a_cancellation_has_the_token_first_or_never(ground: Ground) -> None:
    await ground.explore(
        ground.approved,
        {"poll": ground.poll, "cancel": ground.cancel},
        {("token", "done", "redeemed"), ("denied", "done", "cancelled")},
    )


@covers("T-156", "SEC-RACE-02")
async def test_an_approval_beside_a_cancellation_ends_cancelled(ground: Ground) -> None:
    await ground.explore(
        ground.waiting,
        {"rita": ground.votes("rita"), "cancel": ground.cancel},
        {("counted", "done", "cancelled"), ("closed", "done", "cancelled")},
    )


@covers("T-155", "T-156", "SEC-RACE-02", "SEC-RACE-03")
async def test_an_approval_a_cancellation_and_a_poll_never_contradict_each_other(
    ground: Ground,
) -> None:
    await ground.explore(
        ground.waiting,
        {"rita": ground.votes("rita"), "cancel": ground.cancel, "poll": ground.poll},
        {
            ("counted", "done", "token", "redeemed"),
            ("counted", "done", "pending", "cancelled"),
            ("counted", "done", "denied", "cancelled"),
            ("closed", "done", "pending", "cancelled"),
            ("closed", "done", "denied", "cancelled"),
        },
    )


@covers("T-157", "SEC-RACE-06")
async def test_of_an_approval_and_a_denial_the_second_is_told(ground: Ground) -> None:
    await ground.explore(
        ground.waiting,
        {"rita": ground.votes("rita"), "ada": ground.votes("ada", Verdict.DENY)},
        {("counted", "closed", "approved"), ("closed", "counted", "denied")},
    )


@covers("T-161", "DTR-CANC-06")
async def test_two_cancellations_are_both_done_and_move_it_once(ground: Ground) -> None:
    async def moves(at: Served, code: str) -> str:
        events = await at.house.store.find_events(await at.key_of(code))
        return " ".join(each.event for each in events)

    await ground.explore(
        ground.waiting,
        {"one": ground.cancel, "other": ground.cancel},
        {("done", "done", "opened cancelled")},
        ends=moves,
    )
