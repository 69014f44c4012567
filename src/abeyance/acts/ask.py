"""The first request: a token at once, a clear no, or "not yet" (OAUTH section 9, T5 to T10)."""

from dataclasses import replace

import structlog

from abeyance.access.access import Access
from abeyance.acts.admit import prove
from abeyance.acts.dispose import close_client
from abeyance.acts.house import ClientRequest, House
from abeyance.grants.grant import Claimed, Grant
from abeyance.oauth.asking import check_notification_token, read_access, read_completion_mode
from abeyance.oauth.client_authentication import AuthenticatedClient, challenge
from abeyance.oauth.minting import mint_access_token
from abeyance.parties.client import Client
from abeyance.parties.person import PersonId
from abeyance.pending.change import AuditEvent, Change, Superseded
from abeyance.pending.handles import HOME_BYTES, SECRET_BYTES, Home
from abeyance.pending.opening import Opened, Proposal, open_request
from abeyance.pending.request import Binding, Snapshot
from abeyance.policy.decider import Defer, Deny, Issue, Question
from abeyance.proofs.dpop import ProvenKey
from abeyance.wire.errors import (
    InvalidAuthorizationDetails,
    InvalidClient,
    InvalidDpopProof,
    InvalidGrant,
    InvalidScope,
    OAuthError,
    TooManyRequests,
    UnauthorizedClient,
)
from abeyance.wire.strict_json import JsonObject

_log = structlog.get_logger("abeyance.ask")


async def ask(
    house: House, request: ClientRequest, caller: AuthenticatedClient, grant: Grant
) -> JsonObject | Opened:
    """Answer a first request: the success body, or the deferral just opened.

    Everything is validated before anything is consumed, so a request that is
    refused has changed nothing (OAUTH-TOK-02). Raises an `OAuthError`.
    """
    client = caller.client
    if grant.name not in client.grant_types:
        raise UnauthorizedClient("The client may not use this grant")
    key = await prove(house, request, caller)
    if client.dpop_bound_access_tokens and key is None:
        raise InvalidDpopProof("The client must send a DPoP proof")
    if wait := house.limits.creations.take(client.id, house.clock.tick()):
        raise TooManyRequests("The client sends requests too fast", wait)
    deferrable = read_completion_mode(request.form)
    check_notification_token(request.form)
    claimed = grant.claim(client)
    asked = read_access(request.form, client, house.types, house.terms.approval)
    verdict = await house.decider.decide(
        Question(
            client=client,
            grant_type=grant.name,
            subject=claimed.subject,
            asked=asked,
            bound=key is not None,
            at=house.clock.now(),
        )
    )
    match verdict:
        case Issue(rule=rule):
            return await _issue(house, client, claimed, asked, key, rule)
        case Deny():
            house.counters.denied.inc()
            raise _refusal(asked, "The request is not granted to this client")
        case Defer() if not deferrable:
            # Never deferred unasked (DTR-OPT-01); said as a remedy (EXT-ARAP-02).
            house.counters.denied.inc()
            raise _refusal(
                asked, "The request needs a review and the client did not accept to be deferred"
            )
        case Defer() as plan:
            return await _defer(house, client, grant, claimed, asked, key, plan)


async def _issue(
    house: House,
    client: Client,
    claimed: Claimed,
    asked: Access,
    key: ProvenKey | None,
    rule: str,
) -> JsonObject:
    now = house.clock.now()
    home = Home(house.random(HOME_BYTES))
    minted = mint_access_token(
        client=client,
        subject=claimed.subject,
        access=asked,
        key=key,
        home=home,
        n=0,
        issuer=house.endpoints.issuer,
        signing=house.keys.signing,
        random=house.random(16),
        now=now,
        life=house.terms.access_token,
    )
    issued = AuditEvent(
        n=0, at=now, event="issued", actor=f"client:{client.id}", detail={"rule": rule}
    )
    match await house.store.apply(Change(home, claimed.requires, (minted.record, issued))):
        case Superseded():
            raise InvalidGrant("The grant has been used already")
    house.counters.issued.inc()
    return minted.answer


async def _defer(
    house: House,
    client: Client,
    grant: Grant,
    claimed: Claimed,
    asked: Access,
    key: ProvenKey | None,
    defer: Defer,
) -> Opened:
    if not await _somebody_can_decide(house, client, defer):
        # A wait that nobody can end would be a lie (and is the operator's to mend).
        house.counters.rule_errors.inc()
        _log.error("no reviewer of this rule may decide for this client", rule=defer.rule)
        raise _refusal(asked, "The request needs a review that nobody can give")
    now = house.clock.now()
    snapshot = Snapshot(
        client=client.id,
        client_name=client.name,
        client_owner=client.owner,
        grant_type=grant.name,
        subject=claimed.subject,
        asked=replace(asked, lifetime=defer.approval_lifetime),
        binding=Binding(None if key is None else key.jkt),
        plan=defer.plan,
        rule=defer.rule,
        policy_version=house.decider.version,
    )
    opened = open_request(
        Proposal(Home(house.random(HOME_BYTES)), snapshot, claimed.requires),
        interval=defer.interval,
        lifetime=defer.lifetime,
        at_most=house.terms.open_requests,
        secret=house.random(SECRET_BYTES),
        now=now,
    )
    match await house.store.apply(opened.change):
        case Superseded():
            raise TooManyRequests("The client has too many requests waiting", 60)
    # The fence: whoever disables a client writes first and sweeps then, so one of
    # the two always sees the other (OAUTH-CLI-05, OAUTH-DEFER-09).
    present = await house.store.find_client(client.id)
    if present is None or not present.enabled:
        await close_client(house, client.id)
        raise InvalidClient(challenge(house.endpoints.issuer))
    house.counters.deferred.inc()
    return opened


async def _somebody_can_decide(house: House, client: Client, defer: Defer) -> bool:
    able = 0
    for reviewer in defer.plan.reviewers - {client.owner}:
        person = await house.store.find_person(PersonId(reviewer))
        able += person is not None and person.enabled
    return able >= defer.plan.approvals


def _refusal(asked: Access, description: str) -> OAuthError:
    """A synchronous no, worded by what was asked; never a pending code (EXT-ARAP-01)."""
    if asked.details:
        return InvalidAuthorizationDetails(description)
    if asked.scope:
        return InvalidScope(description)
    return InvalidGrant(description)
