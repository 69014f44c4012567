"""Authorization server metadata (RFC 8414) and where it is served: one builder (OAUTH-META)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from abeyance.proofs.dpop import DPOP_ALGORITHMS
from abeyance.proofs.jws import SIGNING_ALGORITHMS
from abeyance.wire import names
from abeyance.wire.strict_json import Json, JsonObject

WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"
AUTH_METHODS: Final = (
    names.CLIENT_SECRET_BASIC,
    names.CLIENT_SECRET_POST,
    names.PRIVATE_KEY_JWT,
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Every published URL, from the issuer alone, never from `Host` (OAUTH-HTTP-01)."""

    issuer: str

    @property
    def token(self) -> str:
        return self.issuer + "/token"

    @property
    def revocation(self) -> str:
        return self.issuer + "/revoke"

    @property
    def jwks(self) -> str:
        return self.issuer + "/jwks"

    @property
    def console(self) -> str:
        return self.issuer + "/console"

    @property
    def path(self) -> str:
        """The issuer's path, empty or beginning with a slash."""
        return urlsplit(self.issuer).path

    @property
    def well_known(self) -> str:
        """The metadata's path on the host: inserted before the issuer's path (RFC 8414 §3)."""
        return WELL_KNOWN + self.path


def server_metadata(
    endpoints: Endpoints,
    *,
    scopes: Iterable[str],
    details_types: Iterable[str],
    grant_types: Iterable[str],
) -> JsonObject:
    """Only what is switched on; empty arrays are left out (OAUTH-META-02, -03)."""
    signing = sorted(SIGNING_ALGORITHMS)
    document: dict[str, Json] = {
        "issuer": endpoints.issuer,
        "token_endpoint": endpoints.token,
        "jwks_uri": endpoints.jwks,
        "revocation_endpoint": endpoints.revocation,
        "response_types_supported": [],
        "grant_types_supported": sorted(grant_types),
        "scopes_supported": sorted(scopes),
        "authorization_details_types_supported": sorted(details_types),
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": signing,
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": signing,
        "dpop_signing_alg_values_supported": sorted(DPOP_ALGORITHMS),
        "deferred_token_response_supported": True,
        "revocation_endpoint_token_type_values_supported": [
            names.TOKEN_TYPE_ACCESS_TOKEN,
            names.TOKEN_TYPE_DEFERRAL_CODE,
        ],
    }
    # `response_types_supported` is required by RFC 8414 even where no response type is.
    return {
        name: value
        for name, value in document.items()
        if value != [] or name == "response_types_supported"
    }
