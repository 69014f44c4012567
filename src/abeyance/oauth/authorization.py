"""The authorization request, read in the order of OAUTH section 7.

First where an answer may go: client and redirect URI together. What fails until
then is told on a page and never redirected (OAUTH-AUTHZ-06, OAUTH-RURI-06); what
fails after it goes to the client as an `OAuthError`.

Source: OAuth 2.1 §4.1.1, §4.1.2; RFC 9207; OAUTH-AUTHZ-01 to -05, OAUTH-PKCE-01 to -03.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from abeyance.access.details import DetailsTypes
from abeyance.oauth.asking import read_completion_mode, read_wish
from abeyance.oauth.openid import read_demand
from abeyance.oauth.redirect_uris import (
    BadRedirectUri,
    check_redirect_uri,
    is_claimed_https,
    matches,
)
from abeyance.parties.client import Client, ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.authorization import AuthorizationRequest
from abeyance.pending.handles import Home
from abeyance.proofs.pkce import is_challenge
from abeyance.wire import names
from abeyance.wire.errors import (
    InvalidRequest,
    OAuthError,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from abeyance.wire.form import Form

MAX_STATE: Final = 4096
RESPONSE_MODES: Final = (names.RESPONSE_MODE_QUERY, names.RESPONSE_MODE_FORM_POST)


class Nowhere(Enum):
    """Why an answer has nowhere to go."""

    CLIENT = auto()  # missing, unknown or disabled
    REDIRECT_URI = auto()  # missing where there are several, or not registered
    MALFORMED = auto()
    REQUEST = auto()  # a reference or an object that leads nowhere


class NotAddressed(Exception):
    """The request cannot be answered to the client; a page tells the person why."""

    def __init__(self, why: Nowhere) -> None:
        super().__init__(why.name)
        self.why = why


@dataclass(frozen=True, slots=True)
class Address:
    """Where the answer goes, verified: client, redirect URI, mode, and the `state` to echo."""

    client: Client
    redirect_uri: str
    response_mode: str
    state: str | None


def read_client_id(form: Form) -> ClientId:
    """Who asks, for the look-up. Raises `NotAddressed`."""
    client = form.get(names.CLIENT_ID)
    if client is None:
        raise NotAddressed(Nowhere.CLIENT)
    return ClientId(client)


def read_address(form: Form, client: Client | None, *, pushed: bool = False) -> Address:
    """Check client and redirect URI together. Raises `NotAddressed`."""
    if client is None or not client.enabled:
        raise NotAddressed(Nowhere.CLIENT)
    uri = form.get(names.REDIRECT_URI)
    if uri is None:
        if len(client.redirect_uris) != 1:
            raise NotAddressed(Nowhere.REDIRECT_URI)
        uri = client.redirect_uris[0]
    elif not may_return(client, uri, pushed=pushed):
        raise NotAddressed(Nowhere.REDIRECT_URI)
    state = form.get(names.STATE)
    if state is not None and len(state) > MAX_STATE:
        raise NotAddressed(Nowhere.MALFORMED)
    mode = form.get(names.RESPONSE_MODE)
    # An unknown mode is told in the default one.
    mode = mode if mode in RESPONSE_MODES else names.RESPONSE_MODE_QUERY
    return Address(client, uri, mode, state)


def may_return(client: Client, uri: str, *, pushed: bool) -> bool:
    """May an answer go there? A client that has authenticated to push may be trusted with
    another address than the registered ones, where that is set (RFC 9126 §2.4, OAUTH-DEC-11).
    """
    if matches(uri, client.redirect_uris):
        return True
    if not pushed or not client.pushes_redirect_uris or client.is_public:
        return False
    try:
        check_redirect_uri(uri, native=False)
    except BadRedirectUri:
        return False
    return is_claimed_https(uri)


def read_open_address(form: Form, client: Client) -> Address:
    """Where to tell that what was to be read instead of `form` cannot be read.

    Only what stands openly beside it can say so: nothing is taken from a bad object (OAUTH-JAR-09).
    Raises `NotAddressed`.
    """
    if names.REDIRECT_URI not in form:
        raise NotAddressed(Nowhere.REQUEST)
    return read_address(form, client)


def read_authorization(
    form: Form,
    address: Address,
    types: DetailsTypes,
    *,
    approval: timedelta,
    interact: bool,
    digest: bytes,
    home: Home,
    now: datetime,
    life: timedelta,
    userinfo: str = "",
    expected: PersonId | None = None,
) -> AuthorizationRequest:
    """Read the rest; `interact`: as in `read_completion_mode`; `userinfo`: as in `read_wish`;
    `expected`: as in `read_demand`.

    Raises an `OAuthError`, which goes to the client's redirect URI.
    """
    client = address.client
    _check_response(form)
    if names.GRANT_AUTHORIZATION_CODE not in client.grant_types:
        raise UnauthorizedClient("The client may not use this grant")
    challenge = _read_challenge(form, client)
    asked = read_wish(form, client, types, approval, userinfo)
    openid = names.SCOPE_OPENID in asked.scope
    # Where no redirect goes, as at the challenge endpoint, none need be named (OAUTH-OIDC-01).
    if openid and address.redirect_uri and names.REDIRECT_URI not in form:
        raise InvalidRequest("A request with openid must name its redirect_uri")
    demand = read_demand(form, client, expected)
    if challenge is None and not (openid and demand.nonce):
        raise InvalidRequest("The request lacks the code_challenge")
    return AuthorizationRequest(
        id=digest,
        home=home,
        client=client.id,
        redirect_uri=address.redirect_uri,
        response_mode=address.response_mode,
        state=address.state,
        challenge=challenge,
        asked=asked,
        dpop_jkt=read_jkt(form),
        hinted=read_completion_mode(form, client, interact=interact).deferred,
        began_at=now,
        expires_at=now + life,
        demand=demand,
    )


def render_code(request: AuthorizationRequest, code: str, issuer: str) -> Sequence[tuple[str, str]]:
    """The parameters of a success: nothing of deferral among them (DTR-HINT-02, OAUTH-ISS-01)."""
    return _with_state([(names.CODE, code)], request.state, issuer)


def render_refusal(error: OAuthError, state: str | None, issuer: str) -> Sequence[tuple[str, str]]:
    """The parameters of an error (OAUTH-AUTHZ-03, -04)."""
    parameters = [(names.ERROR, error.error), (names.ERROR_DESCRIPTION, error.description)]
    return _with_state(parameters, state, issuer)


def _with_state(
    parameters: list[tuple[str, str]], state: str | None, issuer: str
) -> Sequence[tuple[str, str]]:
    if state is not None:
        parameters.append((names.STATE, state))
    return [*parameters, (names.ISS, issuer)]


def _check_response(form: Form) -> None:
    response_type = form.get(names.RESPONSE_TYPE)
    if response_type is None:
        raise InvalidRequest("The request lacks the response_type")
    if response_type != names.CODE:
        raise UnsupportedResponseType("Only the response_type code is supported")
    if form.get(names.RESPONSE_MODE, RESPONSE_MODES[0]) not in RESPONSE_MODES:
        raise InvalidRequest("The response_mode is not supported")


def _read_challenge(form: Form, client: Client) -> str | None:
    challenge = form.get(names.CODE_CHALLENGE)
    if challenge is None and client.pkce_optional and names.CODE_CHALLENGE_METHOD not in form:
        return None
    if challenge is None:
        raise InvalidRequest("The request lacks the code_challenge")
    # Without a method it would mean plain, which is no protection (decision 2).
    if form.get(names.CODE_CHALLENGE_METHOD) != names.CHALLENGE_S256:
        raise InvalidRequest("The code_challenge_method must be S256")
    if not is_challenge(challenge):
        raise InvalidRequest("The code_challenge is malformed")
    return challenge


def read_jkt(form: Form) -> str | None:
    """The key that a code shall be for (RFC 9449 §10). Raises `InvalidRequest`."""
    jkt = form.get(names.DPOP_JKT)
    if jkt is not None and not is_challenge(jkt):
        raise InvalidRequest("The dpop_jkt is malformed")
    return jkt
