"""The errors that go out to clients, and nothing else about them.

    OAuthError
    ├── InvalidRequest            400 invalid_request
    │   └── BodyTooLarge, EncodedBody, WrongMethod (413, 415, 405)
    ├── InvalidClient             401 invalid_client (always with a challenge)
    ├── InvalidGrant              400 invalid_grant
    ├── UnauthorizedClient        400 unauthorized_client
    ├── UnsupportedGrantType      400 unsupported_grant_type
    ├── UnsupportedResponseType   redirected: unsupported_response_type
    ├── InvalidRequestUri         redirected: invalid_request_uri
    ├── InvalidRequestObject      redirected, 400 invalid_request_object
    ├── InsufficientAuthorization 403 insufficient_authorization (with an auth_session)
    ├── InvalidSession            400 invalid_session
    ├── RedirectToWeb             403 redirect_to_web
    ├── RequestNotSupported       redirected: request_not_supported
    ├── RequestUriNotSupported    redirected: request_uri_not_supported
    ├── AccessDenied              400 access_denied
    ├── ExpiredToken              400 expired_token
    ├── InvalidScope              400 invalid_scope
    ├── InvalidTarget             400 invalid_target
    ├── InvalidRedirectUri        400 invalid_redirect_uri
    ├── InvalidClientMetadata     400 invalid_client_metadata
    ├── UnapprovedSoftwareStatement  400 unapproved_software_statement
    ├── InvalidAuthorizationDetails  400 invalid_authorization_details
    ├── InvalidDpopProof          400 invalid_dpop_proof
    ├── UseDpopNonce              400 use_dpop_nonce (with a fresh nonce)
    ├── InsufficientUserAuthentication  400 insufficient_user_authentication (with max_age)
    ├── TooManyRequests           429 temporarily_unavailable (with Retry-After)
    ├── Unavailable               503 temporarily_unavailable (with Retry-After)
    └── ServerError               500 server_error (nothing told)

Being pending is an answer, not an error: see `faces`. Descriptions are complete
sentences without the full stop, ASCII, never contain what was sent, never name
a person (OAUTH-PARAM-08, DTR-ERR-10).
"""

from datetime import timedelta
from typing import ClassVar

from abeyance.wire import names
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import JsonObject


class OAuthError(Exception):
    """An error response: `error`, `error_description`, HTTP status, extra header fields.

    `members`: of the error itself, or of a profile that the client speaks.
    """

    error: ClassVar[str] = names.INVALID_REQUEST
    status: ClassVar[int] = 400

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description
        self.members: JsonObject = {}

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


class UnsupportedResponseType(OAuthError):
    error: ClassVar[str] = names.UNSUPPORTED_RESPONSE_TYPE


class InvalidRequestUri(OAuthError):
    """One text for unknown, used and expired (RFC 9126 §4)."""

    error: ClassVar[str] = names.INVALID_REQUEST_URI

    def __init__(self) -> None:
        super().__init__("The request_uri is not valid any more or never was")


class InvalidRequestObject(OAuthError):
    error: ClassVar[str] = names.INVALID_REQUEST_OBJECT


class InsufficientAuthorization(OAuthError):
    """The application goes on under `auth_session` with what is missing."""

    error: ClassVar[str] = names.INSUFFICIENT_AUTHORIZATION
    status: ClassVar[int] = 403

    def __init__(self, description: str, auth_session: Secret) -> None:
        super().__init__(description)
        self.members = {names.AUTH_SESSION: auth_session.reveal()}


class InvalidSession(OAuthError):
    """One text for unknown, used, expired, another client's and another key's."""

    error: ClassVar[str] = names.INVALID_SESSION

    def __init__(self) -> None:
        super().__init__("The auth_session is not valid for this request")


class RedirectToWeb(OAuthError):
    """The application must send its person to a browser, with the `request_uri` if there is one."""

    error: ClassVar[str] = names.REDIRECT_TO_WEB
    status: ClassVar[int] = 403

    def __init__(self, reference: Secret | None = None, life: timedelta | None = None) -> None:
        super().__init__("The person must go on in a web browser")
        if reference is not None and life is not None:
            self.members = {
                names.REQUEST_URI: reference.reveal(),
                names.EXPIRES_IN: int(life.total_seconds()),
            }


class RequestNotSupported(OAuthError):
    error: ClassVar[str] = names.REQUEST_NOT_SUPPORTED


class RequestUriNotSupported(OAuthError):
    error: ClassVar[str] = names.REQUEST_URI_NOT_SUPPORTED


class RegistrationNotSupported(OAuthError):
    error: ClassVar[str] = names.REGISTRATION_NOT_SUPPORTED


class LoginRequired(OAuthError):
    """Nobody is signed in as the client demands, and no page may or can change that."""

    error: ClassVar[str] = names.LOGIN_REQUIRED

    def __init__(self) -> None:
        super().__init__("Nobody is signed in as the request demands")


class AccountSelectionRequired(OAuthError):
    """An account would have to be chosen, and there is nowhere to do so."""

    error: ClassVar[str] = names.ACCOUNT_SELECTION_REQUIRED

    def __init__(self) -> None:
        super().__init__("No account can be selected")


class ConsentRequired(OAuthError):
    """The person would have to be asked, and no page may be shown."""

    error: ClassVar[str] = names.CONSENT_REQUIRED

    def __init__(self) -> None:
        super().__init__("The resource owner has not consented to all of this")


class InteractionNeeded(OAuthError):
    """Another page than these would have to be shown, and none may be."""

    error: ClassVar[str] = names.INTERACTION_REQUIRED

    def __init__(self) -> None:
        super().__init__("The resource owner must see a page")


class AccessDenied(OAuthError):
    """The answer is no, and nobody need be waited for."""

    error: ClassVar[str] = names.ACCESS_DENIED


class ExpiredToken(OAuthError):
    """A request that is sent again has expired meanwhile."""

    error: ClassVar[str] = names.EXPIRED_TOKEN


class InvalidScope(OAuthError):
    error: ClassVar[str] = names.INVALID_SCOPE


class InvalidRedirectUri(OAuthError):
    error: ClassVar[str] = names.INVALID_REDIRECT_URI


class InvalidClientMetadata(OAuthError):
    error: ClassVar[str] = names.INVALID_CLIENT_METADATA


class UnapprovedSoftwareStatement(OAuthError):
    error: ClassVar[str] = names.UNAPPROVED_SOFTWARE_STATEMENT

    def __init__(self) -> None:
        super().__init__("No issuer of software statements is trusted here")


class InvalidTarget(OAuthError):
    error: ClassVar[str] = names.INVALID_TARGET


class InvalidAuthorizationDetails(OAuthError):
    error: ClassVar[str] = names.INVALID_AUTHORIZATION_DETAILS


class InvalidDpopProof(OAuthError):
    error: ClassVar[str] = names.INVALID_DPOP_PROOF


class InsufficientUserAuthentication(OAuthError):
    """The person must sign in again, so recently (RFC 9470 §3; OAUTH-IDJAG-03)."""

    error: ClassVar[str] = names.INSUFFICIENT_USER_AUTHENTICATION

    def __init__(self, max_age: timedelta) -> None:
        super().__init__("The person must sign in again")
        self.members = {names.MAX_AGE: int(max_age.total_seconds())}


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
