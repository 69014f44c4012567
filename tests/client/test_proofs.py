"""DPoP: proof on every request, nonces, and one key from the first to the last (T-239, T-240)."""

import httpx2
import pytest

from abeyance.client import (
    MalformedResponse,
    PublicClient,
    ServerRefused,
    Token,
    Unavailable,
    generate_key,
)
from abeyance.proofs.dpop import verify_proof
from tests.client.fakes import (
    ISSUER,
    Answer,
    Kit,
    Seen,
    deferred,
    error,
    granted,
    pending,
    slow_down,
)
from tests.covers import covers


def challenge(nonce: str, status: int = 400) -> Answer:
    return error("use_dpop_nonce", status=status, headers={"DPoP-Nonce": nonce})


@covers("T-239", "DTR-SEC-01")
@pytest.mark.parametrize("public", [True, False])
def test_every_request_proves_the_key_with_a_new_identifier(kit: Kit, public: bool) -> None:
    key = generate_key()
    client = kit.client(dpop_key=key, authentication=PublicClient() if public else None)
    held = kit.defer(client=client)
    kit.server.says(pending(), slow_down(), pending(), granted("DPoP"))
    token = held.wait()

    assert token.dpop_key is key
    seen = kit.server.token_requests
    assert len(seen) == 5
    for sent in seen:
        proven = verify_proof(
            [sent.headers["dpop"].encode()],
            method="POST",
            url=f"{ISSUER}/token",
            now=kit.time.wall,
            nonces=None,
            require_nonce=False,
        )
        assert proven.key.jkt == key.public.jkt
    assert len({sent.proof["jti"] for sent in seen}) == 5


@covers("T-240")
def test_a_nonce_is_remembered_for_the_next_request(kit: Kit) -> None:
    client = kit.client(dpop_key=generate_key())
    kit.server.says(
        challenge("first"),
        deferred(),
        pending(headers={"DPoP-Nonce": "second"}),
        challenge("third", status=401),
        pending(),
        granted("DPoP"),
    )
    held = kit.request(client=client)
    assert not isinstance(held, Token)
    held.wait()
    assert [sent.proof.get("nonce") for sent in kit.server.token_requests] == [
        None,
        "first",
        "first",
        "second",
        "third",
        "third",
    ]
    assert len({sent.proof["jti"] for sent in kit.server.token_requests}) == 6


@covers("T-240")
def test_a_challenge_is_answered_once_per_poll(kit: Kit) -> None:
    held = kit.defer(client=kit.client(dpop_key=generate_key()))
    count = iter(range(100))

    def always(_seen: Seen) -> httpx2.Response:
        return httpx2.Response(
            400, json={"error": "use_dpop_nonce"}, headers={"DPoP-Nonce": f"n{next(count)}"}
        )

    kit.server.says(always, always, always, always, granted("DPoP"))
    held.wait()
    # Two requests a poll, and the pace is that of a server that cannot answer.
    assert kit.server.gaps() == [0, 10, 0, 20]


@covers("T-240")
def test_a_first_request_that_is_challenged_twice_is_refused(kit: Kit) -> None:
    kit.server.says(challenge("one"), challenge("two"), granted())
    with pytest.raises(ServerRefused) as refused:
        kit.request(client=kit.client(dpop_key=generate_key()))
    assert refused.value.error == "use_dpop_nonce"
    assert len(kit.server.token_requests) == 2


@covers("T-240")
@pytest.mark.parametrize("nonce", ["", 'with"quote', "with space", "x" * 2000])
def test_a_challenge_without_a_usable_nonce_is_not_answered(kit: Kit, nonce: str) -> None:
    kit.server.says(challenge(nonce), granted("DPoP"))
    with pytest.raises(ServerRefused):
        kit.request(client=kit.client(dpop_key=generate_key()))
    assert len(kit.server.token_requests) == 1


def test_a_challenge_without_a_key_is_not_answered(kit: Kit) -> None:
    kit.server.says(challenge("one"))
    with pytest.raises(ServerRefused):
        kit.request()
    assert len(kit.server.token_requests) == 1


@pytest.mark.parametrize("wait", [True, False])
def test_a_token_that_is_not_bound_to_the_proven_key_is_revoked_and_refused(
    kit: Kit, wait: bool
) -> None:
    client = kit.client(dpop_key=generate_key())
    if wait:
        held = kit.defer(client=client)
        kit.server.says(granted("Bearer"))
        with pytest.raises(MalformedResponse):
            held.wait()
        with pytest.raises(MalformedResponse):
            held.poll()
    else:
        kit.server.says(granted("bearer"))
        with pytest.raises(MalformedResponse):
            kit.request(client=client)
    (sent,) = kit.server.revocations
    assert sent["token_type_hint"] == "access_token"


def test_a_bound_token_without_a_key_of_ours_is_refused(kit: Kit) -> None:
    kit.server.says(granted("DPoP"))
    with pytest.raises(MalformedResponse):
        kit.request()


def test_the_token_type_is_compared_without_case(kit: Kit) -> None:
    kit.server.says(granted("dpop"), granted("BEARER"))
    assert isinstance(kit.request(client=kit.client(dpop_key=generate_key())), Token)
    assert isinstance(kit.request(), Token)


def test_the_cancellation_of_a_bound_request_proves_its_key(kit: Kit) -> None:
    key = generate_key()
    held = kit.defer(client=kit.client(dpop_key=key))
    kit.server.revoking.append(challenge("fresh"))
    held.cancel()
    first, second = kit.server.revocations
    for sent in (first, second):
        assert sent.proof["htu"] == f"{ISSUER}/revoke"
        assert sent.proof_key["x"] == key.public.jwk["x"]
    assert second.proof["nonce"] == "fresh"


@covers("DTR-CANC-11")
def test_a_revocation_that_is_challenged_for_ever_is_given_up(kit: Kit) -> None:
    held = kit.defer(client=kit.client(dpop_key=generate_key()))
    kit.server.revoking.extend([challenge("again")] * 99)
    with pytest.raises(Unavailable):
        held.cancel()
    assert len(kit.server.revocations) == 6
