"""The authorization code flow, from the URL to the code (OAuth 2.1 §4.1, RFC 7636, 9207, 9449 §10).

Pushed beforehand where the server takes that (RFC 9126), so that the browser carries only a
reference. PKCE with S256 always; a random `state` always; with a DPoP key the code is bound to
it by `dpop_jkt`. The answer is believed only if `state` and, where the server says
that it names itself, `iss` are those of the request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from abeyance.client import answers, pushing
from abeyance.client.access import Access
from abeyance.client.asking import Wish
from abeyance.client.errors import DiscoveryFailed, Misconfigured, NotOurs
from abeyance.client.exchange import Flow
from abeyance.client.link import Link
from abeyance.client.metadata import ServerMetadata
from abeyance.client.receiving import refusal_error
from abeyance.client.token import OnPartial
from abeyance.proofs.jwk import KeyPair
from abeyance.proofs.pkce import VERIFIER_BYTES, challenge_of, make_verifier
from abeyance.wire import names
from abeyance.wire.base64url import render_base64url
from abeyance.wire.secret import Secret

_STATE_BYTES: Final = 16
_MAX_ANSWER: Final = 16_384
_READ: Final = frozenset({names.CODE, names.STATE, names.ISS, names.ERROR, names.ERROR_DESCRIPTION})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A person was sent to the authorization endpoint, at `url`; what is needed when they return.

    A web application keeps `to_session()` in the session of this very browser, on
    its own side: whoever has it could redeem the code in the person's place.
    """

    url: str = field(repr=False)
    issuer: str
    redirect_uri: str
    state: Secret
    code_verifier: Secret
    names_itself: bool
    requested: Access
    defer: bool
    nonce: Secret | None = None  # with the scope openid

    def to_session(self) -> dict[str, Any]:
        """The same as JSON values, without the URL, which is of no more use."""
        return {
            "issuer": self.issuer,
            "redirect_uri": self.redirect_uri,
            "state": self.state.reveal(),
            "code_verifier": self.code_verifier.reveal(),
            "names_itself": self.names_itself,
            "scope": list(self.requested.scope),
            "resources": list(self.requested.resources),
            "authorization_details": [dict(each) for each in self.requested.authorization_details],
            "defer": self.defer,
            "nonce": None if self.nonce is None else self.nonce.reveal(),
        }

    @classmethod
    def from_session(cls, kept: Mapping[str, Any]) -> "AuthorizationRequest":
        """Raises `NotOurs` for anything that `to_session` has not made."""
        try:
            state = msgspec.convert(dict(kept), _Kept)
        except (msgspec.ValidationError, TypeError, ValueError):
            raise NotOurs("The session holds no request of this library") from None
        return cls(
            url="",
            issuer=state.issuer,
            redirect_uri=state.redirect_uri,
            state=Secret(state.state),
            code_verifier=Secret(state.code_verifier),
            names_itself=state.names_itself,
            requested=Access(
                tuple(state.scope), tuple(state.resources), tuple(state.authorization_details)
            ),
            defer=state.defer,
            nonce=None if state.nonce is None else Secret(state.nonce),
        )


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    issuer: str
    redirect_uri: str
    state: str
    code_verifier: str
    names_itself: bool
    scope: list[str]
    resources: list[str]
    authorization_details: list[dict[str, Any]]
    defer: bool
    nonce: str | None = None


def begin(
    link: Link,
    *,
    redirect_uri: str,
    access: Access,
    defer: bool,
    parameters: Mapping[str, str],
    key: KeyPair | None,
) -> Flow[AuthorizationRequest]:
    """Make the request. Raises `DiscoveryFailed`, `Unavailable`, `Misconfigured`, and what the
    server refuses a pushed request with.

    `defer` is said here already and again with the code, since the two must agree
    (DTR-HINT-03).
    """
    metadata = yield from link.discover()
    endpoint = _endpoint(metadata)
    state = Secret(render_base64url(link.surroundings.random(_STATE_BYTES)))
    verifier = make_verifier(link.surroundings.random(VERIFIER_BYTES))
    asked = {
        names.RESPONSE_TYPE: names.CODE,
        names.CLIENT_ID: link.client_id,
        names.REDIRECT_URI: redirect_uri,
        names.STATE: state.reveal(),
        names.CODE_CHALLENGE: challenge_of(verifier),
        names.CODE_CHALLENGE_METHOD: names.CHALLENGE_S256,
    }
    if key is not None:
        asked[names.DPOP_JKT] = key.public.jkt
    if defer:
        asked[names.COMPLETION_MODE] = link.completion_mode
    if access.scope:
        asked[names.SCOPE] = " ".join(access.scope)
    if access.authorization_details:
        details = msgspec.json.encode(access.authorization_details).decode("utf-8")
        asked[names.AUTHORIZATION_DETAILS] = details
    nonce = None
    if names.SCOPE_OPENID in access.scope:
        nonce = Secret(render_base64url(link.surroundings.random(_STATE_BYTES)))
        asked[names.NONCE] = nonce.reveal()
    if clash := sorted({*asked, names.RESOURCE} & parameters.keys()):
        raise Misconfigured(f"{', '.join(clash)}: has an argument of its own")
    pairs = [*asked.items(), *((names.RESOURCE, each) for each in access.resources)]
    pairs += parameters.items()
    if metadata.pushed_authorization_request_endpoint is not None:
        pairs = yield from pushing.push(
            link, metadata.pushed_authorization_request_endpoint, pairs, key=key
        )
    query = urlencode(pairs)
    return AuthorizationRequest(
        url=f"{endpoint}{'&' if '?' in endpoint else '?'}{query}",
        issuer=link.issuer,
        redirect_uri=redirect_uri,
        state=state,
        code_verifier=verifier,
        names_itself=metadata.names_itself,
        requested=access,
        defer=defer,
        nonce=nonce,
    )


def read_return(request: AuthorizationRequest, returned: str | Mapping[str, str]) -> Secret:
    """The code that came back.

    `returned`: the URL with which the browser came, its query, or the parameters.
    Raises `NotOurs`, and what the server refused with (`AccessDenied` ...).
    """
    told = _parameters(returned)
    if not request.state.matches(Secret(told.get(names.STATE, "")).digest()):
        raise NotOurs("The answer belongs to another request")
    issuer = told.get(names.ISS)
    if issuer != request.issuer and (issuer is not None or request.names_itself):
        raise NotOurs("The answer comes from another server")
    error, code = told.get(names.ERROR), told.get(names.CODE)
    if (error is None) == (code is None):
        raise NotOurs("The answer is neither a code nor an error")
    if error is not None:
        refusal = answers.Refusal(error, answers.legible(told.get(names.ERROR_DESCRIPTION)))
        raise refusal_error(refusal, polling=False, in_doubt=False)
    return Secret(code or "")


def belongs_to(request: AuthorizationRequest, returned: str) -> bool:
    """Does it carry the `state` of this request? What else it says is not looked at."""
    try:
        told = _parameters(returned)
    except NotOurs:
        return False
    return request.state.matches(Secret(told.get(names.STATE, "")).digest())


def exchange_wish(
    link: Link,
    request: AuthorizationRequest,
    returned: str | Mapping[str, str],
    *,
    on_partial: OnPartial,
) -> Wish:
    """What redeems the code. Raises as `read_return`."""
    # Whoever talks to two servers must not carry a code of one to the other (RFC 9207 §4).
    if request.issuer != link.issuer:
        raise NotOurs("The request was made at another server")
    code = read_return(request, returned)
    return Wish(
        grant_type=names.GRANT_AUTHORIZATION_CODE,
        access=Access(),
        parameters={
            names.CODE: code,
            names.REDIRECT_URI: request.redirect_uri,
            names.CODE_VERIFIER: request.code_verifier,
        },
        defer=request.defer,
        on_partial=on_partial,
        before=request.requested,
        nonce=request.nonce,
    )


def _endpoint(metadata: ServerMetadata) -> str:
    if metadata.authorization_endpoint is None:
        raise DiscoveryFailed("The server has no authorization endpoint")
    methods = metadata.challenge_methods
    if methods is not None and names.CHALLENGE_S256 not in methods:
        raise DiscoveryFailed("The server does not offer PKCE with S256")
    return metadata.authorization_endpoint


def _parameters(returned: str | Mapping[str, str]) -> Mapping[str, str]:
    if not isinstance(returned, str):
        return returned
    if len(returned) > _MAX_ANSWER:
        raise NotOurs("The answer is too long")
    query = urlsplit(returned).query if "?" in returned else returned
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise NotOurs("The answer cannot be read") from None
    told: dict[str, str] = {}
    for name, value in pairs:
        if name in told and name in _READ:
            raise NotOurs("The answer says something twice")
        told[name] = value
    return told
