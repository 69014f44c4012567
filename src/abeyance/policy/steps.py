"""An operator's own step of an interaction: somebody does something elsewhere.

A document upload at a verification vendor, a call back, a signature: the person
presses a button on our page, their browser goes to the address that `start`
returns, comes back to `visit.return_url`, and presses a button again; then
`finish` is asked what came of it. Opening an address decides nothing
(EXT-INTERACT-04), and what the browser brings back is a hint: `finish` asks the
vendor itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from abeyance.pending.request import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One person at one interaction.

    `reference` names it to the vendor: the same each time, and no handle of ours.
    """

    reference: str
    person: str
    person_name: str
    return_url: str
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it, as pairs of label and value that reviewers read as vouched for."""

    answers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class NotDone:
    """Not finished, or not well; `text` tells the person what to do."""

    text: str


Finished: TypeAlias = Done | NotDone


class OperatorStep(Protocol):
    """Named in the configuration as `module:name`. Raising is a fault, and nothing is recorded.

    `origin`: where `start` sends browsers, such as `https://verify.example`: the
    page may lead there and nowhere else.
    """

    @property
    def origin(self) -> str: ...
    async def start(self, visit: Visit) -> str:
        """The address to which the person's browser goes."""
        ...

    async def finish(self, visit: Visit, query: Mapping[str, str]) -> Finished:
        """Ask what came of it; `query` is what the browser brought back."""
        ...
