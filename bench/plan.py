"""How much is measured: the plan of `make bench`, and a quick one that tries the machinery."""

from dataclasses import dataclass
from typing import Final

POLL_BASIC_1K: Final = "poll_basic_1k"
POLL_BASIC_100K: Final = "poll_basic_100k"
POLL_DPOP_1K: Final = "poll_dpop_1k"
POLL_PRIVATE_KEY_JWT_1K: Final = "poll_private_key_jwt_1k"
FIRST_REQUEST: Final = "first_request"
FULL_CYCLE: Final = "full_cycle"
POLL_BASIC_1M: Final = "poll_basic_1m"
POLL_PG_1K: Final = "poll_pg_1k"
POLL_PG_100K: Final = "poll_pg_100k"
POLL_PG_1M: Final = "poll_pg_1m"
FULL_CYCLE_PG: Final = "full_cycle_pg"
TWO: Final = "_2p"  # behind the name of a case: with two processes
POLLS_ON_POSTGRES: Final = (POLL_PG_1K, POLL_PG_100K, POLL_PG_1M)

# What is measured otherwise than in rounds.
HELD_POLLS: Final = "held_polls"
HELD_PG: Final = "held_pg"
CALLBACKS: Final = "callbacks"
RECOVERY: Final = "recovery"

NEED_POSTGRES: Final = (
    *(name + more for name in (*POLLS_ON_POSTGRES, FULL_CYCLE_PG) for more in ("", TWO)),
    HELD_PG,
    RECOVERY,
)
ALL: Final = (
    *(POLL_BASIC_1K, POLL_BASIC_100K, POLL_BASIC_1M, POLL_DPOP_1K, POLL_PRIVATE_KEY_JWT_1K),
    *(FIRST_REQUEST, FULL_CYCLE, HELD_POLLS, CALLBACKS, *NEED_POSTGRES),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`few` and `many` are the numbers of waiting requests that the names call 1k and 100k;
    `most`: what they call 1m; `held` polls are held at once, of which so many get `decisions`;
    `held_pg` on PostgreSQL; `callbacks` are sent in each of their rounds; so many `kills`.
    """

    rounds: int
    bare_seconds: int
    case_seconds: int
    few: int
    many: int
    most: int
    clients: int
    connections: int
    answer_turns: int
    held: int
    decisions: int
    callbacks: int
    held_pg: int
    kills: int


FULL: Final = Plan(
    rounds=5,
    bare_seconds=3,
    case_seconds=4,
    few=1_000,
    many=100_000,
    most=1_000_000,
    clients=100,
    connections=32,
    answer_turns=1_000,
    held=10_000,
    decisions=500,
    callbacks=1_000,
    held_pg=400,
    kills=5,
)
QUICK: Final = Plan(
    rounds=1,
    bare_seconds=1,
    case_seconds=1,
    few=400,
    many=800,
    most=1_600,
    clients=5,
    connections=8,
    answer_turns=20,
    held=100,
    decisions=50,
    callbacks=50,
    held_pg=100,
    kills=1,
)
