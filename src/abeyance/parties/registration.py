"""What a client has registered by itself, and the tokens that let it (RFC 7591, 7592)."""

from dataclasses import dataclass, field
from datetime import datetime

from abeyance.parties.client import ClientId
from abeyance.wire.strict_json import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """`token`: SHA-256 of the registration access token. `metadata`: the members as they were
    taken, secrets and what the server itself adds aside.
    """

    client: ClientId
    token: bytes = field(repr=False)
    registered_at: datetime
    metadata: JsonObject = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialToken:
    """Lets so many clients register until it expires; `digest` is its SHA-256."""

    digest: bytes = field(repr=False)
    note: str
    left: int
    expires_at: datetime

    @property
    def id(self) -> str:
        """What it is called where it must not show."""
        return self.digest[:8].hex()
