"""What goes wrong, how often, and how often it has."""

import random
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """Each has a counter; one that stays 0 over a whole run means that the lane is blind."""

    DELAY = "delay"
    DROP = "drop"  # the request never arrives
    DUPLICATE = "duplicate"
    RESET = "reset"  # the answer never arrives
    PARTITION = "partition"
    HOST_CRASH = "host crash"
    AGENT_CRASH = "agent crash"
    STORE_BEFORE = "store error before commit"
    STORE_AFTER = "store error after commit"
    SKEW = "clock skew"
    JUMP = "clock jump"
    ROTATION = "key rotation"
    SLOW_SIGNER = "slow signer"
    HANGING = "hanging callback"
    REFUSING = "callback answered 500"
    SLOW_DECIDER = "slow decision maker"
    DECIDER_AWAY = "decision maker away"
    STORM = "1,000 polls in an instant"
    LAST_MOMENT = "expiry at the decision"
    TOGETHER = "two votes where it takes two"


@dataclass(slots=True)
class Chance:
    """The one source of chance of a world. While `calm`, nothing goes wrong."""

    seed: int
    counts: Counter[Fault] = field(default_factory=Counter)
    calm: bool = False
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def strikes(self, fault: Fault, probability: float) -> bool:
        """Does it happen now? Counted if so."""
        if self.calm or self.rng.random() >= probability:
            return False
        self.counts[fault] += 1
        return True

    def bytes(self, count: int) -> bytes:
        return self.rng.randbytes(count)

    def soon(self, longest: float) -> float:
        """Seconds: mostly short, at times long."""
        return self.rng.random() ** 4 * longest
