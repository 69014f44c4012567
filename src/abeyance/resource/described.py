"""What a resource server says about itself (RFC 9728 §2, §3; OAUTH-PRM-01, -02)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from abeyance.proofs.jws import FAPI_ALGORITHMS, SIGNING_ALGORITHMS
from abeyance.wire.strict_json import Json, JsonObject

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"

_IDENTIFIER = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(/[!$-;=@-Z_a-z~%]*)?(\?[!$-;=?-Z_a-z~%]*)?")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedResource:
    """`identifier` is what tokens have as audience. `more`: other members of RFC 9728, such as
    `resource_documentation`, published as they are. `fapi`: it is held to the FAPI 2.0 Security
    Profile, as its issuers are: every token is bound, nothing is signed with RS256.
    """

    identifier: str
    issuers: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    details_types: tuple[str, ...] = ()
    requires_bound: bool = False  # only tokens with a DPoP key are taken
    certificates: bool = False  # the host sees certificates of clients
    fapi: bool = False
    more: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        told = urlsplit(self.identifier)
        if not _IDENTIFIER.fullmatch(self.identifier) or (
            told.scheme != "https" and told.hostname not in _LOOPBACK
        ):
            raise ValueError("the identifier is no https URL without fragment")
        if not self.issuers:
            raise ValueError("nobody may issue tokens for this resource")

    @property
    def algorithms(self) -> frozenset[str]:
        """What tokens and proofs may be signed with."""
        return FAPI_ALGORITHMS if self.fapi else SIGNING_ALGORITHMS

    @property
    def origin(self) -> str:
        told = urlsplit(self.identifier)
        return f"{told.scheme}://{told.netloc}"

    @property
    def metadata_path(self) -> str:
        """On the host: inserted before the path and query of the identifier (RFC 9728 §3.1)."""
        told = urlsplit(self.identifier)
        path = "" if told.path == "/" else told.path
        return WELL_KNOWN + path + (f"?{told.query}" if told.query else "")

    @property
    def metadata_url(self) -> str:
        return self.origin + self.metadata_path

    def document(self) -> JsonObject:
        """The metadata; empty arrays are left out, and what is false is not said."""
        told: dict[str, Json] = {
            **self.more,
            "resource": self.identifier,
            "authorization_servers": list(self.issuers),
            "scopes_supported": _texts(self.scopes),
            "bearer_methods_supported": ["header"],
            "authorization_details_types_supported": _texts(self.details_types),
            "dpop_signing_alg_values_supported": _texts(self.algorithms),
            "dpop_bound_access_tokens_required": self.requires_bound,
            "tls_client_certificate_bound_access_tokens": self.certificates,
        }
        return {name: value for name, value in told.items() if value not in ([], False)}


def _texts(values: Iterable[str]) -> Json:
    return list[Json](sorted(values))
