"""A registered client, as the configuration or an administrator declared it (OAUTH-CLI)."""

from dataclasses import dataclass
from typing import NewType

from abeyance.access.scope import Scope
from abeyance.proofs.jwk import KeySet

ClientId = NewType("ClientId", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What a client may ask, and how it shows that it is the client.

    `secret_digests`: SHA-256 of each valid secret; two while one is replaced.
    `owner`: the person who answers for the client; never decides its requests.
    `declared`: comes from the configuration file, which alone may change it.
    """

    id: ClientId
    name: str
    auth_method: str  # names.CLIENT_SECRET_BASIC, ..._POST or PRIVATE_KEY_JWT
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
    enabled: bool = True
    declared: bool = True
