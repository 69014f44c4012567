"""Clients: registered, changed, disabled; a secret is told once, and rests as its digest.

Members that have a name in RFC 7591 carry it. What is checked is what the
configuration file is checked for, by the same code.
"""

import json
from dataclasses import replace
from typing import Any, Final

import msgspec

from abeyance.acts import administer, dispose
from abeyance.outbound.targets import Forbidden
from abeyance.parties.client import Client, ClientId
from abeyance.parties.person import Person
from abeyance.proofs.jwk import render_jwks
from abeyance.server.admin import scopes
from abeyance.server.admin.etags import changed, check_match, etag_of
from abeyance.server.admin.paging import page
from abeyance.server.admin.problems import DECLARED, conflict, forbidden, not_found, unfit
from abeyance.server.admin.route import (
    CURSOR,
    LIMIT,
    AdminRequest,
    AdminRoute,
    Answer,
    Body,
    Office,
    Told,
    read_body,
)
from abeyance.server.admin.scopes import SCOPES
from abeyance.server.settings_file import ClientTable
from abeyance.server.settings_outbound import NOT_CALLED
from abeyance.server.settings_parties import WITH_SECRET, read_client
from abeyance.server.settings_values import MAX_SECRETS, ConfigurationError
from abeyance.store.ports import SecurityEvent
from abeyance.wire.base64url import render_base64url
from abeyance.wire.secret import Secret

_SECRET_BYTES: Final = 32
_MEMBERS: Final = {"id": "client_id", "name": "client_name", "secret_sha256": None}


class Registration(Body, kw_only=True):
    """What a client may ask, and how it shows that it is the client."""

    client_name: str
    owner: str | None = None
    token_endpoint_auth_method: str = "client_secret_basic"
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    token_endpoint_auth_signing_alg: str | None = None
    legacy_assertion_audience: bool = False
    grant_types: list[str] = msgspec.field(default_factory=lambda: ["client_credentials"])
    scope: str = ""
    default_scope: str = ""
    resources: list[str] = msgspec.field(default_factory=list)
    authorization_details_types: list[str] = msgspec.field(default_factory=list)
    dpop_bound_access_tokens: bool = False
    redirect_uris: list[str] = msgspec.field(default_factory=list)
    application_type: str = "web"
    allowed_origins: list[str] = msgspec.field(default_factory=list)
    rotate_refresh_tokens: bool | None = None
    introspects: list[str] = msgspec.field(default_factory=list)
    deferred_token_response_profiles: list[str] | None = None
    interaction_redirect_uris: list[str] = msgspec.field(default_factory=list)
    require_pushed_authorization_requests: bool = False
    require_signed_request_object: bool = False
    request_object_signing_alg: str | None = None
    id_token_signed_response_alg: str | None = None
    default_max_age: int | None = None
    first_party: bool = False
    pushes_redirect_uris: bool = False
    deferred_client_notification_endpoint: str | None = None
    tls_client_auth_subject_dn: str | None = None
    tls_client_auth_san_dns: str | None = None
    tls_client_auth_san_uri: str | None = None
    tls_client_auth_san_ip: str | None = None
    tls_client_auth_san_email: str | None = None
    tls_client_certificate_bound_access_tokens: bool = False


class NewClient(Registration, kw_only=True):
    """A registration with the id that the client shall have."""

    client_id: str


class ClientTold(Told, kw_only=True):
    """`secrets`: how many are valid. `client_secret`: told once, when it is made."""

    client_id: str
    enabled: bool
    declared: bool
    secrets: int
    registration: Registration
    client_secret: str | None = None


class ClientPage(Told, kw_only=True):
    items: list[ClientTold]
    next: str | None


async def list_clients(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    clients = await office.house.store.list_clients()
    told, following = page(clients, lambda client: client.id, request)
    return Answer(ClientPage(items=[_tell(client) for client in told], next=following))


async def show(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    return _answer(await _find(office, request))


async def create(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    body: NewClient = read_body(request, NewClient)
    secret = _new_secret(office) if body.token_endpoint_auth_method in WITH_SECRET else None
    client = await _read(office, body.client_id, body, secret, ())
    _check_reach(request, client)
    if not await office.house.store.replace_client(None, client):
        raise conflict("exists", "There is a client with this id.")
    await _note(office, request, "client_registered", client)
    return _answer(client, secret=secret, status=201)


async def change(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    before = await _find(office, request)
    _check_ours(before)
    check_match(request.if_match, before)
    body: Registration = read_body(request, Registration)
    keeps = before.secret_digests if body.token_endpoint_auth_method in WITH_SECRET else ()
    secret = None
    if body.token_endpoint_auth_method in WITH_SECRET and not keeps:
        secret = _new_secret(office)
    after = replace(
        await _read(office, before.id, body, secret, keeps),
        enabled=before.enabled,
        barred=before.barred,
    )
    _check_reach(request, before, after)
    if not await office.house.store.replace_client(before, after):
        raise changed()
    await _note(office, request, "client_changed", after)
    return _answer(after, secret=secret)


async def renew_secret(office: Office, request: AdminRequest) -> Answer:
    """The newest old secret stays valid beside the new one, until the next is made."""
    request.caller.check_administers()
    before = await _find(office, request)
    _check_ours(before)
    if before.auth_method not in WITH_SECRET:
        raise conflict("no_secret", "This client does not authenticate with a secret.")
    _check_reach(request, before)
    secret = _new_secret(office)
    digests = (*before.secret_digests, secret.digest())[-MAX_SECRETS:]
    after = replace(before, secret_digests=digests)
    if not await office.house.store.replace_client(before, after):
        raise changed()
    await _note(office, request, "client_secret_renewed", after)
    return _answer(after, secret=secret)


async def disable(office: Office, request: AdminRequest) -> Answer:
    """Ends all that waits for it and all that it was given, before the answer."""
    request.caller.check_administers()
    client = await _find(office, request)
    if client.id == request.caller.client:
        raise forbidden("yourself", "A client does not disable itself.")
    await dispose.disable_client(office.house, client, by=request.caller.actor)
    return _answer(await _find(office, request))


async def enable(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    client = await _find(office, request)
    if not client.enabled:
        await administer.enable_client(office.house, client, by=request.caller.actor)
    return _answer(await _find(office, request))


async def _find(office: Office, request: AdminRequest) -> Client:
    client = await office.house.store.find_client(ClientId(request.parts["client_id"]))
    if client is None:
        raise not_found()
    return client


def _check_ours(client: Client) -> None:
    if client.declared:
        raise conflict("declared", DECLARED)


def _check_reach(request: AdminRequest, *clients: Client) -> None:
    """Nobody gives what they do not have, nor holds the secret of whoever has more."""
    if any(client.scope & SCOPES.keys() - request.caller.scope for client in clients):
        raise forbidden("beyond_you", "The client may administer what this token may not.")


async def _read(
    office: Office,
    client_id: str,
    body: Registration,
    secret: Secret | None,
    keeps: tuple[bytes, ...],
) -> Client:
    digests = [digest.hex() for digest in keeps]
    if secret is not None:
        digests.append(secret.digest().hex())
    people: dict[str, Person] = {
        person.id: person for person in await office.house.store.list_people()
    }
    if body.application_type not in ("web", "native"):
        raise unfit("application_type is web or native", "application_type")
    table = ClientTable(
        id=client_id,
        name=body.client_name,
        owner=body.owner,
        token_endpoint_auth_method=body.token_endpoint_auth_method,
        secret_sha256=digests or None,
        jwks=body.jwks,
        jwks_uri=body.jwks_uri,
        token_endpoint_auth_signing_alg=body.token_endpoint_auth_signing_alg,
        legacy_assertion_audience=body.legacy_assertion_audience,
        grant_types=body.grant_types,
        scope=body.scope.split(),
        default_scope=body.default_scope.split(),
        resources=body.resources,
        authorization_details_types=body.authorization_details_types,
        dpop_bound_access_tokens=body.dpop_bound_access_tokens,
        redirect_uris=body.redirect_uris,
        application_type="native" if body.application_type == "native" else "web",
        allowed_origins=body.allowed_origins,
        rotate_refresh_tokens=body.rotate_refresh_tokens,
        introspects=body.introspects,
        deferred_token_response_profiles=body.deferred_token_response_profiles,
        interaction_redirect_uris=body.interaction_redirect_uris,
        require_pushed_authorization_requests=body.require_pushed_authorization_requests,
        require_signed_request_object=body.require_signed_request_object,
        request_object_signing_alg=body.request_object_signing_alg,
        id_token_signed_response_alg=body.id_token_signed_response_alg,
        default_max_age=body.default_max_age,
        first_party=body.first_party,
        pushes_redirect_uris=body.pushes_redirect_uris,
        deferred_client_notification_endpoint=body.deferred_client_notification_endpoint,
        tls_client_auth_subject_dn=body.tls_client_auth_subject_dn,
        tls_client_auth_san_dns=body.tls_client_auth_san_dns,
        tls_client_auth_san_uri=body.tls_client_auth_san_uri,
        tls_client_auth_san_ip=body.tls_client_auth_san_ip,
        tls_client_auth_san_email=body.tls_client_auth_san_email,
        tls_client_certificate_bound_access_tokens=(
            body.tls_client_certificate_bound_access_tokens
        ),
    )
    try:
        client = read_client(table, replace(office.known, people=people, warnings=[]))
    except ConfigurationError as wrong:
        told = wrong.key.rpartition("].")[2]
        raise unfit(f"{wrong.problem}", _MEMBERS.get(told, told)) from None
    if client.notification_endpoint is not None:
        try:
            await office.house.outside.check_now(client.notification_endpoint)
        except Forbidden:
            raise unfit(NOT_CALLED, "deferred_client_notification_endpoint") from None
    return replace(client, declared=False)


def _new_secret(office: Office) -> Secret:
    return Secret(render_base64url(office.house.random(_SECRET_BYTES)))


def _answer(client: Client, *, secret: Secret | None = None, status: int = 200) -> Answer:
    told = _tell(client)
    if secret is not None:
        told.client_secret = secret.reveal()
    return Answer(told, status, {"ETag": etag_of(client)})


def _tell(client: Client) -> ClientTold:
    named = client.certificate_subject
    subject = {} if named is None else {named.member: named.value}
    return ClientTold(
        client_id=client.id,
        enabled=client.enabled,
        declared=client.declared,
        secrets=len(client.secret_digests),
        registration=Registration(
            client_name=client.name,
            owner=client.owner,
            token_endpoint_auth_method=client.auth_method,
            jwks=None if client.keys is None else json.loads(json.dumps(render_jwks(client.keys))),
            jwks_uri=client.jwks_uri,
            token_endpoint_auth_signing_alg=client.assertion_alg,
            legacy_assertion_audience=client.legacy_assertion_audience,
            grant_types=sorted(client.grant_types),
            scope=" ".join(sorted(client.scope)),
            default_scope=" ".join(sorted(client.default_scope)),
            resources=sorted(client.resources),
            authorization_details_types=sorted(client.details_types),
            dpop_bound_access_tokens=client.dpop_bound_access_tokens,
            redirect_uris=list(client.redirect_uris),
            application_type="native" if client.native else "web",
            allowed_origins=sorted(client.allowed_origins),
            rotate_refresh_tokens=client.rotate_refresh_tokens,
            introspects=sorted(client.introspects),
            deferred_token_response_profiles=(
                None if client.profiles is None else sorted(client.profiles)
            ),
            interaction_redirect_uris=list(client.interaction_redirect_uris),
            require_pushed_authorization_requests=client.require_pushed,
            require_signed_request_object=client.require_signed,
            request_object_signing_alg=client.request_object_alg,
            id_token_signed_response_alg=client.id_token_alg,
            default_max_age=(
                None
                if client.default_max_age is None
                else int(client.default_max_age.total_seconds())
            ),
            first_party=client.first_party,
            pushes_redirect_uris=client.pushes_redirect_uris,
            deferred_client_notification_endpoint=client.notification_endpoint,
            tls_client_auth_subject_dn=subject.get("tls_client_auth_subject_dn"),
            tls_client_auth_san_dns=subject.get("tls_client_auth_san_dns"),
            tls_client_auth_san_uri=subject.get("tls_client_auth_san_uri"),
            tls_client_auth_san_ip=subject.get("tls_client_auth_san_ip"),
            tls_client_auth_san_email=subject.get("tls_client_auth_san_email"),
            tls_client_certificate_bound_access_tokens=client.certificate_bound,
        ),
    )


async def _note(office: Office, request: AdminRequest, event: str, client: Client) -> None:
    house = office.house
    await house.store.record(
        SecurityEvent(house.clock.now(), event, request.caller.actor, client.id)
    )


ROUTES: Final = (
    AdminRoute(
        method="GET", path="/clients", scope=scopes.READ, handle=list_clients,
        summary="List clients", told=ClientPage, query=(LIMIT, CURSOR),
    ),
    AdminRoute(
        method="POST", path="/clients", scope=scopes.CLIENTS, handle=create,
        summary="Register a client; its secret, if it has one, is told here and never again",
        body=NewClient, told=ClientTold, status=201,
    ),
    AdminRoute(
        method="GET", path="/clients/{client_id}", scope=scopes.READ, handle=show,
        summary="Show a client", told=ClientTold,
    ),
    AdminRoute(
        method="PUT", path="/clients/{client_id}", scope=scopes.CLIENTS, handle=change,
        summary="Replace the registration of a client", body=Registration, told=ClientTold,
        is_guarded=True,
    ),
    AdminRoute(
        method="POST", path="/clients/{client_id}/secret", scope=scopes.CLIENTS,
        handle=renew_secret, told=ClientTold,
        summary="Make a new secret; the one before stays valid until the next",
    ),
    AdminRoute(
        method="POST", path="/clients/{client_id}/disable", scope=scopes.CLIENTS, handle=disable,
        summary="Disable a client, and end what waits for it and what it was given",
        told=ClientTold,
    ),
    AdminRoute(
        method="POST", path="/clients/{client_id}/enable", scope=scopes.CLIENTS, handle=enable,
        summary="Enable a client again; what ended stays ended", told=ClientTold,
    ),
)  # fmt: skip
