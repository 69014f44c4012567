"""What a token request asks, validated: the same for every grant (OAUTH sections 9 to 12, 22).

Nothing here looks anything up: the client's registration and the server's types
are arguments, so that a request which must fail has failed before anybody is
bothered with it.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from abeyance.access.access import Access
from abeyance.access.details import TYPE, Detail, DetailsTypes
from abeyance.access.resources import find_registered, parse_resources
from abeyance.access.scope import Scope, parse_scope
from abeyance.oauth.openid import IDENTITY_SCOPES
from abeyance.parties.client import Client
from abeyance.pending.request import WayBack
from abeyance.wire import names
from abeyance.wire.errors import (
    InvalidAuthorizationDetails,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
)
from abeyance.wire.form import Form
from abeyance.wire.secret import Secret

MAX_COMPLETION_MODE: Final = 512
MAX_INTERACTION_STATE: Final = 512
_REQUEST_ID = re.compile(r"[A-Za-z0-9\-._~]{22,128}", re.ASCII)
_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*", re.ASCII)


def read_access(
    form: Form, client: Client, types: DetailsTypes, lifetime: timedelta, userinfo: str = ""
) -> Access:
    """Read scope, resource and `authorization_details`, within what the client may ask.

    `userinfo`, here and below: the resource that goes with `openid`, which no request gets
    where it names none, unless there is no other.
    Raises `InvalidScope`, `InvalidTarget` or `InvalidAuthorizationDetails`.
    """
    details = _read_details(form, client, types)
    return Access(
        scope=_read_scope(form, client, with_details=bool(details)),
        resources=_read_resources(form, client, userinfo),
        details=details,
        lifetime=lifetime,
    )


def read_wish(
    form: Form, client: Client, types: DetailsTypes, lifetime: timedelta, userinfo: str = ""
) -> Access:
    """Read what an authorization request asks for: as above, but resources may be several.

    A token is still for one of them; which one, the token request says (OAUTH-RES-04). With
    `openid` UserInfo is among them; and it is all, where nothing is asked but who somebody is.
    """
    details = _read_details(form, client, types)
    scope = _read_scope(form, client, with_details=bool(details))
    resources: frozenset[str] = frozenset()
    if names.SCOPE_OPENID in scope and userinfo in client.resources:
        resources = frozenset({userinfo})
    only_who = resources and not details and scope <= IDENTITY_SCOPES.keys()
    if not only_who or names.RESOURCE in form:
        resources |= _read_several_resources(form, client, userinfo)
    return Access(
        scope=scope,
        resources=resources,
        details=details,
        lifetime=lifetime,
    )


def read_part(
    form: Form,
    ceiling: Access,
    client: Client,
    types: DetailsTypes,
    lifetime: timedelta,
    userinfo: str = "",
) -> Access:
    """Read what a token request asks of what was granted before: all, or less (OAUTH-SCOPE-05,
    OAUTH-RES-03, OAUTH-RAR-07, OAUTH-RT-14).

    Raises `InvalidScope`, `InvalidTarget` or `InvalidAuthorizationDetails` for
    more, and `InvalidGrant` if the client may no longer have what was granted.
    """
    scope = ceiling.scope
    if (text := form.get(names.SCOPE)) is not None:
        scope = parse_scope(text)
        if not scope <= ceiling.scope:
            raise InvalidScope("The scope exceeds what was granted")
    details = ceiling.details
    if names.AUTHORIZATION_DETAILS in form:
        details = _read_details(form, client, types)
        if not types.covered(details, ceiling.details):
            raise InvalidAuthorizationDetails("The authorization_details exceed what was granted")
    part = Access(
        scope=scope,
        resources=_read_one_of(form, ceiling.resources, userinfo),
        details=details,
        lifetime=lifetime,
    )
    if not check_still_allowed(part, client, types):
        raise InvalidGrant("The client may no longer have what was granted")
    return part


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a credential leaves to ask, each `None` where it says nothing. `usual`: what a
    request asks that names no scope, if that is less than all.

    `elsewhere`: it is for another server, so the client's registration here says
    nothing of it; `details_types` are then those that may be asked.
    """

    scope: Scope | None = None
    usual: Scope | None = None
    resources: frozenset[str] | None = None
    details: tuple[Detail, ...] | None = None
    elsewhere: bool = False
    details_types: frozenset[str] = frozenset()


def read_within(
    form: Form,
    bounds: Bounds,
    client: Client,
    types: DetailsTypes,
    lifetime: timedelta,
    userinfo: str = "",
) -> Access:
    """Read what is asked within bounds: less than they say, or all of it that the client
    may have (OAUTH-TX-05, OAUTH-IDJAG-06).

    Raises `InvalidScope`, `InvalidTarget` or `InvalidAuthorizationDetails`.
    """
    details = _details_within(form, bounds, client, types)
    return Access(
        scope=_scope_within(form, bounds, client, with_details=bool(details)),
        resources=_resources_within(form, bounds, client, userinfo),
        details=details,
        lifetime=lifetime,
    )


def _scope_within(form: Form, bounds: Bounds, client: Client, *, with_details: bool) -> Scope:
    if bounds.scope is None:
        return _read_scope(form, client, with_details=with_details)
    most = bounds.scope if bounds.elsewhere else bounds.scope & client.scope
    text = form.get(names.SCOPE)
    if text is None:
        scope = most if bounds.usual is None else most & bounds.usual
    else:
        scope = parse_scope(text)
    if not scope <= most:
        raise InvalidScope("The scope exceeds what this grant allows")
    if not scope and not with_details:
        raise InvalidScope("Nothing that this grant allows is asked for")
    return scope


def _resources_within(form: Form, bounds: Bounds, client: Client, userinfo: str) -> frozenset[str]:
    if bounds.elsewhere:
        asked = parse_resources(form.all_of(names.RESOURCE))
        if not asked <= (bounds.resources or frozenset()):
            raise InvalidTarget("The client may not use this resource there")
        return asked
    most = client.resources
    if bounds.resources is not None:
        most = frozenset(
            each for each in most if find_registered(each, bounds.resources) is not None
        )
    named = (*form.all_of(names.RESOURCE), *form.all_of(names.AUDIENCE))
    if not named:
        return _only(most, userinfo, "The request must name a resource")
    found = {find_registered(each, most) for each in parse_resources(named)}
    if len(found) > 1:
        raise InvalidTarget("Only one resource may be named")
    [one] = found
    if one is None:
        raise InvalidTarget("The client may not use this resource")
    return frozenset({one})


def _details_within(
    form: Form, bounds: Bounds, client: Client, types: DetailsTypes
) -> tuple[Detail, ...]:
    allowed = bounds.details_types if bounds.elsewhere else client.details_types
    text = form.get(names.AUTHORIZATION_DETAILS)
    if text is None:
        return tuple(each for each in bounds.details or () if each[TYPE] in allowed)
    details = types.parse(text)
    if not all(detail[TYPE] in allowed for detail in details):
        raise InvalidAuthorizationDetails("The client may not use this type")
    if bounds.details is not None and not types.covered(details, bounds.details):
        raise InvalidAuthorizationDetails("The authorization_details exceed what this grant allows")
    return details


def check_still_allowed(access: Access, client: Client, types: DetailsTypes) -> bool:
    """May the client, as it is registered now, have all of this (OAUTH-DEFER-06)?"""
    return (
        access.scope <= client.scope
        and access.resources <= client.resources
        and all(
            detail[TYPE] in client.details_types and types.accepts(detail)
            for detail in access.details
        )
    )


@dataclass(frozen=True, slots=True)
class CompletionMode:
    """What a client accepts besides an answer at once.

    `deferred`: "not yet". `interactive`: also that somebody must act first, at an
    address that the client can present; never without `deferred`.
    """

    deferred: bool
    interactive: bool


def read_completion_mode(form: Form, client: Client, *, interact: bool) -> CompletionMode:
    """Read what this request accepts (DTR-OPT-01, -02; readings 11 and 27; EXT-META-02 to -04).

    Unknown values are ignored, order and repetition mean nothing; absent means
    nothing. `interact`: the profile is switched on; where it is not, or the client has
    registered other profiles only, its value is an unknown one.
    """
    text = form.get(names.COMPLETION_MODE, "")
    if len(text) > MAX_COMPLETION_MODE:
        raise InvalidRequest("The completion_mode is too long")
    values = text.split(" ")
    interactive = (
        interact
        and names.COMPLETION_INTERACTIVE in values
        and client.may_use(names.PROFILE_INTERACT)
    )
    return CompletionMode(interactive or names.COMPLETION_DEFERRED in values, interactive)


def read_request_id(form: Form, client: Client, mode: CompletionMode) -> str | None:
    """By which identifier the client would find this request again (EXT-IDEMP), if by any.

    Without an opt-in there is nothing to find again, and the parameter is an unknown one.
    """
    identifier = form.get(names.DEFERRAL_REQUEST_ID)
    if identifier is None or not mode.deferred or not client.may_use(names.PROFILE_IDEMPOTENT):
        return None
    if not _REQUEST_ID.fullmatch(identifier):
        raise InvalidRequest("The deferral_request_id is malformed")
    return identifier


def read_way_back(form: Form, client: Client, mode: CompletionMode) -> WayBack | None:
    """Where the browser shall go after a step (EXT-INTERACT-11), for those who can present one.

    Exactly a registered URI, or `InvalidRequest`: nobody is led astray from our pages.
    """
    uri = form.get(names.INTERACTION_REDIRECT_URI)
    if uri is None or not mode.interactive:
        return None
    state = form.get(names.INTERACTION_STATE)
    if uri not in client.interaction_redirect_uris:
        raise InvalidRequest("The interaction_redirect_uri is not registered")
    if state is not None and len(state) > MAX_INTERACTION_STATE:
        raise InvalidRequest("The interaction_state is too long")
    return WayBack(uri, state)


def read_notification_token(form: Form) -> Secret | None:
    """Read the `client_notification_token`. Raises `InvalidRequest` for one that could not
    stand in a header (reading 19).
    """
    token = form.get(names.CLIENT_NOTIFICATION_TOKEN)
    if token is None:
        return None
    if not (22 <= len(token) <= 512 and _B64TOKEN.fullmatch(token)):
        raise InvalidRequest("The client_notification_token is malformed")
    return Secret(token)


def _read_scope(form: Form, client: Client, *, with_details: bool) -> Scope:
    text = form.get(names.SCOPE)
    if text is None:
        if not client.default_scope and not with_details:
            raise InvalidScope("The request must name a scope")
        return client.default_scope if not with_details else frozenset()
    scope = parse_scope(text)
    if not scope <= client.scope:
        raise InvalidScope("The client may not have this scope")
    return scope


def _only(resources: frozenset[str], userinfo: str, otherwise: str) -> frozenset[str]:
    """The one that is meant where none is named; raises `InvalidTarget`."""
    usual = resources - {userinfo} or resources
    if len(usual) != 1:
        raise InvalidTarget(otherwise)
    return usual


def _read_resources(form: Form, client: Client, userinfo: str) -> frozenset[str]:
    asked = parse_resources(form.all_of(names.RESOURCE))
    if not asked:
        return _only(client.resources, userinfo, "The request must name a resource")
    # One token, one resource: a token that several servers accept is one that
    # each of them could use at the others (OAUTH-RES-04, OAUTH-AT-04).
    if len(asked) > 1:
        raise InvalidTarget("Only one resource may be named")
    registered = find_registered(next(iter(asked)), client.resources)
    if registered is None:
        raise InvalidTarget("The client may not use this resource")
    return frozenset({registered})


def _read_several_resources(form: Form, client: Client, userinfo: str) -> frozenset[str]:
    asked = parse_resources(form.all_of(names.RESOURCE))
    if not asked:
        return _read_resources(form, client, userinfo)
    registered = [find_registered(each, client.resources) for each in asked]
    known = frozenset(each for each in registered if each is not None)
    if len(known) != len(asked):
        raise InvalidTarget("The client may not use this resource")
    return known


def _read_one_of(form: Form, granted: frozenset[str], userinfo: str) -> frozenset[str]:
    asked = parse_resources(form.all_of(names.RESOURCE))
    if not asked:
        return _only(granted, userinfo, "The request must name one of the granted resources")
    if len(asked) > 1:
        raise InvalidTarget("Only one resource may be named")
    found = find_registered(next(iter(asked)), granted)
    if found is None:
        raise InvalidTarget("The resource was not granted")
    return frozenset({found})


def _read_details(form: Form, client: Client, types: DetailsTypes) -> tuple[Detail, ...]:
    text = form.get(names.AUTHORIZATION_DETAILS)
    if text is None:
        return ()
    details = types.parse(text)
    if not all(detail[TYPE] in client.details_types for detail in details):
        raise InvalidAuthorizationDetails("The client may not use this type")
    return details
