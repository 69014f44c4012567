"""What a token request asks, validated: the same for every grant (OAUTH sections 9 to 12, 22).

Nothing here looks anything up: the client's registration and the server's types
are arguments, so that a request which must fail has failed before anybody is
bothered with it.
"""

import re
from datetime import timedelta
from typing import Final

from abeyance.access.access import Access
from abeyance.access.details import TYPE, Detail, DetailsTypes
from abeyance.access.resources import find_registered, parse_resources
from abeyance.access.scope import Scope, parse_scope
from abeyance.parties.client import Client
from abeyance.wire import names
from abeyance.wire.errors import (
    InvalidAuthorizationDetails,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
)
from abeyance.wire.form import Form

MAX_COMPLETION_MODE: Final = 512
_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*", re.ASCII)


def read_access(form: Form, client: Client, types: DetailsTypes, lifetime: timedelta) -> Access:
    """Read scope, resource and `authorization_details`, within what the client may ask.

    Raises `InvalidScope`, `InvalidTarget` or `InvalidAuthorizationDetails`.
    """
    details = _read_details(form, client, types)
    return Access(
        scope=_read_scope(form, client, with_details=bool(details)),
        resources=_read_resources(form, client),
        details=details,
        lifetime=lifetime,
    )


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


def read_completion_mode(form: Form) -> bool:
    """Does this request accept to be deferred (DTR-OPT-01, -02; reading 11)?

    Unknown values are ignored, order and repetition mean nothing; absent means no.
    """
    text = form.get(names.COMPLETION_MODE, "")
    if len(text) > MAX_COMPLETION_MODE:
        raise InvalidRequest("The completion_mode is too long")
    return names.COMPLETION_DEFERRED in text.split(" ")


def check_notification_token(form: Form) -> None:
    """Refuse a `client_notification_token` that could not stand in a header (reading 19)."""
    token = form.get(names.CLIENT_NOTIFICATION_TOKEN)
    if token is not None and not (22 <= len(token) <= 512 and _B64TOKEN.fullmatch(token)):
        raise InvalidRequest("The client_notification_token is malformed")


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


def _read_resources(form: Form, client: Client) -> frozenset[str]:
    asked = parse_resources(form.all_of(names.RESOURCE))
    if not asked:
        if len(client.resources) != 1:
            raise InvalidTarget("The request must name a resource")
        return client.resources
    # One token, one resource: a token that several servers accept is one that
    # each of them could use at the others (OAUTH-RES-04, OAUTH-AT-04).
    if len(asked) > 1:
        raise InvalidTarget("Only one resource may be named")
    registered = find_registered(next(iter(asked)), client.resources)
    if registered is None:
        raise InvalidTarget("The client may not use this resource")
    return frozenset({registered})


def _read_details(form: Form, client: Client, types: DetailsTypes) -> tuple[Detail, ...]:
    text = form.get(names.AUTHORIZATION_DETAILS)
    if text is None:
        return ()
    details = types.parse(text)
    if not all(detail[TYPE] in client.details_types for detail in details):
        raise InvalidAuthorizationDetails("The client may not use this type")
    return details
