"""How a request for a token can fail, as the client tells it.

    ClientError
    ├── Ended                  the request has come to its end, for good
    │   ├── AccessDenied       somebody, or a rule, said no
    │   ├── Expired            nobody decided in time
    │   ├── InvalidGrant       the server does not know the code (any more)
    │   ├── PartialGrant       less was granted than asked, and the caller wants all or nothing
    │   └── Cancelled          this handle was cancelled
    ├── ServerRefused          any other error code of the server
    ├── MalformedResponse      the answer contradicts itself; no token is taken from it
    ├── NotOurs                what came to the redirect URI answers another request
    ├── NotIdentified          who somebody is was not told so that it can be believed
    ├── NobodyCame             the browser did not come back in time
    ├── Unavailable            no usable answer came
    ├── StillPending           the caller's time-out is over, the request lives on
    ├── AlreadyGranted         too late to cancel
    ├── CancelNotSupported     the server does not list deferral codes for revocation
    ├── DiscoveryFailed        the server's metadata is missing, wrong or another issuer's
    ├── Misconfigured          the caller's arguments cannot work
    ├── StateUnreadable        a saved state is damaged, or the seal does not fit
    └── ForeignState           a saved state belongs to another issuer or client

Waiting is an answer, not an error: see `progress`. What the server wrote stands
in attributes (`description`, `remark`), never in the message, so that a log of
exceptions holds no text from outside (DTR-SEC-05, EXT-OUTCOME-03).
"""

import re
from datetime import timedelta
from typing import ClassVar, Final

from abeyance.client.access import Access
from abeyance.client.token import Token

_ORDINARY_ERROR: Final = re.compile(r"[a-z_]{1,40}", re.ASCII)


class ClientError(Exception):
    """Base of everything that this library raises on purpose."""

    ends_request: ClassVar[bool] = False
    """Whether no further request with this deferral code can succeed for anybody."""


class Ended(ClientError):
    """The request has come to its end; a new one may be made."""

    ends_request = True


class AccessDenied(Ended):
    """The answer is no.

    `remark` is what the reviewer chose to tell, `outcome` the machine-readable
    end. Both are untrusted text from outside, above all where a model reads them.
    Act on `next_action`: `none`, `retry` (the same, after `retry_after`) or `request`
    (a new request may succeed). All of them are `None` where the server does not say.
    """

    def __init__(
        self,
        *,
        description: str | None = None,
        remark: str | None = None,
        outcome: str | None = None,
        next_action: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__("The request was denied")
        self.description = description
        self.remark = remark
        self.outcome = outcome
        self.next_action = next_action
        self.retry_after = retry_after


class Expired(Ended):
    """The deferral code expired before anybody decided, or before the answer was collected."""

    def __init__(self, *, description: str | None = None) -> None:
        super().__init__("The request expired before it was decided")
        self.description = description


class InvalidGrant(Ended):
    """The server does not accept the grant.

    `result_may_be_lost`: the answer to an earlier poll never arrived, so that
    the token may have been issued and lost on the way.
    """

    def __init__(self, *, description: str | None = None, result_may_be_lost: bool = False) -> None:
        super().__init__(
            "The server no longer accepts the deferral code, and the answer to an earlier poll "
            "never arrived: the result may be lost"
            if result_may_be_lost
            else "The server does not accept the grant"
        )
        self.description = description
        self.result_may_be_lost = result_may_be_lost


class PartialGrant(Ended):
    """Less was granted than asked, and `on_partial="reject"` was the rule.

    If `revoked` is false, the server did not confirm that it revoked `token`;
    `Client.revoke` can be tried again.
    """

    def __init__(self, token: Token, *, revoked: bool) -> None:
        super().__init__(
            "Less was granted than asked, and the token was revoked"
            if revoked
            else "Less was granted than asked, and the token could not be revoked"
        )
        self.token = token
        self.revoked = revoked

    @property
    def requested(self) -> Access:
        return self.token.requested

    @property
    def granted(self) -> Access:
        return self.token.granted

    @property
    def missing(self) -> Access:
        return self.token.missing


class Cancelled(Ended):
    """The handle was cancelled with `cancel()`."""

    def __init__(self) -> None:
        super().__init__("The request was cancelled")


class ServerRefused(ClientError):
    """An error code of the server that has no class of its own; `error` is the raw code."""

    def __init__(self, error: str, description: str | None = None) -> None:
        shown = error if _ORDINARY_ERROR.fullmatch(error) else "an error code of its own"
        super().__init__(f"The server refused the request: {shown}")
        self.error = error
        self.description = description


class StopPolling(ServerRefused):
    """`invalid_request` as the answer to a poll: this code is not to be used again (DTR-ERR-09)."""

    ends_request = True


class MalformedResponse(ClientError):
    """The answer contradicts itself or lacks what it must have; no token is taken from it."""


class NotOurs(ClientError):
    """What came to the redirect URI does not answer this request: another `state`, another
    issuer, or parameters that are missing or repeated. Nothing was redeemed (RFC 9207 §2.4).
    """


class NotIdentified(ClientError):
    """An ID token, or what UserInfo told, is not to be believed; the access token stays."""


class NobodyCame(ClientError, TimeoutError):
    """The browser did not come back to the redirect URI in time."""

    def __init__(self) -> None:
        super().__init__("Nobody came back from the authorization endpoint in time")


class Unavailable(ClientError):
    """No usable answer came: network, TLS, time-out, or a server that cannot answer now."""

    def __init__(self, reason: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(f"The server gave no usable answer: {reason}")
        self.retry_after = retry_after


class StillPending(ClientError, TimeoutError):
    """`wait()` was given a time-out, or was interrupted; the request lives on."""

    def __init__(self) -> None:
        super().__init__("The request is still pending")


class AlreadyGranted(ClientError):
    """The token was delivered before the cancellation; `Client.revoke` revokes it."""

    def __init__(self, token: Token) -> None:
        super().__init__("The request was granted before it could be cancelled")
        self.token = token


class CancelNotSupported(ClientError):
    """Nothing was cancelled: the server does not say that it revokes deferral codes."""

    def __init__(self) -> None:
        super().__init__("The server does not offer to cancel requests; polling has stopped")


class DiscoveryFailed(ClientError):
    """The server's metadata cannot be had, or names another issuer."""


class Misconfigured(ClientError, ValueError):
    """The caller's arguments cannot work; nothing was sent."""


class StateUnreadable(ClientError):
    """A saved state is missing, damaged, or sealed with another key."""


class ForeignState(ClientError):
    """A saved state belongs to another issuer or client; nothing was sent."""
