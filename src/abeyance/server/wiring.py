"""Putting the house together: the one place that names a store, a clock and a generator."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from abeyance.acts.house import Clock, House, Limits, Terms
from abeyance.grants import GRANTS
from abeyance.keys import load_or_create
from abeyance.oauth.metadata import WELL_KNOWN, Endpoints, server_metadata
from abeyance.policy.rules import Rules
from abeyance.proofs.jwk import render_jwks
from abeyance.proofs.nonce import Nonces
from abeyance.server.backchannel.documents import Document
from abeyance.server.backchannel.revocation import revocation_endpoint
from abeyance.server.backchannel.token import FACES, token_endpoint
from abeyance.server.clock import SystemClock
from abeyance.server.console import console_app
from abeyance.server.declared import bring_in
from abeyance.server.http import Endpoint
from abeyance.server.passwords import Passwords
from abeyance.server.probes import Live, Ready
from abeyance.server.settings import Settings
from abeyance.store.sqlite import SqliteStore
from abeyance.volatile.clocks import PollClocks
from abeyance.volatile.counters import Counters
from abeyance.volatile.limits import Backoff, Buckets
from abeyance.volatile.once import Once
from abeyance.volatile.replay import LocalReplayMemory
from abeyance.volatile.waiters import Waiters

_FREE_FAILURES: Final = 5  # that cost no delay: people mistype
_LONGEST_DELAY: Final = 30.0  # seconds; nobody is locked out from outside (SEC-DOS-16)


@dataclass(frozen=True, slots=True)
class Routes:
    """Exact paths of the back channel, and the console below its own path."""

    endpoints: Mapping[str, Endpoint]
    console: Endpoint


@asynccontextmanager
async def open_house(
    settings: Settings,
    *,
    clock: Clock | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> AsyncIterator[House]:
    """Open keys and store, bring in what the configuration declares, close at the end.

    Raises `UnsafeKeys`, `StoreInUse`, `StoreAway`.
    """
    clock = clock or SystemClock()
    keys = load_or_create(settings.data / "keys", now=clock.now())
    store = await SqliteStore.open(settings.store.path, memory=settings.store.memory_requests)
    try:
        house = House(
            endpoints=Endpoints(settings.issuer),
            store=store,
            types=settings.types,
            scopes=settings.scopes,
            decider=settings.decider,
            keys=keys,
            nonces=Nonces(keys.nonce_key),
            clock=clock,
            random=random,
            replay=LocalReplayMemory(),
            clocks=PollClocks(settings.store.memory_requests),
            limits=Limits(
                failures=Backoff(free=_FREE_FAILURES, longest=_LONGEST_DELAY),
                creations=Buckets(
                    rate=settings.limits.creations_per_second,
                    burst=settings.limits.creations_burst,
                ),
                sign_ins=Backoff(free=_FREE_FAILURES, longest=_LONGEST_DELAY),
            ),
            reported=Once(),
            waiters=Waiters(),
            counters=Counters(),
            terms=Terms(
                access_token=settings.lifetimes.access_token,
                approval=settings.lifetimes.approval,
                open_requests=settings.limits.open_requests_per_client,
                require_nonce=settings.require_nonce,
            ),
        )
        if isinstance(settings.decider, Rules):
            settings.decider.on_failure(house.counters.rule_errors.inc)
        store.on_change(lambda _key: house.waiters.ring())
        await bring_in(house, settings.clients, settings.people)
        yield house
    finally:
        await store.close()


@asynccontextmanager
async def open_routes(house: House, settings: Settings) -> AsyncIterator[Routes]:
    """Build every endpoint over the house."""
    passwords = Passwords()
    try:
        yield Routes(
            _endpoints(house, settings),
            console_app(house, passwords, secure=settings.issuer.startswith("https:")),
        )
    finally:
        passwords.close()


def _endpoints(house: House, settings: Settings) -> Mapping[str, Endpoint]:
    places, https = house.endpoints, settings.issuer.startswith("https:")
    metadata = Document(
        server_metadata(
            places,
            scopes=settings.scopes,
            details_types=settings.types.names(),
            grant_types=[*GRANTS, *FACES],
        ),
        https=https,
    )
    below: dict[str, Endpoint] = {
        "/token": token_endpoint(house),
        "/revoke": revocation_endpoint(house),
        "/jwks": Document(render_jwks(house.keys.published), https=https),
        WELL_KNOWN: metadata,
    }
    # With the issuer's path, as clients send it, and without, as a host application
    # or a proxy that has taken it off hands it over.
    return MappingProxyType(
        below
        | {places.path + path: endpoint for path, endpoint in below.items()}
        | {
            places.well_known: metadata,
            "/livez": Live(https=https),
            "/readyz": Ready(house, https=https),
        }
    )
