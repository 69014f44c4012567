"""Putting the house together: the one place that names a store, a clock and a generator."""

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from abeyance.acts.challenge import Recognize
from abeyance.acts.house import Clock, Hook, House, Limits, Terms, Traces
from abeyance.acts.published_keys import PublishedKeys
from abeyance.acts.restoring import check_here
from abeyance.grants import GRANTS
from abeyance.keys import KeyRing
from abeyance.oauth import fapi
from abeyance.oauth.metadata import (
    WELL_KNOWN,
    WELL_KNOWN_OPENID,
    Endpoints,
    server_metadata,
)
from abeyance.oauth.openid import OpenId
from abeyance.oauth.success import Lives
from abeyance.outbound.caller import GuardedCaller, Outside, tls_context
from abeyance.outbound.mail import Mailer, SmtpMailer
from abeyance.parties.trust import Use
from abeyance.policy.rules import Rules
from abeyance.proofs.jws import SIGNING_ALGORITHMS
from abeyance.proofs.nonce import Nonces
from abeyance.server.admin.app import AdminApi, AdminEndpoint
from abeyance.server.backchannel.challenge import challenge_endpoint
from abeyance.server.backchannel.device import device_endpoint
from abeyance.server.backchannel.documents import Document, KeySetDocument
from abeyance.server.backchannel.introspection import introspection_endpoint
from abeyance.server.backchannel.par import par_endpoint
from abeyance.server.backchannel.registration import RegistrationEndpoint
from abeyance.server.backchannel.revocation import revocation_endpoint
from abeyance.server.backchannel.token import FACES, token_endpoint
from abeyance.server.backchannel.userinfo import METHODS, userinfo_endpoint
from abeyance.server.certificates import showing
from abeyance.server.client_documents import ClientDocuments
from abeyance.server.cors import Origins, across, across_all
from abeyance.server.declared import bring_in
from abeyance.server.delivering import delivering
from abeyance.server.disposing import disposing
from abeyance.server.http import Endpoint
from abeyance.server.key_events import noting_signing_keys
from abeyance.server.pages.app import pages_app
from abeyance.server.pages.host import HostPeople
from abeyance.server.passwords import Passwords
from abeyance.server.probes import Live, Ready
from abeyance.server.proxies import behind
from abeyance.server.recognizing import recognizer
from abeyance.server.resealing import resealing
from abeyance.server.settings import Settings
from abeyance.server.stores import open_store
from abeyance.volatile.counters import Counters
from abeyance.volatile.digests import Digests
from abeyance.volatile.limits import Backoff, Buckets
from abeyance.volatile.once import Once
from abeyance.volatile.seats import Seats
from abeyance.volatile.waiters import Waiters
from abeyance.wire import names

_FREE_FAILURES: Final = 5  # that cost no delay: people mistype
_LONGEST_DELAY: Final = 30.0  # seconds; nobody is locked out from outside (SEC-DOS-16)
_DEVICES_BURST: Final = 10  # device requests a minute, of one public client and address
_DEVICES_RATE: Final = _DEVICES_BURST / 60
# Wrong user codes: the fifth of a session ends its tries for as long as a code may live,
# the tenth of an account or address begins to cost time (DEV-UC-04).
_FREE_SESSION_GUESSES: Final = 4
_FREE_GUESSES: Final = 9
_GUESS_DELAY: Final = 30.0
_ALARM: Final = 100  # wrong user codes a minute, in all
_NOTICES_A_MINUTE: Final = 5  # to one reviewer; then one for all that waits (SEC-DOS-10)
_AUTHORIZATIONS_RATE: Final = 5.0  # authorization requests a second, of one address
_AUTHORIZATIONS_BURST: Final = 100  # many people may share an address
_REGISTRATIONS_RATE: Final = 0.1  # a second, of one address
_REGISTRATIONS_BURST: Final = 20


@dataclass(frozen=True, slots=True)
class Routes:
    """Exact paths of the back channel, everything that people look at, and the admin API."""

    endpoints: Mapping[str, Endpoint]
    pages: Endpoint
    admin: Endpoint


@asynccontextmanager
async def open_house(
    settings: Settings,
    *,
    clock: Clock | None = None,
    random: Callable[[int], bytes] = os.urandom,
    hosted: bool = False,
    outside: Outside | None = None,
    mailer: Mailer | None = None,
    traces: Traces | None = None,
) -> AsyncIterator[House]:
    """Open keys and store, bring in what the configuration declares, close at the end.

    `hosted`: a host application signs people in, and says how long they stay so. `outside`
    and `mailer`: the ways out, if they are others than ours.

    Raises `UnsafeKeys`, `StoreInUse`, `StoreElsewhere`, `StoreAway`.
    """
    async with open_store(settings, clock) as kept:
        store, clock = kept.store, kept.clock
        await check_here(store)
        keys = KeyRing.open(
            settings.data / "keys",
            now=clock.now,
            tick=clock.tick,
            id_tokens=() if settings.openid is None else settings.openid.algorithms,
            algorithms=fapi.ALGORITHMS if settings.fapi else None,
        )
        reach = settings.outbound.reach
        outside = outside or GuardedCaller(reach, ca_file=settings.outbound.ca_file)
        nonces = Nonces(*keys.nonce_keys)
        keys.on_root(lambda: nonces.turn(*keys.nonce_keys))
        house = House(
            endpoints=Endpoints(settings.issuer),
            store=store,
            types=settings.types,
            scopes=settings.scopes,
            resources=settings.resources,
            decider=settings.decider,
            trust=settings.trust,
            steps=settings.steps,
            operator_steps=settings.operator_steps,
            keys=keys,
            nonces=nonces,
            clock=clock,
            random=random,
            us=random(16),
            replay=kept.replay,
            clocks=kept.clocks,
            limits=Limits(
                failures=Backoff(free=_FREE_FAILURES, longest=_LONGEST_DELAY),
                creations=Buckets(
                    rate=settings.limits.creations_per_second,
                    burst=settings.limits.creations_burst,
                ),
                sign_ins=Backoff(free=_FREE_FAILURES, longest=_LONGEST_DELAY),
                authorizations=Buckets(rate=_AUTHORIZATIONS_RATE, burst=_AUTHORIZATIONS_BURST),
                devices=Buckets(rate=_DEVICES_RATE, burst=_DEVICES_BURST),
                guesses=Backoff(
                    free=_FREE_GUESSES, first=_GUESS_DELAY, longest=3600.0, forgotten=3600.0
                ),
                session_guesses=Backoff(
                    free=_FREE_SESSION_GUESSES, first=600.0, longest=3600.0, forgotten=3600.0
                ),
                guessing=Buckets(rate=_ALARM / 60, burst=_ALARM),
                registrations=Buckets(rate=_REGISTRATIONS_RATE, burst=_REGISTRATIONS_BURST),
                notices=Buckets(rate=_NOTICES_A_MINUTE / 60, burst=_NOTICES_A_MINUTE),
                held=Seats(
                    most=settings.limits.held_polls,
                    each=settings.limits.held_polls_per_client,
                ),
            ),
            reported=Once(),
            waiters=Waiters(),
            answering=kept.answering,
            mailer=mailer or _mailer(settings),
            hook=_hook(settings, outside),
            digests=Digests(),
            outside=outside,
            # Two, so that no number of clients crowds out what an operator has named.
            client_keys=PublishedKeys(outside, tick=clock.tick),
            issuer_keys=PublishedKeys(outside, tick=clock.tick),
            documents=(
                ClientDocuments(settings.known, settings.registration)
                if settings.registration.document_hosts
                else None
            ),
            counters=Counters(),
            terms=Terms(
                lives=Lives(
                    access_token=settings.lifetimes.access_token,
                    refresh_idle=settings.lifetimes.refresh_idle,
                    refresh=settings.lifetimes.refresh,
                    id_jag=settings.lifetimes.id_jag,
                ),
                code=settings.lifetimes.code,
                authorization=settings.lifetimes.authorization,
                pushed=settings.lifetimes.pushed,
                device=settings.lifetimes.device if settings.device_authorization else timedelta(),
                device_denies=settings.device_without_deferral == "deny",
                refresh_grace=settings.lifetimes.refresh_grace,
                refresh_deferral=settings.refresh_deferral,
                stale_with_any_end=settings.stale_with_any_end,
                sessions_run_out=not hosted,
                waiting=settings.lifetimes.waiting,
                interval=settings.lifetimes.interval,
                approval=settings.lifetimes.approval,
                open_requests=settings.limits.open_requests,
                cool_down=settings.lifetimes.cool_down,
                require_nonce=settings.require_nonce,
                require_pushed=settings.require_pushed,
                require_signed=settings.require_signed,
                interaction_profile=settings.interaction_profile,
                interaction=settings.lifetimes.interaction,
                fapi=settings.fapi,
                notice_details=settings.notices.details,
                long_poll=settings.lifetimes.long_poll,
                retention=settings.retention,
            ),
            openid=_openid(settings, hosted=hosted),
            algorithms=fapi.ALGORITHMS if settings.fapi else SIGNING_ALGORITHMS,
            traces=traces,
            authorities=() if settings.mtls is None else settings.mtls.authorities,
            aliases=_aliases(settings),
        )
        if isinstance(settings.decider, Rules):
            settings.decider.on_failure(house.counters.rule_errors.inc)
        store.on_change(house.waiters.ring)
        await bring_in(house, settings.clients, settings.people)
        async with (
            noting_signing_keys(house),
            delivering(house),
            disposing(house),
            resealing(house),
        ):
            yield house


def _aliases(settings: Settings) -> Endpoints | None:
    if settings.mtls is None or settings.mtls.origin is None:
        return None
    return Endpoints(settings.issuer).at(settings.mtls.origin)


def _mailer(settings: Settings) -> Mailer | None:
    smtp = settings.notices.smtp
    if smtp is None:
        return None
    return SmtpMailer(
        sender=smtp.sender,
        host=smtp.host,
        port=smtp.port,
        security=smtp.security,
        domain=urlsplit(settings.issuer).hostname or "localhost",
        username=smtp.username,
        password=smtp.password,
        tls=tls_context(settings.outbound.ca_file),
    )


def _hook(settings: Settings, outside: Outside | None) -> Hook | None:
    webhook = settings.notices.webhook
    if webhook is None:
        return None
    way = outside or GuardedCaller(webhook.reach, ca_file=settings.outbound.ca_file)
    return Hook(url=webhook.url, secret=webhook.secret, outside=way)


@asynccontextmanager
async def open_routes(
    house: House, settings: Settings, people: HostPeople | None = None
) -> AsyncIterator[Routes]:
    """Build every endpoint over the house."""
    passwords, proxies = Passwords(), settings.trusted_proxies
    recognize, source = None, None if settings.mtls is None else settings.mtls.source
    if settings.first_party_apps and people is None:
        recognize = recognizer(house, passwords, proxies)
    try:
        pages = pages_app(
            house,
            passwords,
            secure=settings.issuer.startswith("https:"),
            people=people,
            proxies=proxies,
        )
        yield Routes(
            MappingProxyType(
                {
                    path: showing(behind(endpoint, proxies), source, proxies)
                    for path, endpoint in _endpoints(house, settings, recognize).items()
                }
            ),
            behind(pages, proxies),
            showing(
                behind(
                    AdminEndpoint(
                        AdminApi(house, settings.known, hosted=people is not None),
                        house,
                        https=settings.issuer.startswith("https:"),
                    ),
                    proxies,
                ),
                source,
                proxies,
            ),
        )
    finally:
        passwords.close()


def _openid(settings: Settings, *, hosted: bool) -> OpenId | None:
    """How a host application signs people in, it alone knows."""
    if settings.openid is None:
        return None
    return OpenId(
        algorithms=settings.openid.algorithms,
        acr=settings.openid.acr,
        amr=() if hosted else ("pwd",),
    )


def _profiles(settings: Settings) -> Iterable[str]:
    """What of the profiles is switched on; each is used by those who ask for it alone."""
    yield from (names.PROFILE_IDEMPOTENT, names.PROFILE_OUTCOME)
    if settings.interaction_profile:
        yield names.PROFILE_INTERACT
    if settings.limits.held_polls:
        yield names.PROFILE_WAIT


def _grant_types(settings: Settings) -> Iterable[str]:
    """Those that somebody could use: without trust nothing is exchanged or asserted."""
    trust = settings.trust
    for name in GRANTS:
        if name == names.GRANT_TOKEN_EXCHANGE and not (trust.exchanges or trust.targets):
            continue
        if name == names.GRANT_DEVICE_CODE and not settings.device_authorization:
            continue
        if name == names.GRANT_JWT_BEARER and not trust.is_used_for(Use.JWT_BEARER, Use.ID_JAG):
            continue
        yield name


def _grant_profiles(settings: Settings) -> Iterable[str]:
    if settings.trust.is_used_for(Use.ID_JAG):
        yield names.GRANT_PROFILE_ID_JAG


def _endpoints(
    house: House, settings: Settings, recognize: Recognize | None
) -> Mapping[str, Endpoint]:
    """`recognize`: who may be signed in by an application, where that is switched on."""
    places, https = house.endpoints, settings.issuer.startswith("https:")
    metadata = Document(
        server_metadata(
            places,
            scopes=settings.scopes,
            details_types=settings.types.names(),
            grant_types=[*_grant_types(settings), *FACES],
            profiles=_profiles(settings),
            grant_profiles=_grant_profiles(settings),
            require_pushed=settings.require_pushed,
            require_signed=settings.require_signed,
            first_party=recognize is not None,
            openid=house.openid,
            devices=settings.device_authorization,
            registration=settings.registration.enabled,
            client_documents=bool(settings.registration.document_hosts),
            mtls=settings.mtls is not None,
            aliases=house.aliases,
            profiled=settings.fapi,
        ),
        https=https,
    )
    callable_from_pages: dict[str, Endpoint] = {
        "/token": token_endpoint(house),
        "/par": par_endpoint(house),
        "/revoke": revocation_endpoint(house),
        "/introspect": introspection_endpoint(house),
    }
    origins = Origins(house)
    below: dict[str, Endpoint] = {
        **across_all(callable_from_pages, origins, https=https),
        "/jwks": KeySetDocument(house, https=https),
        WELL_KNOWN: metadata,
    }
    aliases = {places.well_known: metadata}
    if house.openid is not None:
        methods = ", ".join(METHODS).encode()
        below["/userinfo"] = across(userinfo_endpoint(house), origins, https=https, methods=methods)
        below[WELL_KNOWN_OPENID] = metadata
        aliases[places.well_known_openid] = metadata
    if settings.device_authorization:
        below["/device_authorization"] = device_endpoint(house)
    if settings.registration.enabled:
        below["/register"] = RegistrationEndpoint(house, settings.known, settings.registration)
    if recognize is not None:
        # Never across origins: it is not for pages in a browser (OAUTH-FIPA-01).
        below["/challenge"] = challenge_endpoint(house, recognize)
    # With the issuer's path, as clients send it, and without, as a host application
    # or a proxy that has taken it off hands it over.
    return (
        below
        | {places.path + path: endpoint for path, endpoint in below.items()}
        | aliases
        | {
            "/livez": Live(https=https),
            "/readyz": Ready(house, https=https),
        }
    )
