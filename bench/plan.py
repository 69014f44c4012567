"""How much is measured: the plan of `make bench`, and a quick one that tries the machinery."""

from dataclasses import dataclass
from typing import Final

POLL_BASIC_1K: Final = "poll_basic_1k"
POLL_BASIC_100K: Final = "poll_basic_100k"
POLL_DPOP_1K: Final = "poll_dpop_1k"
POLL_PRIVATE_KEY_JWT_1K: Final = "poll_private_key_jwt_1k"
FIRST_REQUEST: Final = "first_request"
FULL_CYCLE: Final = "full_cycle"

CASES: Final = (
    POLL_BASIC_1K,
    POLL_BASIC_100K,
    POLL_DPOP_1K,
    POLL_PRIVATE_KEY_JWT_1K,
    FIRST_REQUEST,
    FULL_CYCLE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`few` and `many` are the numbers of waiting requests that the names call 1k and 100k;
    `held` polls are held at once, of which so many get `decisions`;
    `callbacks` are sent in each of their rounds.
    """

    rounds: int
    bare_seconds: int
    case_seconds: int
    few: int
    many: int
    clients: int
    connections: int
    answer_turns: int
    held: int
    decisions: int
    callbacks: int


FULL: Final = Plan(
    rounds=5,
    bare_seconds=3,
    case_seconds=4,
    few=1_000,
    many=100_000,
    clients=100,
    connections=32,
    answer_turns=1_000,
    held=10_000,
    decisions=500,
    callbacks=1_000,
)
QUICK: Final = Plan(
    rounds=1,
    bare_seconds=1,
    case_seconds=1,
    few=50,
    many=200,
    clients=5,
    connections=8,
    answer_turns=20,
    held=100,
    decisions=50,
    callbacks=50,
)
