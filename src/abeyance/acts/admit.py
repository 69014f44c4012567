"""Who calls, and with which key (OAUTH section 9, T2 to T5; reading 4).

Authentication comes first and uses nothing up; then the proof; then the marks
of both go into the replay memory, so that a request which is asked to come again
with a nonce has not burnt its assertion (OAUTH-CAUTH-17). A proof that is bad in
itself is refused here, before any look-up.
"""

from collections.abc import Hashable

import structlog

from abeyance.acts.house import ClientRequest, House
from abeyance.acts.known_clients import find_client
from abeyance.acts.published_keys import with_keys
from abeyance.oauth.client_authentication import (
    AssertionShown,
    AuthenticatedClient,
    Credentials,
    challenge,
    claimed_client,
    read_credentials,
    verify_credentials,
)
from abeyance.parties.client import Client
from abeyance.proofs.binding import ProvenKey
from abeyance.proofs.certificate import BadCertificate, Certificate, parse_certificate
from abeyance.proofs.dpop import verify_proof
from abeyance.proofs.replay import ReplayMark
from abeyance.volatile.customers import find_customer
from abeyance.volatile.replay import ReplayMemoryFull
from abeyance.wire.errors import (
    InvalidClient,
    InvalidDpopProof,
    InvalidGrant,
    TooManyRequests,
    Unavailable,
)

_log = structlog.get_logger("abeyance.admit")


async def authenticate(house: House, request: ClientRequest) -> AuthenticatedClient:
    """Authenticate the client; raises `InvalidRequest`, `InvalidClient` or `TooManyRequests`.

    Only what fails is slowed down: whoever has the right credentials is never kept
    waiting because of what strangers send in a client's name (OAUTH-CAUTH-11).
    """
    credentials: Credentials | None = None
    try:
        credentials = read_credentials(
            request.authorization, request.form, issuer=house.endpoints.issuer
        )
        client = await find_client(house, claimed_client(credentials))
        if client is not None and isinstance(credentials, AssertionShown):
            client = await with_keys(house.client_keys, client, credentials.assertion.reveal())
        return verify_credentials(
            credentials,
            client,
            request.form,
            certificate=_read_certificate(request.certificate),
            authorities=house.authorities,
            issuer=house.endpoints.issuer,
            token_endpoint=house.endpoints.token,
            now=house.clock.now(),
            algorithms=house.algorithms,
            string_audience=house.terms.fapi,
        )
    except BadCertificate:
        _count_failure(house, request, credentials)
        raise InvalidClient(challenge(house.endpoints.issuer)) from None
    except InvalidClient:
        _count_failure(house, request, credentials)
        raise


def _count_failure(house: House, request: ClientRequest, credentials: Credentials | None) -> None:
    """Count, log, and raise `TooManyRequests` in the place of a refusal if there were many."""
    failures, tick = house.limits.failures, house.clock.tick()
    house.counters.authentication_failures.inc()
    customer, client = find_customer(request.address), None
    places: list[Hashable] = [customer]
    if credentials is not None:
        places.append((credentials.client_id, customer))
        client = house.keys.pseudonym(credentials.client_id)
    _log.warning("client authentication failed", address=request.address, client=client)
    waits = [wait for place in places if (wait := failures.wait(place, tick)) is not None]
    for place in places:
        failures.fail(place, tick)
    if waits:
        raise TooManyRequests("Too many failed authentications", max(waits))


def _read_certificate(der: bytes | None) -> Certificate | None:
    return None if der is None else parse_certificate(der)


async def prove(
    house: House, request: ClientRequest, caller: AuthenticatedClient
) -> ProvenKey | None:
    """Verify the DPoP proof, if there is one, and use up its mark and the assertion's.

    Raises `InvalidDpopProof`, `UseDpopNonce`, or `InvalidClient` for an assertion
    that was used before.
    """
    now = house.clock.now()
    proof = None
    if request.dpop:
        proof = verify_proof(
            request.dpop,
            method="POST",
            url=house.urls(request.url, request.certificate),
            now=now,
            nonces=house.nonces,
            require_nonce=house.terms.require_nonce,
            algorithms=house.algorithms,
        )
    if caller.mark is not None and not await use_up(house, caller.mark):
        house.counters.authentication_failures.inc()
        raise InvalidClient(challenge(house.endpoints.issuer))
    if proof is not None and not await use_up(house, proof.mark):
        raise InvalidDpopProof("The DPoP proof was used before")
    if caller.x5t is not None:
        return ProvenKey(None if proof is None else proof.key.jkt, caller.x5t)
    return None if proof is None else proof.key


def check_constrained(house: House, client: Client, key: ProvenKey | None) -> None:
    """Are its tokens bound as its registration and the profile demand? Raises
    `InvalidDpopProof`, `InvalidGrant`.

    Source: RFC 9449 §5.2, RFC 8705 §3.4, FAPI 2.0 (OAUTH-FAPI-04).
    """
    if client.dpop_bound_access_tokens and (key is None or key.jkt is None):
        raise InvalidDpopProof("The client must send a DPoP proof")
    if client.certificate_bound and (key is None or key.x5t is None):
        raise InvalidGrant("The client must show a certificate")
    if house.terms.fapi and key is None:
        raise InvalidDpopProof("The client must send a DPoP proof or show a certificate")


async def use_up(house: House, mark: ReplayMark) -> bool:
    """Use a mark up; `False` if it was. Raises `Unavailable` while nothing can be remembered."""
    try:
        return await house.replay.use(mark, now=house.clock.now())
    except ReplayMemoryFull:
        raise Unavailable from None
