"""A request whose store goes away before each of its steps (T-164, T-167; SEC-RACE-12)."""

from functools import partial

from tests.covers import covers
from tests.isolation.ground import SWITCHES, Ground, word_of
from tests.tally import count


@covers("T-164", "T-167", "SEC-RACE-12", "SEC-STORE-11")
async def test_a_store_that_goes_away_at_any_step_costs_no_approval_and_doubles_no_token(
    ground: Ground,
) -> None:
    ground.stepper.fine = SWITCHES != "1"
    whole = await ground.approved()
    [answer], took = await ground.stepper.run(
        [(partial(ground.loud().poll, whole), ground.step)], ()
    )
    assert word_of(answer) == "token"
    steps = len(took)
    for at in range(1, steps):
        code = await ground.approved()
        ground.stepper.cut_at = at
        poll = partial(ground.loud().poll, code)
        [answer], took = await ground.stepper.run([(poll, ground.step)], ())
        ground.stepper.cut_at = None
        words = [word_of(answer)]
        while words[-1] == "temporarily_unavailable":
            words.append(word_of(await ground.loud().poll(code)))
        assert words[-1] == "token", f"{words} after {[each.step for each in took]}"
        assert len(words) <= 2
        assert word_of(await ground.loud().poll(code)) == "spent"
    assert steps >= 5
    count("races", steps - 1)
