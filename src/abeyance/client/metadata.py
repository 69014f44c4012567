"""What a server says about itself (RFC 8414; DTR-OPT-04, -06, DTR-CANC-08)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from abeyance.client.addresses import BadAddress, check_endpoint, check_issuer
from abeyance.client.errors import DiscoveryFailed
from abeyance.wire import names


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMetadata:
    """The part of the metadata that this library acts upon.

    Made by discovery, or by the caller for a server that publishes none. Raises
    `DiscoveryFailed` for addresses that must not be talked to.
    """

    issuer: str
    token_endpoint: str
    revocation_endpoint: str | None = None
    revocable: frozenset[str] = frozenset()
    deferral_supported: bool = False

    def __post_init__(self) -> None:
        try:
            check_issuer(self.issuer)
            check_endpoint(self.token_endpoint, issuer=self.issuer)
            if self.revocation_endpoint is not None:
                check_endpoint(self.revocation_endpoint, issuer=self.issuer)
        except BadAddress as bad:
            raise DiscoveryFailed(f"The server's metadata cannot be used: {bad}") from None

    @property
    def can_cancel(self) -> bool:
        """Whether the revocation endpoint says that it knows deferral codes."""
        return (
            self.revocation_endpoint is not None
            and names.TOKEN_TYPE_DEFERRAL_CODE in self.revocable
        )


def parse_metadata(members: Mapping[str, Any] | None, *, issuer: str) -> ServerMetadata:
    """Read a metadata document of this issuer and no other; raises `DiscoveryFailed`."""
    if members is None:
        raise DiscoveryFailed("The server's metadata is not a JSON object")
    # Exactly equal, or another server answers in this one's name (RFC 8414 §3.3).
    if members.get("issuer") != issuer:
        raise DiscoveryFailed("The server's metadata names another issuer")
    token, revocation = members.get("token_endpoint"), members.get("revocation_endpoint")
    if not isinstance(token, str):
        raise DiscoveryFailed("The server's metadata has no token endpoint")
    revocable = members.get("revocation_endpoint_token_type_values_supported")
    return ServerMetadata(
        issuer=issuer,
        token_endpoint=token,
        revocation_endpoint=revocation if isinstance(revocation, str) else None,
        revocable=frozenset(
            value
            for value in (revocable if isinstance(revocable, list) else ())
            if isinstance(value, str)
        ),
        deferral_supported=members.get("deferred_token_response_supported") is True,
    )
