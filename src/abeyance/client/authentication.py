"""How the client says who it is: the method that it is registered with, at every endpoint."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, Protocol
from urllib.parse import quote_plus

from abeyance.proofs.client_assertion import make_assertion
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.secret import Secret


@dataclass(frozen=True, slots=True)
class Occasion:
    """The request that is to be authenticated. `identifier` draws a fresh `jti`."""

    issuer: str
    client_id: str
    now: datetime
    identifier: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What authentication adds to a request."""

    headers: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()


class Strength(Enum):
    """How much the method proves by itself (DTR-SEC-01, -02)."""

    NONE = "none"
    SECRET = "secret"
    KEY = "key"


class Authentication(Protocol):
    """A way to authenticate; outsiders may write their own."""

    @property
    def strength(self) -> Strength: ...

    def credentials(self, occasion: Occasion) -> Credentials: ...


class ClientSecretBasic:
    """`client_secret_basic` (RFC 6749 §2.3.1: both halves are form-encoded first)."""

    __slots__ = ("_secret",)
    strength: Final = Strength.SECRET

    def __init__(self, secret: str | Secret) -> None:
        self._secret = _secret(secret)

    def credentials(self, occasion: Occasion) -> Credentials:
        pair = f"{quote_plus(occasion.client_id)}:{quote_plus(self._secret.reveal())}"
        encoded = b64encode(pair.encode("ascii")).decode("ascii")
        return Credentials(headers=(("Authorization", f"Basic {encoded}"),))


class ClientSecretPost:
    """`client_secret_post`: in the body, never in the URL."""

    __slots__ = ("_secret",)
    strength: Final = Strength.SECRET

    def __init__(self, secret: str | Secret) -> None:
        self._secret = _secret(secret)

    def credentials(self, occasion: Occasion) -> Credentials:
        return Credentials(
            parameters=(
                (names.CLIENT_ID, occasion.client_id),
                (names.CLIENT_SECRET, self._secret.reveal()),
            )
        )


class PrivateKeyJwt:
    """`private_key_jwt`: a new assertion for each request, for the issuer.

    `audience`: for servers that insist on something else, such as the URL of
    their token endpoint.
    """

    __slots__ = ("_audience", "_key")
    strength: Final = Strength.KEY

    def __init__(self, key: KeyPair, *, audience: str | None = None) -> None:
        self._key = key
        self._audience = audience

    def credentials(self, occasion: Occasion) -> Credentials:
        assertion = make_assertion(
            self._key,
            client_id=occasion.client_id,
            audience=occasion.issuer if self._audience is None else self._audience,
            now=occasion.now,
            jti=occasion.identifier(),
        )
        return Credentials(
            parameters=(
                (names.CLIENT_ID, occasion.client_id),
                (names.CLIENT_ASSERTION_TYPE, names.ASSERTION_JWT_BEARER),
                (names.CLIENT_ASSERTION, assertion),
            )
        )


class TlsClientAuth:
    """`tls_client_auth` and `self_signed_tls_client_auth` (RFC 8705 §2): the certificate that is
    shown in the TLS handshake, and nothing beside it but the name. Which of the two it is, the
    client's registration says.
    """

    __slots__ = ()
    strength: Final = Strength.KEY

    def credentials(self, occasion: Occasion) -> Credentials:
        return Credentials(parameters=((names.CLIENT_ID, occasion.client_id),))


class PublicClient:
    """No credentials; accepting a deferral needs a DPoP key then (DTR-SEC-01)."""

    __slots__ = ()
    strength: Final = Strength.NONE

    def credentials(self, occasion: Occasion) -> Credentials:
        return Credentials(parameters=((names.CLIENT_ID, occasion.client_id),))


def _secret(value: str | Secret) -> Secret:
    return value if isinstance(value, Secret) else Secret(value)
