"""Authorization server metadata (RFC 8414) and where it is served: one builder (OAUTH-META)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from abeyance.oauth import fapi
from abeyance.oauth.authorization import RESPONSE_MODES
from abeyance.oauth.openid import CLAIMS, OpenId
from abeyance.pending.identity import Prompt
from abeyance.proofs.jws import SIGNING_ALGORITHMS
from abeyance.wire import names
from abeyance.wire.strict_json import Json, JsonObject

WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"
WELL_KNOWN_OPENID: Final = "/.well-known/openid-configuration"
AUTH_METHODS: Final = (
    names.CLIENT_SECRET_BASIC,
    names.CLIENT_SECRET_POST,
    names.PRIVATE_KEY_JWT,
)
MTLS_METHODS: Final = (names.TLS_CLIENT_AUTH, names.SELF_SIGNED_TLS_CLIENT_AUTH)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Every published URL, from the issuer alone, never from `Host` (OAUTH-HTTP-01)."""

    issuer: str

    def at(self, origin: str) -> "Endpoints":
        """The same endpoints at another origin (RFC 8705 §5)."""
        return Endpoints(origin + self.path)

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
    def authorization(self) -> str:
        return self.issuer + "/authorize"

    @property
    def pushed_authorization(self) -> str:
        return self.issuer + "/par"

    @property
    def authorization_challenge(self) -> str:
        return self.issuer + "/challenge"

    @property
    def device_authorization(self) -> str:
        return self.issuer + "/device_authorization"

    @property
    def verification(self) -> str:
        """Where people type what their device shows: short, the same for all (DEV-RESP-06)."""
        return self.issuer + "/device"

    @property
    def introspection(self) -> str:
        return self.issuer + "/introspect"

    @property
    def registration(self) -> str:
        return self.issuer + "/register"

    def registration_of(self, client: str) -> str:
        """Where a client sees to its registration (RFC 7592); ids that we make need no escape."""
        return f"{self.registration}?{names.CLIENT_ID}={client}"

    @property
    def userinfo(self) -> str:
        """The UserInfo endpoint, and the resource that its tokens are for (decision 0005)."""
        return self.issuer + "/userinfo"

    @property
    def interaction(self) -> str:
        """Where people act; the URI of one interaction has its own last segment."""
        return self.issuer + "/interact"

    @property
    def account(self) -> str:
        return self.issuer + "/account"

    @property
    def admin(self) -> str:
        """The admin API, and the resource that its tokens are for."""
        return self.issuer + "/admin"

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

    @property
    def well_known_openid(self) -> str:
        """The same document under its other name. OpenID Connect appends the name to the issuer;
        this is for those who insert it there too (RFC 8414 §5).
        """
        return WELL_KNOWN_OPENID + self.path


def server_metadata(
    endpoints: Endpoints,
    *,
    scopes: Iterable[str],
    details_types: Iterable[str],
    grant_types: Iterable[str],
    profiles: Iterable[str],
    grant_profiles: Iterable[str] = (),
    require_pushed: bool = False,
    require_signed: bool = False,
    first_party: bool = False,
    openid: OpenId | None = None,
    devices: bool = False,
    registration: bool = False,
    client_documents: bool = False,
    mtls: bool = False,
    aliases: Endpoints | None = None,
    profiled: bool = False,
) -> JsonObject:
    """Only what is switched on; empty arrays are left out (OAUTH-META-02, -03).

    `profiles`: those of deferral (EXT-META-01); `grant_profiles`: those of the JWT bearer
    grant; `profiled`: that of FAPI 2.0 narrows the rest; `aliases`: where callers are asked
    for a certificate. Whom the server trusts shows nowhere (OAUTH-IDJAG-07).
    """
    signing = sorted(fapi.ALGORITHMS if profiled else SIGNING_ALGORITHMS)
    known: list[Json] = [*AUTH_METHODS, *(MTLS_METHODS if mtls else ())]
    methods: list[Json] = [*known, names.NONE]
    if profiled:
        methods = known = [each for each in known if each in fapi.METHODS]
    document: dict[str, Json] = {
        "issuer": endpoints.issuer,
        "authorization_endpoint": endpoints.authorization,
        "token_endpoint": endpoints.token,
        "pushed_authorization_request_endpoint": endpoints.pushed_authorization,
        "require_pushed_authorization_requests": require_pushed,
        "jwks_uri": endpoints.jwks,
        "revocation_endpoint": endpoints.revocation,
        "introspection_endpoint": endpoints.introspection,
        "response_types_supported": [names.CODE],
        "response_modes_supported": list(RESPONSE_MODES),
        "code_challenge_methods_supported": [names.CHALLENGE_S256],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": True,
        "request_object_signing_alg_values_supported": signing,
        "require_signed_request_object": require_signed,
        "request_uri_parameter_supported": False,
        "grant_types_supported": sorted(grant_types),
        "authorization_grant_profiles_supported": sorted(grant_profiles),
        "scopes_supported": sorted(scopes),
        "authorization_details_types_supported": sorted(details_types),
        "token_endpoint_auth_methods_supported": list(methods),
        "token_endpoint_auth_signing_alg_values_supported": signing,
        "revocation_endpoint_auth_methods_supported": list(methods),
        "revocation_endpoint_auth_signing_alg_values_supported": signing,
        "introspection_endpoint_auth_methods_supported": list(known),
        "introspection_endpoint_auth_signing_alg_values_supported": signing,
        "dpop_signing_alg_values_supported": signing,
        "deferred_token_response_supported": True,
        "deferred_token_response_profiles_supported": sorted(profiles),
        "revocation_endpoint_token_type_values_supported": [
            names.TOKEN_TYPE_ACCESS_TOKEN,
            names.TOKEN_TYPE_REFRESH_TOKEN,
            names.TOKEN_TYPE_DEFERRAL_CODE,
        ],
    }
    if mtls:
        document["tls_client_certificate_bound_access_tokens"] = True
    if first_party:
        document["authorization_challenge_endpoint"] = endpoints.authorization_challenge
    if registration:
        document["registration_endpoint"] = endpoints.registration
    if client_documents:
        document["client_id_metadata_document_supported"] = True
    if openid is not None:
        document |= {
            "userinfo_endpoint": endpoints.userinfo,
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(openid.algorithms),
            "claims_supported": [
                each
                for each in CLAIMS
                if (each != "acr" or openid.acr is not None) and (each != "amr" or openid.amr)
            ],
            "claims_parameter_supported": False,
            "prompt_values_supported": list(Prompt),
            "acr_values_supported": [] if openid.acr is None else [openid.acr],
        }
    if devices:
        document["device_authorization_endpoint"] = endpoints.device_authorization
    if aliases is not None:
        document["mtls_endpoint_aliases"] = _aliases(document, endpoints, aliases)
    return {name: value for name, value in document.items() if value != []}


# Those at which a certificate says something; people never come to one of these.
_ALIASED: Final = (
    "token_endpoint",
    "pushed_authorization_request_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "device_authorization_endpoint",
    "authorization_challenge_endpoint",
    "userinfo_endpoint",
)


def _aliases(document: JsonObject, endpoints: Endpoints, aliases: Endpoints) -> JsonObject:
    return {
        name: aliases.issuer + str(document[name]).removeprefix(endpoints.issuer)
        for name in _ALIASED
        if name in document
    }
