"""The seam between what the library thinks and what it does.

The logic is written once, as generators (`Flow`): they yield a step and are
sent back its reply. A driver performs the steps, blocking in `sync_client`,
awaiting in `async_client`. A flow does no IO and never sleeps.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from abeyance.client.held import Held
from abeyance.client.progress import Progress


@dataclass(frozen=True, slots=True)
class Send:
    """Send one HTTP request, follow no redirect; the reply is `Received` or `Unanswered`.

    `hold`: the server may keep the answer back for so many seconds (EXT-WAIT-07).
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    hold: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """Sleep for so many seconds; waking early is allowed."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Tell:
    """Call the caller's progress hook."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class Keep:
    """What a saved state must hold has changed."""

    held: Held


@dataclass(frozen=True, slots=True)
class Forget:
    """The request has ended: a saved state is of no more use."""


@dataclass(frozen=True, slots=True)
class Received:
    """An HTTP response; header names are in lower case, repeated fields joined by a comma."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No response, or not all of it: the server may or may not have acted."""

    why: str


Step: TypeAlias = Send | Pause | Tell | Keep | Forget
Reply: TypeAlias = Received | Unanswered | None

T = TypeVar("T")
Flow: TypeAlias = Generator[Step, Reply, T]


def send(request: Send) -> Flow[Received | Unanswered]:
    reply = yield request
    if reply is None:
        raise TypeError("a driver answers Send with Received or Unanswered")
    return reply
