"""The orders do find what goes wrong: a safeguard is switched off, and some order shows it."""

import pytest

from faults.mutants import planted
from faults.safeguards import MUTANTS
from tests.isolation.ground import Ground, Outcome

OFF = {each.off: each for each in MUTANTS}


@pytest.mark.parametrize(
    ("off", "beside"),
    [
        ("whoever loses the row gets no token", "poll"),
        ("a cancellation is written before its answer", "cancel"),
        ("a poll sees that its code was spent", "poll"),
    ],
)
async def test_some_order_shows_that_a_safeguard_is_off(
    ground: Ground, off: str, beside: str
) -> None:
    other = {"poll": ground.poll, "cancel": ground.cancel}[beside]
    right: dict[str, set[Outcome]] = {
        "poll": {("token", "spent", "redeemed"), ("spent", "token", "redeemed")},
        "cancel": {("token", "done", "redeemed"), ("denied", "done", "cancelled")},
    }
    with planted(OFF[off]), pytest.raises(AssertionError):
        await ground.explore(
            ground.approved, {"poll": ground.poll, beside + " ": other}, right[beside]
        )
