"""A client pushes its authorization request, and a browser brings the reference (RFC 9126).

`push` makes all checks of the authorization endpoint and keeps the parameters; `gather` says
which parameters count of what a browser brings. The reference leads to one home: however
often it is opened, its request is answered once (OAUTH-PAR-07).

Source: RFC 9126 §2, §3, §4; RFC 9101 §5, §6; RFC 9449 §10.1; OAUTH-PAR, OAUTH-JAR, OAUTH-DPOP-20.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from abeyance.acts.admit import prove, use_up
from abeyance.acts.house import ClientRequest, House
from abeyance.acts.openid import find_expected
from abeyance.acts.published_keys import with_keys
from abeyance.oauth.authorization import (
    NotAddressed,
    Nowhere,
    read_address,
    read_authorization,
)
from abeyance.oauth.client_authentication import AuthenticatedClient
from abeyance.oauth.parameters import Parameters, check_way
from abeyance.oauth.pushed import REFERENCE_BYTES, is_reference, mint_reference, parameters_of
from abeyance.oauth.request_object import read_request_object
from abeyance.parties.client import Client
from abeyance.pending.authorization import PushedRequest
from abeyance.pending.handles import HOME_BYTES, Home
from abeyance.store.ports import TooManyAuthorizations
from abeyance.volatile.customers import find_customer
from abeyance.wire import names
from abeyance.wire.errors import (
    InvalidDpopProof,
    InvalidRequest,
    InvalidRequestObject,
    InvalidRequestUri,
    RequestUriNotSupported,
    TooManyRequests,
)
from abeyance.wire.form import Form, form_of
from abeyance.wire.secret import Secret


@dataclass(frozen=True, slots=True)
class Pushed:
    """What the client is told."""

    reference: Secret
    life: timedelta


async def push(house: House, request: ClientRequest, caller: AuthenticatedClient) -> Pushed:
    """Check and keep an authorization request. Raises an `OAuthError`, and keeps nothing then."""
    client, form = caller.client, request.form
    if names.REQUEST_URI in form:
        raise InvalidRequest("A pushed request must not have a request_uri")
    if names.CLIENT_ID not in form:
        raise InvalidRequest("The request lacks the client_id")
    key = await prove(house, request, caller)
    parameters = await gather(house, form, client)
    form = form_of(parameters_of(parameters.form))
    if house.terms.fapi and names.REDIRECT_URI not in form:
        raise InvalidRequest("A pushed request must have a redirect_uri")
    if key is not None and key.jkt is not None:
        # The key that signs the push is the one that the code will be for.
        if form.get(names.DPOP_JKT, key.jkt) != key.jkt:
            raise InvalidDpopProof("The dpop_jkt is of another key than the DPoP proof")
        form[names.DPOP_JKT] = key.jkt
    _pace(house, request, client)
    return await keep(house, replace(parameters, form=form), client)


async def keep(house: House, parameters: Parameters, client: Client) -> Pushed:
    """Check everything and keep the request. Raises an `OAuthError`."""
    _check(house, replace(parameters, pushed=True), client)
    await use_up_object(house, parameters)
    reference, now = mint_reference(house.random(REFERENCE_BYTES)), house.clock.now()
    pushed = PushedRequest(
        id=reference.digest(),
        home=Home(house.random(HOME_BYTES)),
        client=client.id,
        parameters=tuple(parameters.form.pairs()),
        signed=parameters.signed,
        began_at=now,
        expires_at=now + house.terms.pushed,
    )
    try:
        await house.store.put_pushed(pushed)
    except TooManyAuthorizations:
        raise TooManyRequests("Too many requests are kept at the moment", 30) from None
    return Pushed(reference, house.terms.pushed)


async def gather(house: House, form: Form, client: Client) -> Parameters:
    """Which parameters count. Nothing is used up.

    Raises an `OAuthError` for an object or a reference that cannot be used, and
    `NotAddressed` for another client's.
    """
    reference, compact = form.get(names.REQUEST_URI), form.get(names.REQUEST)
    if reference is not None and compact is not None:
        raise InvalidRequest("Only one of request and request_uri may be sent")
    if reference is not None:
        return await _recall(house, reference, client)
    if compact is not None:
        issuer, now = house.endpoints.issuer, house.clock.now()
        client = await with_keys(house.client_keys, client, compact)
        signed = read_request_object(
            compact, client, issuer=issuer, now=now, algorithms=house.algorithms
        )
        return Parameters(form=signed.form, signed=True, mark=signed.mark)
    return Parameters(form=form)


async def use_up_object(house: House, parameters: Parameters) -> None:
    """Raises `InvalidRequestObject` for an object that was used before."""
    if parameters.mark is not None and not await use_up(house, parameters.mark):
        raise InvalidRequestObject("The request object was used before")


async def _recall(house: House, reference: str, client: Client) -> Parameters:
    if not is_reference(reference):
        # It would have to be fetched, which we do for nobody (OAUTH-JAR-08).
        raise RequestUriNotSupported("Only references to pushed requests are supported")
    found = await house.store.find_pushed(Secret(reference).digest())
    if found is None or house.clock.now() >= found.expires_at:
        raise InvalidRequestUri
    if found.client != client.id:
        raise NotAddressed(Nowhere.REQUEST)
    return Parameters(
        form=form_of(found.parameters), pushed=True, signed=found.signed, home=found.home
    )


def _check(house: House, parameters: Parameters, client: Client) -> None:
    """Everything that the authorization endpoint would refuse (OAUTH-PAR-03)."""
    try:
        where = read_address(parameters.form, client, pushed=True)
    except NotAddressed:
        raise InvalidRequest("The redirect_uri is not registered for the client") from None
    check_way(parameters, client, must_push=False, must_sign=house.terms.require_signed)
    now = house.clock.now()
    read_authorization(
        parameters.form,
        where,
        house.types,
        approval=house.terms.approval,
        interact=house.terms.interaction_profile,
        digest=b"",
        home=Home(b""),
        now=now,
        life=house.terms.pushed,
        userinfo=house.endpoints.userinfo,
        expected=find_expected(house, parameters.form, client),
    )


def _pace(house: House, request: ClientRequest, client: Client) -> None:
    """Anybody can push in a public client's name: those that share an address share a pace."""
    customer = find_customer(request.address) if client.is_public else None
    whose = ("push", client.id, customer)
    if wait := house.limits.creations.take(whose, house.clock.tick()):
        raise TooManyRequests("The client sends requests too fast", wait)
