"""An authorization request while its person signs in and decides (OAUTH-RURI-11, OAUTH-AUTHZ-09).

Frozen when it was validated: pages carry its identifier and nothing of it. It
knows the home that the grant will have, so that it is answered once: whoever
answers it second finds the home taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from abeyance.access.access import Access
from abeyance.parties.client import ClientId
from abeyance.pending.handles import Home
from abeyance.pending.identity import NO_DEMAND, Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """`id` is the SHA-256 of the identifier that pages carry. `state` is echoed byte for byte.

    `redirect_uri` is the string that was validated and will be used (OAUTH-RURI-10).
    `challenge`: none where PKCE is optional for the client. `demand`: of the sign-in.
    """

    id: bytes
    home: Home
    client: ClientId
    redirect_uri: str
    response_mode: str  # names.RESPONSE_MODE_QUERY or ..._FORM_POST
    state: str | None
    asked: Access
    challenge: str | None
    dpop_jkt: str | None
    hinted: bool
    began_at: datetime
    expires_at: datetime
    demand: Demand = NO_DEMAND


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedRequest:
    """An authorization request that its client has pushed (RFC 9126), as it was sent.

    `id` is the SHA-256 of the `request_uri`. `home` is where the grant will live, however
    often the reference is opened, so that it is answered once (OAUTH-PAR-07).
    `parameters`: those that count, in their order, without those of authentication; they are
    read again when the reference comes (OAUTH-PAR-09). `signed`: they come from an object that
    the client has signed.
    """

    id: bytes
    home: Home
    client: ClientId
    parameters: Sequence[tuple[str, str]]
    signed: bool
    began_at: datetime
    expires_at: datetime
