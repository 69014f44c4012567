"""A client, a form and a signing key, with defaults for what does not matter."""

from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from abeyance.parties.client import Client, ClientId
from abeyance.proofs.jwk import KeyPair, KeySet, parse_private_pem
from abeyance.wire.form import Form, parse_form, render_form
from abeyance.wire.secret import Secret
from tests.access.examples import API

ISSUER: Final = "https://as.example"
TOKEN_ENDPOINT: Final = "https://as.example/token"
SECRET: Final = "s3cret-of-the-batch-0123456789abcdef"


def key_pair(seed: int = 1) -> KeyPair:
    """An Ed25519 key, the same for the same seed."""
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return parse_private_pem(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


SIGNING: Final = key_pair(7)


def client(
    *,
    name: str = "batch",
    method: str = "client_secret_basic",
    secrets: tuple[str, ...] = (SECRET,),
    keys: KeySet | None = None,
    assertion_alg: str | None = None,
    scope: str = "read write",
    default_scope: str = "read",
    resources: tuple[str, ...] = (API,),
    details_types: tuple[str, ...] = ("payment", "account"),
    enabled: bool = True,
    legacy: bool = False,
) -> Client:
    return Client(
        id=ClientId(name),
        name="Night batch",
        auth_method=method,
        secret_digests=tuple(Secret(each).digest() for each in secrets),
        keys=keys,
        assertion_alg=assertion_alg,
        legacy_assertion_audience=legacy,
        grant_types=frozenset({"client_credentials"}),
        scope=frozenset(scope.split()),
        default_scope=frozenset(default_scope.split()),
        resources=frozenset(resources),
        details_types=frozenset(details_types),
        enabled=enabled,
    )


def form(*pairs: tuple[str, str], **members: str) -> Form:
    """A form as it arrives, decoded by the house's own parser."""
    return parse_form(render_form([*pairs, *members.items()]))
