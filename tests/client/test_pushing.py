"""Where the server takes pushed requests, the browser carries a reference only (RFC 9126)."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from abeyance.client import (
    ClientSecretPost,
    MalformedResponse,
    PublicClient,
    ServerRefused,
    Unavailable,
    generate_key,
)
from tests.client.fakes import CLIENT_ID, CLIENT_SECRET, ISSUER, Answer, Kit, answer, cut, error
from tests.covers import covers

CALLBACK = "https://app.test/callback"
REFERENCE = "urn:ietf:params:oauth:request_uri:planted"
DETAIL = {"type": "payment", "amount": "12.00"}


def open_up(kit: Kit, *answers: Answer) -> None:
    kit.server.metadata |= {
        "authorization_endpoint": f"{ISSUER}/authorize",
        "pushed_authorization_request_endpoint": f"{ISSUER}/par",
    }
    kit.server.pushing.extend(answers)


def kept() -> Answer:
    return answer({"request_uri": REFERENCE, "expires_in": 90}, status=201)


def begin(kit: Kit, *, dpop_key: Any = None, authentication: Any = None, **asked: Any) -> Any:
    more = {} if authentication is None else {"authentication": authentication}
    client = kit.client(dpop_key=dpop_key, **more)
    return kit.run(client.authorization_request(CALLBACK, **({"scope": "read"} | asked)))


@covers("OAUTH-PAR-08", "OAUTH-RAR-11", "T-058", "DTR-HINT-01")
def test_the_browser_carries_nothing_but_client_and_reference(kit: Kit) -> None:
    open_up(kit, kept())
    request = begin(kit, authorization_details=[DETAIL], resource=["https://a", "https://b"])
    assert request.url.startswith(f"{ISSUER}/authorize?")
    told = parse_qsl(urlsplit(request.url).query)
    assert told == [("client_id", CLIENT_ID), ("request_uri", REFERENCE)]
    pushed = kit.server.seen[-1]
    assert pushed.path == "/par"
    assert json.loads(pushed["authorization_details"]) == [DETAIL]
    assert [value for name, value in pushed.form if name == "resource"] == [
        "https://a",
        "https://b",
    ]
    assert pushed["completion_mode"] == "deferred"
    assert pushed["state"] == request.state.reveal()
    assert request.code_verifier.reveal() not in str(pushed.form)


@covers("OAUTH-PAR-01")
@pytest.mark.parametrize("authentication", [None, ClientSecretPost(CLIENT_SECRET), PublicClient()])
def test_the_client_names_itself_once_however_it_authenticates(
    kit: Kit, authentication: Any
) -> None:
    open_up(kit, kept())
    begin(kit, authentication=authentication)
    assert kit.server.seen[-1]["client_id"] == CLIENT_ID


@covers("OAUTH-PAR-11", "OAUTH-DPOP-20")
def test_the_key_signs_the_push_and_a_nonce_is_answered_once(kit: Kit) -> None:
    key = generate_key()
    challenge = error("use_dpop_nonce", headers={"DPoP-Nonce": "fresh"})
    open_up(kit, challenge, kept())
    begin(kit, dpop_key=key)
    pushed = kit.server.seen[-1]
    assert pushed["dpop_jkt"] == key.public.jkt
    assert (pushed.proof["htu"], pushed.proof["nonce"]) == (f"{ISSUER}/par", "fresh")


@pytest.mark.parametrize(
    ("said", "raised"),
    [
        (error("invalid_scope"), ServerRefused),
        (error("invalid_client", status=401), ServerRefused),
        (error("temporarily_unavailable", status=503), Unavailable),
        (cut, Unavailable),
        (answer({"expires_in": 90}, status=201), MalformedResponse),
        (answer(b"no", status=201), MalformedResponse),
        (answer({"request_uri": 7}, status=201), MalformedResponse),
        (answer({"request_uri": REFERENCE}, status=200), Unavailable),
        (error("authorization_pending"), MalformedResponse),
    ],
)
def test_nobody_is_sent_anywhere_when_the_push_fails(
    kit: Kit, said: Answer, raised: type[Exception]
) -> None:
    open_up(kit, said)
    with pytest.raises(raised):
        begin(kit)
