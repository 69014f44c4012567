"""A registered client, as the configuration or an administrator declared it (OAUTH-CLI)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NewType

from abeyance.access.scope import Scope
from abeyance.proofs.certificate import CertificateSubject
from abeyance.proofs.jwk import KeySet
from abeyance.wire import names

ClientId = NewType("ClientId", str)

PROFILES: Final = (
    names.PROFILE_IDEMPOTENT,
    names.PROFILE_INTERACT,
    names.PROFILE_OUTCOME,
    names.PROFILE_WAIT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What a client may ask, and how it shows that it is the client.

    `secret_digests`: SHA-256 of each valid secret; two while one is replaced.
    `owner`: the person who answers for the client; never decides its requests.
    `declared`: comes from the configuration file, which alone may change it. `barred`: somebody
    has disabled it, and until somebody enables it no file does.
    `native`: a program on somebody's machine (RFC 8252). `allowed_origins`: where
    its pages run, if it lives in a browser (CORS). `introspects`: the resources
    whose tokens it may ask about, as their resource server (OAUTH-INTRO-01).
    `profiles`: those of deferral that it has registered (`names.PROFILE_...`); `None`:
    it has not said. `interaction_redirect_uris`: where a browser may return to after a
    step that a request needed. `require_pushed`, `require_signed`: its authorization requests
    must be pushed (RFC 9126), or come as signed objects (RFC 9101). `first_party`: of the
    same house as the server, so that people may give it what they sign in with.
    `pkce_optional`: a request with `openid` and a `nonce` needs no PKCE (OAUTH-PKCE-01).
    `default_max_age`: how old a sign-in may be where no request says so.
    `pushes_redirect_uris`: a pushed request may name an https address that is not registered.
    `notification_endpoint`: where it is told that a request of it has ended (DTR-CB).
    `jwks_uri`: where it publishes its keys, in the place of `keys` (OAUTH-CAUTH-26).
    """

    id: ClientId
    name: str
    auth_method: str  # its name in the registry of RFC 7591
    secret_digests: tuple[bytes, ...] = ()
    keys: KeySet | None = None
    assertion_alg: str | None = None  # token_endpoint_auth_signing_alg
    legacy_assertion_audience: bool = False
    grant_types: frozenset[str] = frozenset()
    scope: Scope = frozenset()
    default_scope: Scope = frozenset()
    resources: frozenset[str] = frozenset()
    details_types: frozenset[str] = frozenset()
    dpop_bound_access_tokens: bool = False
    owner: str | None = None
    redirect_uris: tuple[str, ...] = ()
    native: bool = False
    allowed_origins: frozenset[str] = frozenset()
    rotate_refresh_tokens: bool = False
    introspects: frozenset[str] = frozenset()
    profiles: frozenset[str] | None = None
    interaction_redirect_uris: tuple[str, ...] = ()
    require_pushed: bool = False
    require_signed: bool = False
    request_object_alg: str | None = None  # request_object_signing_alg
    first_party: bool = False
    pushes_redirect_uris: bool = False
    id_token_alg: str | None = None  # id_token_signed_response_alg
    default_max_age: timedelta | None = None
    pkce_optional: bool = False
    notification_endpoint: str | None = None  # deferred_client_notification_endpoint
    jwks_uri: str | None = None
    certificate_subject: CertificateSubject | None = None  # tls_client_auth_...
    certificate_bound: bool = False  # tls_client_certificate_bound_access_tokens
    enabled: bool = True
    barred: bool = False
    declared: bool = True

    @property
    def is_public(self) -> bool:
        """Has it no credential (OAUTH-CLI-01)?"""
        return self.auth_method == names.NONE

    @property
    def shows_certificate(self) -> bool:
        """Does it authenticate by one (RFC 8705 §2)?"""
        return self.auth_method in (names.TLS_CLIENT_AUTH, names.SELF_SIGNED_TLS_CLIENT_AUTH)

    def may_use(self, profile: str) -> bool:
        """May a request of it ask for this profile (EXT-META-04)?"""
        return self.profiles is None or profile in self.profiles

    def speaks(self, profile: str) -> bool:
        """Has it registered this profile? For what no request can ask for (EXT-META-05)."""
        return self.profiles is not None and profile in self.profiles

    def rotates(self, *, bound: bool) -> bool:
        """Does each use of a refresh token spend it (decision 4; OAUTH-RT-04)?

        What a thief could use alone is always rotated; `bound`: to a DPoP key.
        """
        return self.rotate_refresh_tokens or (self.is_public and not bound)
