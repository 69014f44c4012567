"""Does what was derived or granted earlier still stand, when it is about to become something?

Besides what `dispose.stands` asks of every request: the token that it was derived from,
whoever acts, and what the operator allows now.

Source: EXT-BOUND-01, -02, OAUTH-DEFER-06, OAUTH-TX-11, -12.
"""

from datetime import datetime

from abeyance.access.access import Access
from abeyance.access.details import TYPE
from abeyance.acts.house import House
from abeyance.oauth.asking import check_still_allowed
from abeyance.parties.client import Client, ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.exchanged import Source, outermost
from abeyance.pending.request import Snapshot
from abeyance.pending.states import Approved
from abeyance.wire.strict_json import JsonObject


def bounds(snapshot: Snapshot, approved: Approved) -> list[datetime]:
    """When the approval ends, and what the request was derived from (EXT-BOUND-01, -02)."""
    derived = None if snapshot.exchanged is None else snapshot.exchanged.until
    return [approved.until] if derived is None else [approved.until, derived]


def still_allowed(house: House, snapshot: Snapshot, granted: Access, client: Client) -> bool:
    """By the client's registration now; for another server, by what may be asked there."""
    exchanged = snapshot.exchanged
    if snapshot.asserted_by is not None:
        issuer = house.trust.issuers.get(snapshot.asserted_by)
        if issuer is None or client.id not in issuer.clients:
            return False
    if exchanged is None:
        return check_still_allowed(granted, client, house.types)
    if exchanged.target is None:
        exchange = house.trust.exchange_for(client.id, exchanged.subject_type, exchanged.actor_type)
        return exchange is not None and check_still_allowed(granted, client, house.types)
    target = house.trust.target_for(client.id, exchanged.target.issuer)
    return (
        target is not None
        and granted.scope <= target.scope
        and granted.resources <= target.resources
        and all(
            detail[TYPE] in target.details_types and house.types.accepts(detail)
            for detail in granted.details
        )
    )


async def derived_stands(house: House, source: Source | None) -> bool:
    """Is what this is derived from not revoked? That it has expired does not matter
    (OAUTH-TX-12): then nothing is derived from it anew, and what was is judged by itself.
    """
    if source is None:
        return True
    if not source.jti:
        grant = await house.store.find_grant(source.home)
        return grant is not None and grant.ended_at is None
    record = await house.store.find_token(source.home, source.jti)
    if record is None or record.revoked_at is not None:
        return False
    client = await house.store.find_client(record.client)
    return client is not None and client.enabled


async def actor_stands(house: House, actor: JsonObject | None) -> bool:
    """May whoever acts still act (OAUTH-TX-11)? Those who acted before are history."""
    if actor is None or "iss" in actor:
        return True
    name = outermost(actor)
    if name.startswith("client:"):
        client = await house.store.find_client(ClientId(name.removeprefix("client:")))
        return client is not None and client.enabled
    person = await house.store.find_person(PersonId(name))
    return person is not None and person.enabled
