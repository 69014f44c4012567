"""A first-party application's request while it gathers what its person knows (`auth_session`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from abeyance.parties.client import ClientId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeSession:
    """`id` is the SHA-256 of the `auth_session`, which is another one after each answer.

    `jkt`: the key that the first request proved. `parameters`: what it asked, without anything
    that authenticates somebody. `name`: who the application says it is for; nothing is proven.
    `failures`: how often that was said wrongly.
    """

    id: bytes
    client: ClientId
    jkt: str | None
    parameters: Sequence[tuple[str, str]]
    signed: bool
    name: str | None
    failures: int
    began_at: datetime
    expires_at: datetime
