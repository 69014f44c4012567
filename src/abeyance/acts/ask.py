"""The first request: a token at once, a clear no, or "not yet" (OAUTH section 9, T5 to T10)."""

from typing import Final, NoReturn

from abeyance.access.access import Access
from abeyance.acts.admit import check_constrained, prove
from abeyance.acts.asked import Asked, ReviewNeeded, refusal
from abeyance.acts.consent import consent_first
from abeyance.acts.defer import defer
from abeyance.acts.dispose import close_home, stands
from abeyance.acts.house import ClientRequest, House
from abeyance.acts.issue import issue
from abeyance.acts.memory import find_memory
from abeyance.acts.recognise import recognise
from abeyance.acts.repeat import answer_again, find_earlier
from abeyance.grants.grant import Claimed, Found, Grant, Presented, Reused
from abeyance.oauth.asking import (
    read_access,
    read_completion_mode,
    read_notification_token,
    read_part,
    read_request_id,
    read_way_back,
    read_within,
)
from abeyance.oauth.client_authentication import AuthenticatedClient
from abeyance.parties.client import Client
from abeyance.pending.exchanged import audience, outermost
from abeyance.pending.handles import HandleKind, parse_handle
from abeyance.pending.opening import Deferred
from abeyance.pending.repetition import identifier_key
from abeyance.policy.decider import Defer, Deny, Issue, Question
from abeyance.proofs.dpop import ProvenKey
from abeyance.wire.errors import (
    AccessDenied,
    InvalidGrant,
    InvalidRequest,
    TooManyRequests,
    UnauthorizedClient,
)
from abeyance.wire.strict_json import JsonObject

_ATTEMPTS: Final = 3  # at a home that others move meanwhile


async def ask(
    house: House, request: ClientRequest, caller: AuthenticatedClient, grant: Grant
) -> JsonObject | Deferred:
    """Answer a first request: the success body, or the deferral just opened.

    Everything is validated before anything is consumed, so a request that is
    refused has changed nothing (OAUTH-TOK-02). Raises an `OAuthError`.
    """
    client = caller.client
    if grant.name not in client.grant_types:
        raise UnauthorizedClient("The client may not use this grant")
    key = await prove(house, request, caller)
    check_constrained(house, client, key)
    return await ask_proven(house, request, client, key, grant)


async def ask_proven(
    house: House, request: ClientRequest, client: Client, key: ProvenKey | None, grant: Grant
) -> JsonObject | Deferred:
    """As `ask`, for a caller that was admitted. Raises `ReviewNeeded` where the grant waits."""
    mode = read_completion_mode(request.form, client, interact=house.terms.interaction_profile)
    named = read_request_id(request.form, client, mode)
    identifier = None if named is None else identifier_key(client.id, named)
    way_back = read_way_back(request.form, client, mode)
    notification_token = read_notification_token(request.form)
    paced = False
    for _ in range(_ATTEMPTS):
        found = await _claim(house, request, client, key, grant)
        if not isinstance(found, Reused):
            claimed = found
        elif identifier is None or found.claimed is None:
            await _refuse_reuse(house, client, found)
        else:
            claimed = found.claimed
        if not paced:
            _pace(house, client, claimed)
            paced = True
        if claimed.hinted and not mode.deferred:
            raise InvalidRequest(
                "The completion_mode of the authorization request must be repeated"
            )
        asked = Asked(
            client=client,
            grant=grant,
            claimed=claimed,
            access=_read_access(house, request, client, claimed),
            key=key,
            mode=mode,
            identifier=identifier,
            way_back=way_back,
            notification_token=notification_token,
        )
        # Before what is spent is refused, or a repetition would never be recognised (EXT-IDEMP-05).
        earlier = await find_earlier(house, asked)
        if earlier is not None:
            answer = await answer_again(house, asked, earlier)
        elif isinstance(found, Reused):
            await _refuse_reuse(house, client, found)
        else:
            answer = await _answer(house, asked)
        if answer is not None:
            return answer
    raise grant.refuses("The grant is used by another request at this moment")


def _pace(house: House, client: Client, claimed: Claimed) -> None:
    """So many first requests a second; those of its users do not hinder each other (DTR-SEC-06)."""
    whose = client.id if claimed.behind is None else (client.id, claimed.behind.person)
    if wait := house.limits.creations.take(whose, house.clock.tick()):
        raise TooManyRequests("The client sends requests too fast", wait)


async def _claim(
    house: House, request: ClientRequest, client: Client, key: ProvenKey | None, grant: Grant
) -> Claimed | Reused:
    """Look the credential up and judge it."""
    tokens = () if grant.shows is None else grant.shows(request.form)
    shown = Presented(
        client=client,
        form=request.form,
        key=key,
        found=await _find(house, request, grant),
        now=house.clock.now(),
        grace=house.terms.refresh_grace,
        tokens=tuple(await recognise(house, client, tokens)),
        trust=house.trust,
        types=house.types,
    )
    found = grant.claim(shown)
    claimed = found.claimed if isinstance(found, Reused) else found
    # What we own is checked when something is issued, for every grant (OAUTH-TOK-08).
    if (
        claimed is not None
        and claimed.behind is not None
        and not await stands(house, client.id, claimed.behind)
    ):
        raise grant.refuses("The grant has been withdrawn")
    return found


async def _refuse_reuse(house: House, client: Client, found: Reused) -> NoReturn:
    """A credential that was spent ends all that came of it, unless it was spent a moment ago."""
    if found.ends:
        house.counters.reuses.inc()
        await close_home(house, found.home, why="credential_reuse", actor=f"client:{client.id}")
    raise InvalidGrant("The grant has been used already")


async def _find(house: House, request: ClientRequest, grant: Grant) -> Found | None:
    if grant.handle is None or grant.parameter is None:
        return None
    text = request.form.get(grant.parameter)
    if text is None:
        raise InvalidRequest("The request lacks the credential of its grant")
    handle = parse_handle(grant.handle, text)
    if handle is None:
        return None
    match grant.handle:
        case HandleKind.AUTHORIZATION_CODE:
            return await house.store.find_code(handle)
        case HandleKind.REFRESH_TOKEN:
            return await house.store.find_refresh(handle)
        case HandleKind.DEVICE_CODE:
            found = await house.store.find_device(handle.home)
            return found if found is not None and found.device.handle == handle else None
        case _:
            raise AssertionError(f"{grant.handle} is the handle of no grant")


def _read_access(house: House, request: ClientRequest, client: Client, claimed: Claimed) -> Access:
    form, approval, userinfo = request.form, house.terms.approval, house.endpoints.userinfo
    if claimed.bounds is not None:
        return read_within(form, claimed.bounds, client, house.types, approval, userinfo)
    if claimed.ceiling is None:
        return read_access(form, client, house.types, approval, userinfo)
    return read_part(form, claimed.ceiling, client, house.types, approval, userinfo)


async def _answer(house: House, asked: Asked) -> JsonObject | Deferred | None:
    """Ask the policy and act; `None`: the home was moved meanwhile, look again."""
    claimed, refreshing = asked.claimed, asked.claimed.refreshing
    verdict = await house.decider.decide(
        Question(
            client=asked.client,
            grant_type=asked.grant.name,
            subject=claimed.subject,
            asked=asked.access,
            bound=asked.key is not None,
            at=house.clock.now(),
            person=None if claimed.behind is None else claimed.behind.person,
            approved=refreshing is not None and refreshing.family.approved,
            actor=outermost(claimed.actor),
            audience=audience(claimed.exchanged),
        )
    )
    if claimed.lacks_consent(asked.access):
        verdict = consent_first(house, verdict)
    if isinstance(verdict, Defer):
        memory = await find_memory(house, asked, verdict)
        if memory is not None:
            return await issue(house, asked, verdict.rule, memory)
    match verdict:
        case Issue(rule=rule):
            return await issue(house, asked, rule)
        case Deny():
            house.counters.denied.inc()
            if asked.grant.waits:
                raise AccessDenied("The request is not granted to this client")
            raise refusal(asked.access, "The request is not granted to this client")
        case Defer() if asked.grant.waits and not asked.mode.deferred:
            raise ReviewNeeded
        case Defer() if (
            not asked.mode.deferred
            or claimed.at_once
            or (refreshing is not None and not house.terms.refresh_deferral)
        ):
            # Never deferred unasked (DTR-OPT-01); said as a remedy (EXT-ARAP-02).
            house.counters.denied.inc()
            raise refusal(
                asked.access,
                "The request needs a review and the client did not accept to be deferred",
            )
        case Defer() as deferred:
            return await defer(house, asked, deferred)
