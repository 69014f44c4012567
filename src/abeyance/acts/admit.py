"""Who calls, and with which key (OAUTH section 9, T2 to T5; reading 4).

Authentication comes first and uses nothing up; then the proof; then the marks
of both go into the replay memory, so that a request which is asked to come again
with a nonce has not burnt its assertion (OAUTH-CAUTH-17). A proof that is bad in
itself is refused here, before any look-up.
"""

from collections.abc import Hashable

import structlog

from abeyance.acts.house import ClientRequest, House
from abeyance.oauth.client_authentication import (
    AuthenticatedClient,
    Credentials,
    challenge,
    claimed_client,
    read_credentials,
    verify_credentials,
)
from abeyance.proofs.dpop import ProvenKey, verify_proof
from abeyance.proofs.replay import ReplayMark
from abeyance.volatile.replay import ReplayMemoryFull
from abeyance.wire.errors import (
    InvalidClient,
    InvalidDpopProof,
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
        return verify_credentials(
            credentials,
            await house.store.find_client(claimed_client(credentials)),
            request.form,
            issuer=house.endpoints.issuer,
            token_endpoint=house.endpoints.token,
            now=house.clock.now(),
        )
    except InvalidClient:
        _count_failure(house, request, credentials)
        raise


def _count_failure(house: House, request: ClientRequest, credentials: Credentials | None) -> None:
    """Count, log, and raise `TooManyRequests` in the place of a refusal if there were many."""
    failures, tick = house.limits.failures, house.clock.tick()
    house.counters.authentication_failures.inc()
    places: list[Hashable] = [request.address]
    client = None
    if credentials is not None:
        places.append((credentials.client_id, request.address))
        client = house.keys.pseudonym(credentials.client_id)
    _log.warning("client authentication failed", address=request.address, client=client)
    waits = [wait for place in places if (wait := failures.wait(place, tick)) is not None]
    for place in places:
        failures.fail(place, tick)
    if waits:
        raise TooManyRequests("Too many failed authentications", max(waits))


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
            url=request.url,
            now=now,
            nonces=house.nonces,
            require_nonce=house.terms.require_nonce,
        )
    if caller.mark is not None and not await _use(house, caller.mark):
        house.counters.authentication_failures.inc()
        raise InvalidClient(challenge(house.endpoints.issuer))
    if proof is None:
        return None
    if not await _use(house, proof.mark):
        raise InvalidDpopProof("The DPoP proof was used before")
    return proof.key


async def _use(house: House, mark: ReplayMark) -> bool:
    try:
        return await house.replay.use(mark, now=house.clock.now())
    except ReplayMemoryFull:
        raise Unavailable from None
