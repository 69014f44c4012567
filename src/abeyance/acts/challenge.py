"""A first-party application brings what its person typed, and gets a code (OAUTH-FIPA).

The first request is an authorization request. What is missing or wrong is answered with an
`auth_session`, under which the application goes on; each answer ends it and begins another.
The code is redeemed as any other, and may be deferred then: nothing is deferred here.

Source: draft-ietf-oauth-first-party-apps-04 §5, §9; OAUTH-FIPA-01 to -07, -09.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, NoReturn, TypeAlias

from abeyance.acts.admit import prove
from abeyance.acts.authorize import Over, consent_to, issue_code
from abeyance.acts.house import ClientRequest, House
from abeyance.acts.openid import find_expected
from abeyance.acts.push import gather, keep, use_up_object
from abeyance.oauth.authorization import Address, read_authorization
from abeyance.oauth.client_authentication import AuthenticatedClient
from abeyance.oauth.parameters import KNOWN, Parameters, check_way
from abeyance.oauth.pushed import parameters_of
from abeyance.parties.client import Client
from abeyance.parties.person import ConsoleSession, Person
from abeyance.pending.authorization import AuthorizationRequest
from abeyance.pending.challenge import ChallengeSession
from abeyance.pending.handles import HOME_BYTES, Home
from abeyance.proofs.dpop import ProvenKey
from abeyance.store.ports import SecurityEvent, TooManyAuthorizations
from abeyance.volatile.customers import find_customer
from abeyance.wire import names
from abeyance.wire.base64url import render_base64url
from abeyance.wire.errors import (
    AccessDenied,
    InsufficientAuthorization,
    InvalidDpopProof,
    InvalidRequest,
    InvalidSession,
    LoginRequired,
    OAuthError,
    RedirectToWeb,
    TooManyRequests,
    UnauthorizedClient,
)
from abeyance.wire.form import Form, form_of
from abeyance.wire.secret import Secret

MOST_FAILURES: Final = 5  # of one session; then a browser must do
MAX_NAME: Final = 200
_SESSION_BYTES: Final = 32
# What a step brings for itself; all else is asked once and stands.
_OF_THE_STEP: Final = frozenset(
    {
        names.AUTH_SESSION, names.USERNAME, names.PASSWORD, names.REQUEST, names.CLIENT_ID,
        names.CLIENT_SECRET, names.CLIENT_ASSERTION, names.CLIENT_ASSERTION_TYPE,
    }
)  # fmt: skip

Recognize: TypeAlias = Callable[[str, Secret, str], Awaitable[Person | None]]
"""Whose name and password these are, from this address. Raises `TooManyRequests`."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, as it was first made. `before`: the session that this step continues."""

    parameters: Parameters
    authorization: AuthorizationRequest
    jkt: str | None
    name: str | None
    failures: int = 0
    before: bytes | None = None


async def identify(house: House, request: ClientRequest) -> None:
    """Where only the `auth_session` says which client it is, write that down in the form.

    Raises `InvalidSession`.
    """
    form = request.form
    said = {names.CLIENT_ID, names.CLIENT_ASSERTION} & form.keys()
    if names.AUTH_SESSION in form and not said and not request.authorization:
        form[names.CLIENT_ID] = (await _find(house, form[names.AUTH_SESSION])).client


async def challenge(
    house: House, request: ClientRequest, caller: AuthenticatedClient, recognize: Recognize
) -> Secret:
    """The authorization code, or an `OAuthError` that says what is missing."""
    client, form = caller.client, request.form
    if not client.first_party or names.GRANT_AUTHORIZATION_CODE not in client.grant_types:
        raise UnauthorizedClient("The client may not use this endpoint")
    key = await prove(house, request, caller)
    if (key is None or key.jkt is None) and (client.is_public or client.dpop_bound_access_tokens):
        raise InvalidDpopProof("The client must send a DPoP proof")
    _pace(house, request, client)
    asked = await _read(house, form, client, key)
    name, password = form.get(names.USERNAME, asked.name), form.get(names.PASSWORD)
    if name is not None and len(name) > MAX_NAME:
        raise InvalidRequest("The username is too long")
    asked = replace(asked, name=name)
    if name is None or password is None:
        await _ask_more(house, client, asked, "The username and the password are needed")
    person = await recognize(name, Secret(password), request.address)
    if person is None:
        asked = replace(asked, failures=asked.failures + 1)
        if asked.failures >= MOST_FAILURES:
            await _lead_to_web(house, client, asked)
        await _ask_more(house, client, asked, "The username and the password do not fit")
    await _turn(house, asked, None)
    return await _grant(house, client, asked.authorization, person)


async def _read(house: House, form: Form, client: Client, key: ProvenKey | None) -> _Asked:
    """What is asked, as it was first said. Nothing is used up for a request that is refused."""
    session = form.get(names.AUTH_SESSION)
    jkt = None if key is None else key.jkt
    if session is not None:
        return await _continue(house, session, form, client, jkt)
    if names.REQUEST_URI in form:
        raise InvalidRequest("A request_uri has no meaning at this endpoint")
    parameters = await gather(house, form, client)
    kept = form_of(
        (name, value)
        for name, value in parameters_of(parameters.form)
        if name not in _OF_THE_STEP - {names.CLIENT_ID}
    )
    if jkt is not None:
        # As with a pushed request: the code is for the key that signed this one.
        if kept.get(names.DPOP_JKT, jkt) != jkt:
            raise InvalidDpopProof("The dpop_jkt is of another key than the DPoP proof")
        kept[names.DPOP_JKT] = jkt
    kept.setdefault(names.CLIENT_ID, client.id)
    asked = replace(parameters, form=kept)
    return _Asked(asked, _check(house, client, asked), jkt, None)


async def _continue(
    house: House, session: str, form: Form, client: Client, jkt: str | None
) -> _Asked:
    found = await _find(house, session)
    if found.client != client.id or found.jkt != jkt:
        raise InvalidSession
    kept = form_of(found.parameters)
    for name in form.keys() - _OF_THE_STEP:
        if (name in kept or name in KNOWN) and form.all_of(name) != kept.all_of(name):
            raise InvalidRequest("What was asked cannot be changed within a session")
    asked = Parameters(form=kept, signed=found.signed)
    return _Asked(
        parameters=asked,
        authorization=_check(house, client, asked),
        jkt=jkt,
        name=found.name,
        failures=found.failures,
        before=found.id,
    )


def _check(house: House, client: Client, asked: Parameters) -> AuthorizationRequest:
    """All that the authorization endpoint would refuse, but for where to go back to."""
    # What came by the back channel is as good as pushed.
    check_way(
        replace(asked, pushed=True), client, must_push=False, must_sign=house.terms.require_signed
    )
    request = read_authorization(
        asked.form,
        Address(client, "", names.RESPONSE_MODE_QUERY, None),
        house.types,
        approval=house.terms.approval,
        interact=house.terms.interaction_profile,
        digest=b"",
        home=Home(house.random(HOME_BYTES)),
        now=house.clock.now(),
        life=house.terms.authorization,
        userinfo=house.endpoints.userinfo,
        expected=find_expected(house, asked.form, client),
    )
    if request.demand.is_silent:
        raise LoginRequired
    return request


async def _find(house: House, session: str) -> ChallengeSession:
    found = await house.store.find_challenge(Secret(session).digest())
    if found is None or house.clock.now() >= found.expires_at:
        raise InvalidSession
    return found


async def _turn(house: House, asked: _Asked, after: ChallengeSession | None) -> None:
    """End the session of this step, or use up its object, so that it is answered once.

    Raises `InvalidSession`, `InvalidRequestObject`.
    """
    await use_up_object(house, asked.parameters)
    if asked.before is None and after is None:
        return
    try:
        turned = await house.store.turn_challenge(asked.before, after, now=house.clock.now())
    except TooManyAuthorizations:
        raise TooManyRequests("Too many people are signing in at the moment", 30) from None
    if not turned:
        raise InvalidSession


async def _ask_more(house: House, client: Client, asked: _Asked, description: str) -> NoReturn:
    session, now = Secret(render_base64url(house.random(_SESSION_BYTES))), house.clock.now()
    after = ChallengeSession(
        id=session.digest(),
        client=client.id,
        jkt=asked.jkt,
        parameters=tuple(asked.parameters.form.pairs()),
        signed=asked.parameters.signed,
        name=asked.name,
        failures=asked.failures,
        began_at=now,
        expires_at=now + house.terms.authorization,
    )
    await _turn(house, asked, after)
    raise InsufficientAuthorization(description, session)


async def _lead_to_web(house: House, client: Client, asked: _Asked) -> NoReturn:
    await _turn(house, asked, None)
    try:
        pushed = await keep(house, replace(asked.parameters, mark=None), client)
    except OAuthError:
        # It cannot be opened in a browser as it stands, say without a redirect URI.
        raise RedirectToWeb from None
    raise RedirectToWeb(pushed.reference, pushed.life)


async def _grant(
    house: House, client: Client, authorization: AuthorizationRequest, person: Person
) -> Secret:
    """What a person does in an application of the server's own is their word to it.

    It stands among their sessions and consents, where they can end it like any other.
    """
    if authorization.demand.person not in (None, person.id):
        raise AccessDenied("Somebody else was expected")
    now = house.clock.now()
    # Of a value that nobody keeps: no browser can ever show it.
    session = ConsoleSession(
        Secret(render_base64url(house.random(_SESSION_BYTES))).digest(), person.id, now, now
    )
    await house.store.put_session(session)
    await house.store.record(
        SecurityEvent(now, "signed_in", f"person:{person.id}", f"{client.id}, password")
    )
    consent, remember = await consent_to(house, authorization.asked, client, person)
    try:
        return await issue_code(house, authorization, client, person, session, consent.id, remember)
    except Over:
        raise AccessDenied("The grant has been withdrawn") from None


def _pace(house: House, request: ClientRequest, client: Client) -> None:
    customer = find_customer(request.address) if client.is_public else None
    whose = ("challenge", client.id, customer)
    if wait := house.limits.creations.take(whose, house.clock.tick()):
        raise TooManyRequests("The client sends requests too fast", wait)
