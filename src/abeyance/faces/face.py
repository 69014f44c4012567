"""What a face is: a dialect's names and its word for every reason."""

from collections.abc import Mapping
from dataclasses import dataclass

from abeyance.pending.handles import HandleKind
from abeyance.pending.judging import Why


@dataclass(frozen=True, slots=True)
class Words:
    """A reason in this dialect: `error`, `error_description`."""

    error: str
    description: str


@dataclass(frozen=True, slots=True)
class Face:
    """One dialect. A missing word for a `Why` fails at import, not at a poll.

    `interaction`: how it says that somebody must act first (DTR-ERR-03); `arrived`:
    that somebody has come to do so, if it has a word for that.
    """

    grant_type: str
    handle: HandleKind
    parameter: str
    pending: Words
    interaction: Words
    refusals: Mapping[Why, Words]
    arrived: Words | None = None

    def __post_init__(self) -> None:
        missing = set(Why) - set(self.refusals)
        if missing:
            raise ValueError(f"{self.grant_type} has no words for {sorted(map(str, missing))}")
