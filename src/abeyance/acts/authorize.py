"""From an authorization request to a code, or a clear no (OAUTH section 7, steps 6 to 9).

`begin` validates and keeps the request; `stand` says what a signed-in person must
see; `agree` and `decline` answer it, once. A code leaves only after the grant is
recorded, and only to the redirect URI that was validated.

Source: OAUTH-AUTHZ-06 to -12, OAUTH-CODE-01, OAUTH-SESS-09, OAUTH-CLI-06.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from abeyance.access.access import Access
from abeyance.access.canonical import digest
from abeyance.acts.dispose import close_home, stands
from abeyance.acts.house import House
from abeyance.acts.known_clients import find_client
from abeyance.acts.openid import find_expected, note_identity
from abeyance.acts.push import gather, use_up_object
from abeyance.grants.grant import Behind
from abeyance.oauth.authorization import (
    Address,
    NotAddressed,
    Nowhere,
    may_return,
    read_address,
    read_authorization,
    read_client_id,
    read_open_address,
    render_code,
    render_refusal,
)
from abeyance.oauth.openid import is_silent
from abeyance.oauth.parameters import check_details, check_way
from abeyance.oauth.redirect_uris import is_claimed_https
from abeyance.parties import consent as consents
from abeyance.parties.client import Client
from abeyance.parties.consent import Consent, ConsentId
from abeyance.parties.person import ConsoleSession, Person
from abeyance.pending.authorization import AuthorizationRequest
from abeyance.pending.change import AuditEvent, Change, LiveUntil, OpenGrant, Superseded
from abeyance.pending.credentials import Code, UserGrant
from abeyance.pending.disclosure import disclose_access
from abeyance.pending.handles import HOME_BYTES, SECRET_BYTES, HandleKind, Home, mint_handle
from abeyance.pending.identity import Prompt
from abeyance.store.ports import TooManyAuthorizations
from abeyance.volatile.customers import find_customer
from abeyance.wire import names
from abeyance.wire.base64url import render_base64url
from abeyance.wire.errors import (
    AccessDenied,
    AccountSelectionRequired,
    ConsentRequired,
    InteractionNeeded,
    LoginRequired,
    OAuthError,
    TooManyRequests,
)
from abeyance.wire.form import Form
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import JsonObject

_IDENTIFIER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Began:
    """The request is kept; `identifier` is all that pages carry of it."""

    identifier: Secret
    request: AuthorizationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    """The browser goes back to the client with these parameters (`iss` among them).

    `silent`: the client wanted no page (`prompt=none`).
    """

    redirect_uri: str
    response_mode: str
    parameters: Sequence[tuple[str, str]]
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Consenting:
    """What the person must see. `seen` is the digest of it, which the answer repeats."""

    request: AuthorizationRequest
    client: Client
    shown: JsonObject
    seen: str


class Over(Exception):
    """Unknown, expired or answered: one page for all of them (OAUTH-AUTHZ-09)."""


class SignInAgain(Exception):
    """Whoever is signed in must do so once more for this request, or as somebody else."""


class NotShown(Exception):
    """The answer is not to what would be shown now (OAUTH-SESS-09)."""


Standing: TypeAlias = Consenting | Respond
Remember: TypeAlias = Callable[[], Awaitable[bool]]


async def begin(house: House, form: Form, *, address: str) -> Began | Respond:
    """Validate and keep a request. Raises `NotAddressed`, and `TooManyRequests` if too many
    come from this `address` (the peer's).
    """
    client = await find_client(house, read_client_id(form))
    if client is None or not client.enabled:
        raise NotAddressed(Nowhere.CLIENT)
    if wait := house.limits.authorizations.take(find_customer(address), house.clock.tick()):
        raise TooManyRequests("Too many authorization requests come from this address", wait)
    try:
        parameters = await gather(house, form, client)
    except OAuthError as error:
        refused = _refuse(house, read_open_address(form, client), error)
        return replace(refused, silent=is_silent(form))
    where = read_address(parameters.form, client, pushed=parameters.pushed)
    identifier = Secret(render_base64url(house.random(_IDENTIFIER_BYTES)))
    terms = house.terms
    try:
        check_way(
            parameters, client, must_push=terms.require_pushed, must_sign=terms.require_signed
        )
        request = read_authorization(
            parameters.form,
            where,
            house.types,
            approval=house.terms.approval,
            interact=house.terms.interaction_profile,
            digest=identifier.digest(),
            home=parameters.home or Home(house.random(HOME_BYTES)),
            now=house.clock.now(),
            life=house.terms.authorization,
            userinfo=house.endpoints.userinfo,
            expected=find_expected(house, parameters.form, client),
        )
        check_details(parameters, house.types, request.asked)
        await use_up_object(house, parameters)
        await house.store.put_authorization(request)
    except OAuthError as error:
        return replace(_refuse(house, where, error), silent=is_silent(parameters.form))
    except TooManyAuthorizations:
        raise TooManyRequests("Too many people are signing in at the moment", 30) from None
    return Began(identifier, request)


async def find(house: House, identifier: str) -> AuthorizationRequest:
    """The request that a page carries. Raises `Over`."""
    request = await house.store.find_authorization(Secret(identifier).digest())
    if request is None or house.clock.now() >= request.expires_at:
        raise Over
    return request


async def stand(
    house: House, request: AuthorizationRequest, person: Person, session: ConsoleSession
) -> Standing:
    """What comes next for this person: consent, or a code at once where it is remembered, or
    an error where the client wants no page (OAUTH-OIDC-05).

    Raises `Over` if the client has gone meanwhile or the request was answered, `SignInAgain`.
    """
    client, demand = await _client(house, request), request.demand
    if not _is_met(house, request, person, session):
        if not demand.is_silent and must_sign_in(house, request, person, session):
            raise SignInAgain
        return _refuse(house, _address(request, client), LoginRequired())
    known = await house.store.find_consent(person.id, client.id)
    remembered = known is not None and known.covers(request.asked)
    if (
        known is not None
        and remembered
        and Prompt.CONSENT not in demand.prompts
        and _may_remember(client, request)
    ):
        return await _issue(house, request, client, person, session, known)
    if demand.is_silent:
        error = InteractionNeeded() if remembered else ConsentRequired()
        return _refuse(house, _address(request, client), error)
    shown = disclose_access(request.asked, house.types, scopes=house.scopes)
    return Consenting(
        request=request, client=client, shown=shown, seen=_seen(request, client, person, shown)
    )


def must_sign_in(
    house: House, request: AuthorizationRequest, person: Person, session: ConsoleSession
) -> bool:
    """Would signing in (once more) help? Not somebody who has, for this request, as another
    person than the client expects: that is for the client to know (OAUTH-OIDC-08).
    """
    met = _is_met(house, request, person, session)
    return not met and session.signed_in_at < request.began_at


async def refuse_sign_in(house: House, request: AuthorizationRequest) -> Respond:
    """Nobody is signed in as demanded, and no page can or may change that. Raises `Over`."""
    chosen = request.demand.prompts == {Prompt.SELECT_ACCOUNT}
    error = AccountSelectionRequired() if chosen else LoginRequired()
    return _refuse(house, _address(request, await _client(house, request)), error)


async def agree(
    house: House,
    request: AuthorizationRequest,
    person: Person,
    session: ConsoleSession,
    seen: str,
) -> Respond:
    """The person agrees to what they saw. Raises `Over`, `NotShown`."""
    client = await _client(house, request)
    shown = disclose_access(request.asked, house.types, scopes=house.scopes)
    # A page that was shown long ago does not make a sign-in any younger.
    met = _is_met(house, request, person, session)
    if not met or seen != _seen(request, client, person, shown):
        raise NotShown
    consent, remember = await consent_to(house, request.asked, client, person)
    return await _issue(house, request, client, person, session, consent, remember)


async def consent_to(
    house: House, asked: Access, client: Client, person: Person
) -> tuple[Consent, Remember]:
    """What the person will have agreed to with this, and how to write it down."""
    known = await house.store.find_consent(person.id, client.id)
    consent = consents.agree(
        known,
        asked,
        new=ConsentId(house.random(16).hex()),
        person=person.id,
        client=client.id,
        client_name=client.name,
        at=house.clock.now(),
    )
    return consent, partial(house.store.put_consent, consent, new=known is None)


async def decline(
    house: House, request: AuthorizationRequest, person: Person, session: ConsoleSession
) -> Respond:
    """The person says no, for good: the place of the grant is taken. Raises `Over`."""
    now = house.clock.now()
    grant = _grant(house, request, person, session, ConsentId(""))
    declined = AuditEvent(n=0, at=now, event="declined", actor=f"person:{person.id}", detail={})
    change = Change(request.home, (OpenGrant(replace(grant, ended_at=now)),), (declined,))
    if isinstance(await house.store.apply(change), Superseded):
        raise Over
    client = await _client(house, request)
    refusal = AccessDenied("The resource owner declined")
    return _refuse(house, _address(request, client), refusal)


async def _issue(
    house: House,
    request: AuthorizationRequest,
    client: Client,
    person: Person,
    session: ConsoleSession,
    consent: Consent,
    remember: Remember | None = None,
) -> Respond:
    code = await issue_code(house, request, client, person, session, consent.id, remember)
    return Respond(
        redirect_uri=request.redirect_uri,
        response_mode=request.response_mode,
        parameters=render_code(request, code.reveal(), house.endpoints.issuer),
    )


async def issue_code(
    house: House,
    request: AuthorizationRequest,
    client: Client,
    person: Person,
    session: ConsoleSession,
    consent: ConsentId,
    remember: Remember | None = None,
) -> Secret:
    """Record the grant, then hand out its code. Raises `Over` if it was answered or is stale."""
    now = house.clock.now()
    code, handle = mint_handle(
        HandleKind.AUTHORIZATION_CODE, request.home, house.random(SECRET_BYTES)
    )
    grant = _grant(house, request, person, session, consent)
    record = Code(
        handle=handle,
        redirect_uri=request.redirect_uri,
        challenge=request.challenge,
        granted=request.asked,
        dpop_jkt=request.dpop_jkt,
        hinted=request.hinted,
        issued_at=now,
        expires_at=now + house.terms.code,
        identity=note_identity(house, request.asked.scope, request.demand.nonce),
    )
    granted = AuditEvent(
        n=0,
        at=now,
        event="granted",
        actor=f"person:{person.id}",
        detail={"client": client.id, "granted": request.asked.to_json()},
    )
    change = Change(
        request.home, (OpenGrant(grant),), (record, LiveUntil(record.expires_at), granted)
    )
    if isinstance(await house.store.apply(change), Superseded):
        raise Over
    # Only now: an answer that came second must not be remembered either. Nor is one whose
    # ground was withdrawn meanwhile: then the fence below says so.
    if remember is not None:
        await remember()
    # The fence: see `dispose`.
    if not await stands(house, client.id, Behind.of(grant)):
        await close_home(house, request.home, why="stale")
        raise Over
    return code


def _grant(
    house: House,
    request: AuthorizationRequest,
    person: Person,
    session: ConsoleSession,
    consent: ConsentId,
) -> UserGrant:
    now = house.clock.now()
    return UserGrant(
        client=request.client,
        person=person.id,
        session=session.digest,
        consent=consent,
        auth_time=session.signed_in_at,
        opened_at=now,
        live_until=now,
    )


async def _client(house: House, request: AuthorizationRequest) -> Client:
    client = await house.store.find_client(request.client)
    if (
        client is None
        or not client.enabled
        or names.GRANT_AUTHORIZATION_CODE not in client.grant_types
        # Whether it was pushed was looked at when it began.
        or not may_return(client, request.redirect_uri, pushed=True)
    ):
        raise Over
    return client


def _is_met(
    house: House, request: AuthorizationRequest, person: Person, session: ConsoleSession
) -> bool:
    return request.demand.is_met(
        person.id, session.signed_in_at, began_at=request.began_at, now=house.clock.now()
    )


def _address(request: AuthorizationRequest, client: Client) -> Address:
    return Address(client, request.redirect_uri, request.response_mode, request.state)


def _may_remember(client: Client, request: AuthorizationRequest) -> bool:
    """Only where nobody else can pose as the client (OAUTH-CLI-06)."""
    return not client.is_public or is_claimed_https(request.redirect_uri)


def _seen(request: AuthorizationRequest, client: Client, person: Person, shown: JsonObject) -> str:
    return digest(
        {
            "client": {"id": client.id, "name": client.name},
            "person": person.id,
            "redirect_uri": request.redirect_uri,
            "shown": shown,
        }
    )


def _refuse(house: House, where: Address, error: OAuthError) -> Respond:
    return Respond(
        redirect_uri=where.redirect_uri,
        response_mode=where.response_mode,
        parameters=render_refusal(error, where.state, house.endpoints.issuer),
    )
