"""A validated first request, between the acts that answer it, and the word for a clear no."""

from dataclasses import dataclass

from abeyance.access.access import Access
from abeyance.grants.grant import Claimed, Grant
from abeyance.oauth.asking import CompletionMode
from abeyance.parties.client import Client
from abeyance.pending.repetition import fingerprint
from abeyance.pending.request import WayBack
from abeyance.proofs.dpop import ProvenKey
from abeyance.wire.errors import (
    InvalidAuthorizationDetails,
    InvalidGrant,
    InvalidScope,
    OAuthError,
)
from abeyance.wire.secret import Secret


class ReviewNeeded(Exception):
    """Somebody else must agree, and a client whose own polls may wait has not said that it
    understands a deferral (DEV-DTR-07).
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A validated first request; nothing is consumed.

    `identifier` is the key of the name that its client gave it, if it did (EXT-IDEMP).
    """

    client: Client
    grant: Grant
    claimed: Claimed
    access: Access
    key: ProvenKey | None
    mode: CompletionMode
    identifier: bytes | None = None
    way_back: WayBack | None = None
    notification_token: Secret | None = None

    def fingerprint(self) -> bytes:
        """What makes another request the same as this one (EXT-IDEMP-02)."""
        return fingerprint(
            grant_type=self.grant.name,
            client=self.client.id,
            subject=self.claimed.subject,
            access=self.access,
            home=self.claimed.home,
            jkt=None if self.key is None else self.key.bound,
            actor=self.claimed.actor,
            exchanged=self.claimed.exchanged,
        )


def refusal(asked: Access, description: str) -> OAuthError:
    """A synchronous no, worded by what was asked; never a pending code (EXT-ARAP-01)."""
    if asked.details:
        return InvalidAuthorizationDetails(description)
    if asked.scope:
        return InvalidScope(description)
    return InvalidGrant(description)
