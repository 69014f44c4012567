"""What has to survive the process so that another one can go on waiting (T-236)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from abeyance.client.access import Access
from abeyance.client.token import OnPartial
from abeyance.proofs.jwk import KeyPair
from abeyance.wire.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A deferral code with all that belongs to it.

    `interval` is the server's first word, `penalties` how often it said
    `slow_down` since. `expires_at` is a wall-clock instant, since a monotonic
    one means nothing in another process; `None` if the server told no life.
    `notification_token`: what a callback for it must bring, if it takes any.
    """

    issuer: str
    token_endpoint: str
    client_id: str
    code: Secret
    key: KeyPair | None = field(repr=False)
    requested: Access
    on_partial: OnPartial
    interval: timedelta
    penalties: int
    opened_at: datetime
    expires_at: datetime | None
    nonce: Secret | None = None  # that the ID token must have
    notification_token: Secret | None = None
