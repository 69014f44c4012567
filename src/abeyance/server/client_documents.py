"""Client ID metadata documents: fetched through the guard, judged, brought into the store.

What is in the store is like any other client, so that consents, history and fences work; what
it may do follows the document. When its keys or redirect URIs change, what people have agreed
to ends: it was given to somebody else (OAUTH-CIMD-04).
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Final

from abeyance.acts import dispose
from abeyance.acts.house import House
from abeyance.oauth.client_document import (
    LONGEST,
    MAX_DOCUMENT,
    SCHEME,
    host_of_id,
    is_json,
    read_document,
    read_freshness,
)
from abeyance.outbound.caller import Fetched, Unreachable
from abeyance.outbound.targets import Forbidden
from abeyance.parties.client import Client, ClientId
from abeyance.server.registering import read_registered
from abeyance.server.settings_parties import Known
from abeyance.server.settings_registration import RegistrationTerms
from abeyance.store.ports import SecurityEvent
from abeyance.volatile.limits import Buckets
from abeyance.wire.errors import OAuthError, TooManyRequests

_MOST_AT_HAND: Final = 1024
_COOL_DOWN: Final = 30.0  # seconds, after a fetch that brought nothing
_RATE: Final = 1.0  # fetches a second from one host, for clients that are known and for others
_BURST: Final = 30


@dataclass(slots=True)
class _Seen:
    """What is known of one document, in ticks of the clock."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    good_until: float = 0.0
    last_good: float | None = None
    not_before: float = 0.0


class ClientDocuments:
    """`known` and `terms`: what such clients may refer to and have."""

    def __init__(self, known: Known, terms: RegistrationTerms) -> None:
        self._known = known
        self._terms = terms
        self._seen: OrderedDict[ClientId, _Seen] = OrderedDict()
        # Apart, because strangers choose these ids: they must not push the others out.
        self._strangers: OrderedDict[ClientId, _Seen] = OrderedDict()
        self._fetches = Buckets(rate=_RATE, burst=_BURST)

    async def find(self, house: House, client: ClientId) -> Client | None:
        """Raises `TooManyRequests`. Nothing is asked for before the id was judged."""
        host = host_of_id(client)
        if host is None or host not in self._terms.document_hosts:
            return None
        seen = self._seen.get(client) or self._strangers.get(client) or _Seen()
        self._keep(client, seen)
        if house.clock.tick() >= seen.good_until:
            async with seen.lock:
                await self._refresh(house, client, host, seen)
            self._keep(client, seen)
        if house.clock.tick() >= seen.good_until:
            return None
        return await house.store.find_client(client)

    def _keep(self, client: ClientId, seen: _Seen) -> None:
        group = self._strangers if seen.last_good is None else self._seen
        for each in (self._seen, self._strangers):
            each.pop(client, None)
        group[client] = seen
        if len(group) > _MOST_AT_HAND:
            group.popitem(last=False)

    async def _refresh(self, house: House, client: ClientId, host: str, seen: _Seen) -> None:
        tick = house.clock.tick()
        # Whoever waited for the lock finds what another has fetched, or that there was nothing.
        if tick < seen.good_until or tick < seen.not_before:
            return
        known = await house.store.find_client(client) is not None
        if wait := self._fetches.take((host, known), tick):
            raise TooManyRequests("Too many client documents are asked for", wait)
        seen.not_before = tick + _COOL_DOWN
        try:
            await self._fetch(house, client, seen, tick)
        except asyncio.CancelledError:
            # Whoever asked has gone, which says nothing of the document.
            seen.not_before = tick
            raise

    async def _fetch(self, house: House, client: ClientId, seen: _Seen, tick: float) -> None:
        try:
            fetched = await house.outside.get(
                client, at_most=MAX_DOCUMENT, accept="application/json"
            )
            if fetched.status >= 500:
                raise Unreachable("it is out of order")
        except Forbidden:
            return
        except Unreachable:
            # The last good one serves meanwhile, but for no longer than a day.
            if seen.last_good is not None and tick < seen.last_good + LONGEST.total_seconds():
                seen.good_until = seen.not_before
            return
        if await self._take(house, client, fetched):
            seen.last_good = tick
            life = read_freshness(fetched.header("cache-control"))
            seen.good_until = tick + life.total_seconds()

    async def _take(self, house: House, client: ClientId, fetched: Fetched) -> bool:
        """Judge the document and write what it says; `False` if nothing of it is believed."""
        if fetched.status != 200 or not is_json(fetched.header("content-type")):
            return False
        offered = self._terms.offered
        try:
            metadata = read_document(client, fetched.body, offered)
            read = await read_registered(
                house, self._known, metadata, offered, client=client, digests=()
            )
        except OAuthError:
            return False
        before = await house.store.find_client(client)
        if before is None and await self._is_full(house):
            return False
        # What an administrator has switched off stays off.
        after = read
        if before is not None:
            after = replace(read, enabled=before.enabled, barred=before.barred)
        if after == before:
            return True
        if before is not None and _is_another(before, after):
            await _ask_again(house, client)
        if not await house.store.replace_client(before, after):
            return False
        if before is not None and _is_another(before, after):
            # Once more: somebody may have agreed to the old one in between.
            await _ask_again(house, client)
        event = "client_described" if before is None else "client_document_changed"
        await house.store.record(
            SecurityEvent(house.clock.now(), event, f"client:{client}", client)
        )
        return True

    async def _is_full(self, house: House) -> bool:
        """A bound on what strangers make us keep; a few more in a race do no harm."""
        clients = await house.store.list_clients()
        described = sum(each.id.startswith(SCHEME) for each in clients)
        return described >= self._terms.most_clients


def _is_another(before: Client, after: Client) -> bool:
    return (before.keys, before.jwks_uri, before.auth_method, before.redirect_uris) != (
        after.keys,
        after.jwks_uri,
        after.auth_method,
        after.redirect_uris,
    )


async def _ask_again(house: House, client: ClientId) -> None:
    for consent in await house.store.list_consents(client=client):
        await dispose.withdraw_consent(house, consent.person, client, by="system")
