"""People on their way to an answer, before there is a request."""

from datetime import datetime
from typing import Protocol

from abeyance.pending.authorization import AuthorizationRequest, PushedRequest
from abeyance.pending.challenge import ChallengeSession


class TooManyAuthorizations(Exception):
    """More people are on their way to a decision than the store will hold (SEC-DOS-06)."""


class Authorizations(Protocol):
    """Authorization requests whose person has not answered yet."""

    async def put_authorization(self, request: AuthorizationRequest) -> None:
        """Keep it until it expires, dropping some that have. Raises `TooManyAuthorizations`."""
        ...

    async def find_authorization(self, digest: bytes) -> AuthorizationRequest | None:
        """By the digest of its identifier; expired or not, while it is kept."""
        ...

    async def turn_challenge(
        self, before: bytes | None, after: ChallengeSession | None, *, now: datetime
    ) -> bool:
        """End the session `before` and keep `after`, both or neither; `False` if `before` was
        not there any more. Raises `TooManyAuthorizations` for a first one.
        """
        ...

    async def find_challenge(self, digest: bytes) -> ChallengeSession | None:
        """By the digest of its `auth_session`; expired or not, while it is kept."""
        ...

    async def put_pushed(self, request: PushedRequest) -> None:
        """Keep it until it expires. Raises `TooManyAuthorizations`."""
        ...

    async def find_pushed(self, digest: bytes) -> PushedRequest | None:
        """By the digest of its reference, unless somebody has answered it: then its home is
        taken. Expired or not, while it is kept.
        """
        ...
