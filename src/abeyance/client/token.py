"""A token as the caller gets it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from abeyance.client.access import Access, Detail
from abeyance.proofs.jwk import KeyPair
from abeyance.wire.secret import Secret

OnPartial: TypeAlias = Literal["accept", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The success response of the originating grant.

    `expires_at` is the end of the access token, if the server told it; the
    life of the deferral code never appears here (DTR-RESP-06, DTR-OK-02).
    `dpop_key` is the key that the token is bound to, `other` holds members
    that nothing is read of by itself; `identify` of the client verifies the `id_token` among
    them, which must have this `nonce`.
    """

    access_token: Secret
    token_type: str
    expires_at: datetime | None
    requested: Access
    granted: Access
    refresh_token: Secret | None = None
    dpop_key: KeyPair | None = field(default=None, repr=False)
    other: Mapping[str, Any] = field(default_factory=dict, repr=False)
    nonce: Secret | None = field(default=None, repr=False)

    @property
    def scope(self) -> tuple[str, ...]:
        return self.granted.scope

    @property
    def authorization_details(self) -> tuple[Detail, ...]:
        return self.granted.authorization_details

    @property
    def missing(self) -> Access:
        """What was asked and not granted; false if all was."""
        return self.requested.without(self.granted)

    @property
    def partial(self) -> bool:
        return bool(self.missing)
