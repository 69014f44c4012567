"""`token-exchange` (RFC 8693; OAUTH-TX, EXT-GRANT-04, EXT-BOUND-02), and ID-JAGs made by it.

Delegation: with an actor token, the result says who acts (`act`). Impersonation:
without one it does not, which takes a permission of its own. Nothing that comes of it
is wider than the subject token but by a permission that names it, outlives what the
subject token rests on, or loses its key. The subject token is not used up; when it is
revoked, what was derived ends too.

An ID-JAG is for another authorization server, and no token here (OAUTH-IDJAG-01).
"""

from datetime import timedelta
from typing import Final

from abeyance.grants.grant import (
    Behind,
    Claimed,
    Grant,
    Presented,
    Recognised,
    Role,
    Shown,
)
from abeyance.oauth.asking import Bounds
from abeyance.parties import person as people
from abeyance.parties.trust import AssertionTarget, Exchange
from abeyance.pending.change import DerivedFrom, OpenGrant, Row, Step
from abeyance.pending.credentials import UserGrant
from abeyance.pending.exchanged import Exchanged, Target, read_chain
from abeyance.pending.request import Success
from abeyance.proofs.binding import proves
from abeyance.wire import names
from abeyance.wire.errors import (
    InsufficientUserAuthentication,
    InvalidRequest,
    InvalidTarget,
    UnauthorizedClient,
)
from abeyance.wire.form import Form
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import Json, JsonObject

_SUBJECT_TYPES: Final = frozenset(
    {names.URN_ACCESS_TOKEN, names.URN_REFRESH_TOKEN, names.URN_ID_TOKEN, names.URN_JWT}
)
_ACTOR_TYPES: Final = frozenset({names.URN_ACCESS_TOKEN, names.URN_ID_TOKEN, names.URN_JWT})
# Our access tokens are JWTs, so either name is right for one.
_ISSUED_HERE: Final = frozenset({names.URN_ACCESS_TOKEN, names.URN_JWT})
_SIGNED_IN: Final = frozenset({names.URN_ID_TOKEN, names.URN_REFRESH_TOKEN})


def _shows(form: Form) -> tuple[Shown, ...]:
    """The tokens of the request; also refuses what no exchange here can issue (OAUTH-TX-01)."""
    subject, subject_type = form.get(names.SUBJECT_TOKEN), form.get(names.SUBJECT_TOKEN_TYPE)
    actor, actor_type = form.get(names.ACTOR_TOKEN), form.get(names.ACTOR_TOKEN_TYPE)
    if subject is None or subject_type is None:
        raise InvalidRequest("The request lacks the subject_token or its type")
    if (actor is None) != (actor_type is None):
        raise InvalidRequest("The actor_token and its type come together")
    if subject_type not in _SUBJECT_TYPES or actor_type not in {None, *_ACTOR_TYPES}:
        raise InvalidRequest("Tokens of this type are not exchanged here")
    if _requested(form) not in _ISSUED_HERE | {names.URN_ID_JAG}:
        raise InvalidRequest("Tokens of the requested type are not issued here")
    shown = (Shown(Role.SUBJECT, subject_type, Secret(subject)),)
    if actor is None or actor_type is None:
        return shown
    return (*shown, Shown(Role.ACTOR, actor_type, Secret(actor)))


def _requested(form: Form) -> str:
    return form.get(names.REQUESTED_TOKEN_TYPE, names.URN_ACCESS_TOKEN)


def _claim(shown: Presented) -> Claimed:
    if shown.client.is_public:
        raise UnauthorizedClient("A public client may not use this grant")
    subject, actor = shown.token(Role.SUBJECT), shown.token(Role.ACTOR)
    if subject is None or not _is_usable(shown, subject):
        raise InvalidRequest("The subject_token is not valid for this request")
    if names.ACTOR_TOKEN in shown.form and (
        actor is None or not _is_usable(shown, actor) or "act" in actor.claims
    ):
        # What is itself delegated would bring a chain that nobody asked for.
        raise InvalidRequest("The actor_token is not valid for this request")
    _check_may_act(shown, subject, actor)
    if _requested(shown.form) == names.URN_ID_JAG:
        return _claim_id_jag(shown, subject, actor)
    exchange = shown.trust.exchange_for(
        shown.client.id, subject.type, None if actor is None else actor.type
    )
    if exchange is None:
        raise UnauthorizedClient("The client may not exchange these tokens")
    if actor is None and subject.person is not None:
        _check_may_be_posed_as(subject.person)
    return _claimed(
        shown,
        subject,
        actor,
        _bounds(subject, exchange),
        Exchanged(
            subject_type=subject.type,
            issued_type=_requested(shown.form),
            actor_type=None if actor is None else actor.type,
            source=subject.source,
            until=subject.until,
        ),
    )


def _claim_id_jag(shown: Presented, subject: Recognised, actor: Recognised | None) -> Claimed:
    audiences = shown.form.all_of(names.AUDIENCE)
    if len(audiences) != 1:
        raise InvalidTarget("The audience must name one authorization server")
    target = shown.trust.target_for(shown.client.id, audiences[0])
    if target is None:
        raise InvalidTarget("The client may not get an assertion for this server")
    if actor is not None:
        raise InvalidRequest("An assertion for another server takes no actor_token")
    if subject.type not in _SIGNED_IN or subject.person is None:
        raise InvalidRequest("Only who has signed in can be asserted")
    _check_fresh(shown, subject, target)
    client = target.client_ids.get(shown.client.id, shown.client.id)
    return _claimed(
        shown,
        subject,
        None,
        Bounds(
            scope=target.scope,
            resources=target.resources,
            elsewhere=True,
            details_types=target.details_types,
        ),
        Exchanged(
            subject_type=subject.type,
            issued_type=names.URN_ID_JAG,
            source=subject.source,
            target=Target(target.issuer, client),
            until=subject.until,
        ),
    )


def _claimed(
    shown: Presented,
    subject: Recognised,
    actor: Recognised | None,
    bounds: Bounds,
    exchanged: Exchanged,
) -> Claimed:
    behind, steps = None, tuple[Step, ...]()
    if subject.person is not None:
        behind = Behind(
            person=subject.person.id, session=None, consent=None, auth_time=subject.auth_time
        )
        steps = (OpenGrant(_grant(shown, behind)),)
    rows: tuple[Row, ...] = ()
    if exchanged.source is not None:
        rows = (DerivedFrom(exchanged.source),)
    return Claimed(
        subject=subject.subject,
        behind=behind,
        spends=steps,
        holds=steps,
        rows=rows,
        bounds=bounds,
        success=Success.ACCESS_TOKEN if exchanged.target is None else Success.ID_JAG,
        until=subject.expires_at,
        asserted_by=None if subject.issuer is None else subject.issuer.issuer,
        actor=_chain(subject, actor),
        exchanged=exchanged,
    )


def _grant(shown: Presented, behind: Behind) -> UserGrant:
    """The client's own hold on what was derived, so that whatever ends the person ends it."""
    return UserGrant(
        client=shown.client.id,
        person=behind.person,
        session=None,
        consent=None,
        auth_time=behind.auth_time,
        opened_at=shown.now,
        live_until=shown.now,
    )


def _is_usable(shown: Presented, token: Recognised) -> bool:
    """Was it issued to this client or for it, does it last, and is its key proven
    (OAUTH-TX-04, -06)?
    """
    client = shown.client
    if token.type == names.URN_JWT:
        theirs = token.issuer is not None and client.id in token.issuer.clients
    else:
        audience = frozenset[str]()
        if token.access is not None and token.role is Role.SUBJECT:
            # What was sent to a resource server is for it to exchange; who acts is itself.
            audience = token.access.resources
        theirs = token.client == client.id or not audience.isdisjoint(client.introspects)
    lasts = token.expires_at - shown.now >= timedelta(seconds=1)
    return theirs and lasts and proves(shown.key, token.jkt)


def _check_may_act(shown: Presented, subject: Recognised, actor: Recognised | None) -> None:
    """Whoever acts must be the one that the subject token names, if it names one (OAUTH-TX-09).

    Without an actor token it is the client that would act.
    """
    if "may_act" not in subject.claims:
        return
    named: Json = subject.claims["may_act"]
    client = shown.client.id
    acts: JsonObject = {"sub": f"client:{client}", "client_id": client}
    if actor is not None:
        acts = actor.claims
    if (
        not isinstance(named, dict)
        or not named
        or _is_namesake(subject, actor, named)
        or any(acts.get(name) != value for name, value in named.items())
    ):
        raise InvalidRequest("The subject_token names another actor")


def _is_namesake(subject: Recognised, actor: Recognised | None, named: JsonObject) -> bool:
    """Is the actor a person of another issuer than the one who names somebody, and does that one
    not say whose name it is? Then two people may have it. No person has the name of a client.
    """
    return (
        actor is not None
        and actor.person is not None
        and "iss" not in named
        and actor.claims.get("iss") != subject.claims.get("iss")
    )


def _check_may_be_posed_as(person: people.Person) -> None:
    """Whoever runs the server is never impersonated (OAUTH-TX-08)."""
    if people.Role.ADMINISTRATOR in person.roles:
        raise InvalidRequest("The subject_token is not valid for this request")


def _check_fresh(shown: Presented, subject: Recognised, target: AssertionTarget) -> None:
    """Step-up proves who it is, and is asked for as such; it is never a deferral (EXT-IDJAG-06)."""
    if target.max_age is None:
        return
    if subject.auth_time is None or shown.now - subject.auth_time > target.max_age:
        raise InsufficientUserAuthentication(target.max_age)


def _bounds(subject: Recognised, exchange: Exchange) -> Bounds:
    """What the subject token allows, and what the permission names besides (OAUTH-TX-05).

    A token that grants nothing here, such as an ID token, brings nothing of its own. What the
    permission adds is given only to who asks for it.
    """
    access = subject.access
    if access is None:
        return Bounds(
            scope=exchange.scope, usual=frozenset(), resources=exchange.resources, details=()
        )
    return Bounds(
        scope=access.scope | exchange.scope,
        usual=access.scope,
        resources=access.resources | exchange.resources,
        details=access.details,
    )


def _chain(subject: Recognised, actor: Recognised | None) -> JsonObject | None:
    """Who acts, and behind them who acted before (OAUTH-TX-07). Without an actor, those stay:
    whoever narrows a delegated token does not wash its history off.
    """
    issuer = None if subject.issuer is None else subject.issuer.issuer
    try:
        before = read_chain(subject.claims.get("act"), issuer)
        if actor is None:
            return before
        acts: dict[str, Json] = {"sub": actor.subject}
        if actor.client is not None:
            acts["client_id"] = actor.client
        return read_chain(acts if before is None else {**acts, "act": before}, None)
    except ValueError:
        raise InvalidRequest("Too many have acted for this subject") from None


TOKEN_EXCHANGE: Final = Grant(
    name=names.GRANT_TOKEN_EXCHANGE, claim=_claim, shows=_shows, refuses=InvalidRequest
)
