"""The errors that go out to clients, and nothing else about them.

    OAuthError
    ├── InvalidRequest            400 invalid_request
    │   └── BodyTooLarge, EncodedBody, WrongMethod (413, 415, 405)
    ├── InvalidClient             401 invalid_client (always with a challenge)
    ├── InvalidGrant              400 invalid_grant
    ├── UnauthorizedClient        400 unauthorized_client
    ├── UnsupportedGrantType      400 unsupported_grant_type
    ├── InvalidScope              400 invalid_scope
    ├── InvalidTarget             400 invalid_target
    ├── InvalidAuthorizationDetails  400 invalid_authorization_details
    ├── InvalidDpopProof          400 invalid_dpop_proof
    ├── UseDpopNonce              400 use_dpop_nonce (with a fresh nonce)
    ├── TooManyRequests           429 temporarily_unavailable (with Retry-After)
    ├── Unavailable               503 temporarily_unavailable (with Retry-After)
    └── ServerError               500 server_error (nothing told)

Being pending is an answer, not an error: see `faces`. Descriptions are complete
sentences without the full stop, ASCII, never contain what was sent, never name
a person (OAUTH-PARAM-08, DTR-ERR-10).
"""

from typing import ClassVar

from abeyance.wire import names


class OAuthError(Exception):
    """An error response: `error`, `error_description`, HTTP status, extra header fields."""

    error: ClassVar[str] = names.INVALID_REQUEST
    status: ClassVar[int] = 400

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Header fields that belong to this error, besides those of every answer."""
        return ()


class InvalidRequest(OAuthError):
    """Malformed, repeated or missing parameters."""


class BodyTooLarge(InvalidRequest):
    status: ClassVar[int] = 413


class EncodedBody(InvalidRequest):
    status: ClassVar[int] = 415


class WrongMethod(InvalidRequest):
    status: ClassVar[int] = 405

    def __init__(self, allow: str) -> None:
        super().__init__("This endpoint does not take this method")
        self.allow = allow

    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("Allow", self.allow),)


class InvalidClient(OAuthError):
    """One text for unknown client, wrong secret, wrong method (OAUTH-CAUTH-01)."""

    error: ClassVar[str] = names.INVALID_CLIENT
    status: ClassVar[int] = 401

    def __init__(self, challenge: str) -> None:
        super().__init__("Client authentication failed")
        self.challenge = challenge

    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("WWW-Authenticate", self.challenge),)


class InvalidGrant(OAuthError):
    error: ClassVar[str] = names.INVALID_GRANT


class UnauthorizedClient(OAuthError):
    error: ClassVar[str] = names.UNAUTHORIZED_CLIENT


class UnsupportedGrantType(OAuthError):
    error: ClassVar[str] = names.UNSUPPORTED_GRANT_TYPE


class InvalidScope(OAuthError):
    error: ClassVar[str] = names.INVALID_SCOPE


class InvalidTarget(OAuthError):
    error: ClassVar[str] = names.INVALID_TARGET


class InvalidAuthorizationDetails(OAuthError):
    error: ClassVar[str] = names.INVALID_AUTHORIZATION_DETAILS


class InvalidDpopProof(OAuthError):
    error: ClassVar[str] = names.INVALID_DPOP_PROOF


class UseDpopNonce(OAuthError):
    """The client repeats its request with `nonce` in the proof (RFC 9449 §8)."""

    error: ClassVar[str] = names.USE_DPOP_NONCE

    def __init__(self, nonce: str) -> None:
        super().__init__("A nonce of this server is required in the DPoP proof")
        self.nonce = nonce

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ((names.HEADER_DPOP_NONCE, self.nonce),)


class TooManyRequests(OAuthError):
    """A limit is reached; nothing was stored (EXT-QUEUE-01, DTR-SEC-06)."""

    error: ClassVar[str] = names.TEMPORARILY_UNAVAILABLE
    status: ClassVar[int] = 429

    def __init__(self, description: str, retry_after: int) -> None:
        super().__init__(description)
        self.retry_after = retry_after

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ((names.HEADER_RETRY_AFTER, str(self.retry_after)),)


class Unavailable(TooManyRequests):
    """The store or another part that the answer needs is away."""

    status: ClassVar[int] = 503

    def __init__(self, retry_after: int = 5) -> None:
        super().__init__("The server cannot answer at the moment", retry_after)


class ServerError(OAuthError):
    error: ClassVar[str] = names.SERVER_ERROR
    status: ClassVar[int] = 500

    def __init__(self) -> None:
        super().__init__("The server met an unexpected condition")
