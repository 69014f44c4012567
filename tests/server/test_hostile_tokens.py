"""Hostile tokens at the running server: what they must not make it read, open, call, keep or say.

What a token itself must be is judged in `tests/proofs`; here is what lies around that.
"""

import asyncio
import json
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pytest

from abeyance.proofs import client_assertion
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.base64url import render_base64url
from tests.answer import Answer
from tests.config import CONFIG, ISSUER
from tests.covers import covers
from tests.logged import written
from tests.outside import Network
from tests.proofs.forge import encode, sign
from tests.served import Served, make_key, serve

TOKEN: Final = f"{ISSUER}/token"
CANARY: Final = "https://canary.example/keys"
PUBLISHED: Final = "https://c3.example/jwks"
C3: Final = f"""
[[clients]]
id = "c3"
name = "Publishes its keys"
token_endpoint_auth_method = "private_key_jwt"
jwks_uri = "{PUBLISHED}"
scope = ["now"]
resources = ["https://rs.example"]
"""


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
async def served(tmp_path: Path, network: Network) -> AsyncIterator[Served]:
    async with serve(tmp_path, config=CONFIG + C3, outside=network) as running:
        yield running
        for path, answer in running.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"


def forged(header: dict[str, Any], claims: dict[str, Any], key: KeyPair) -> str:
    signed = f"{encode(header)}.{encode(claims)}"
    return f"{signed}.{encode(sign(key, signed.encode()))}"


def said_by(served: Served, client: str, **changes: Any) -> dict[str, Any]:
    """The claims of an assertion."""
    now = int(served.clock.now().timestamp())
    claims = {"iss": client, "sub": client, "aud": ISSUER, "exp": now + 60, "jti": "hostile"}
    return claims | changes


async def show(served: Served, assertion: str, path: str = "/token") -> Answer:
    form = [
        ("grant_type", "client_credentials"),
        ("scope", "now"),
        ("client_assertion_type", names.ASSERTION_JWT_BEARER),
        ("client_assertion", assertion),
    ]
    return await served.post(path, form)


class _Watch:
    """What this thread opens and whom it calls while it looks; a hook cannot be taken back."""

    def __init__(self) -> None:
        self.thread: int | None = None
        self.touched: list[str] = []
        sys.addaudithook(self._look)

    def _look(self, event: str, args: tuple[Any, ...]) -> None:
        if self.thread == threading.get_ident() and event in _EVENTS:
            self.touched.append(f"{event} {args[0]!r}")


_EVENTS: Final = ("open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen")


@lru_cache(1)
def _watch() -> _Watch:
    return _Watch()


@contextmanager
def nothing_touched() -> Iterator[None]:
    """No file is opened and nobody is called; the interpreter itself says so (PEP 578)."""
    watch = _watch()
    watch.touched.clear()
    watch.thread = threading.get_ident()
    try:
        yield
    finally:
        watch.thread = None
    assert watch.touched == []


KIDS: Final = ["../../../../dev/null", "' UNION SELECT 'x", "\x00", "k" * 10_000, 1, "c2", None]


@covers("SEC-JOSE-05", "OAUTH-JWT-12")
@pytest.mark.parametrize("kid", KIDS, ids=lambda kid: repr(kid)[:24])
async def test_a_kid_opens_nothing(served: Served, kid: Any) -> None:
    header = {"typ": "JWT", "alg": "ES256", "kid": kid}
    usual = forged({"typ": "JWT", "alg": "ES256"}, said_by(served, "c2"), make_key())
    assert (await show(served, usual)).error == "invalid_client"  # what is imported late is there
    with nothing_touched():
        for alg in ("ES256", "HS256"):
            token = forged(header | {"alg": alg}, said_by(served, "c2"), make_key())
            assert (await show(served, token)).error == "invalid_client"


def test_the_watch_sees_what_is_opened(tmp_path: Path) -> None:
    with pytest.raises(AssertionError), nothing_touched():
        (tmp_path / "x").write_text("x")


@covers("SEC-JOSE-04", "OAUTH-JWT-05", "OAUTH-SSRF-09")
@pytest.mark.parametrize("member", ["jku", "x5u"])
async def test_no_address_in_a_token_is_ever_called(
    served: Served, network: Network, member: str
) -> None:
    mine = make_key()
    network.serves(CANARY, {"keys": [mine.public.jwk]})
    network.serves(PUBLISHED, {"keys": [served.keys["c2"].public.jwk]})
    for client in ("c2", "c3"):
        header = {"typ": "JWT", "alg": "ES256", member: CANARY}
        token = forged(header, said_by(served, client), mine)
        assert (await show(served, token)).error == "invalid_client"
    assert CANARY not in network.gets


@covers("SEC-JOSE-05", "OAUTH-CAUTH-26")
async def test_a_thousand_unknown_kids_make_one_fetch_a_cool_down(
    served: Served, network: Network
) -> None:
    network.serves(PUBLISHED, {"keys": [served.keys["c1"].public.jwk]})
    for number in range(1_000):
        header = {"typ": "JWT", "alg": "ES256", "kid": f"unknown-{number}"}
        assert (await show(served, forged(header, said_by(served, "c3"), make_key_once()))).error
    assert network.gets == [PUBLISHED]


_ONE: Final = make_key()


def make_key_once() -> KeyPair:
    return _ONE


@covers("SEC-JOSE-20", "SEC-SSRF-62")
async def test_a_set_beyond_64_kib_is_no_set(served: Served, network: Network) -> None:
    key = served.keys["c1"]
    large = {"keys": [key.public.jwk], "pad": "x" * 65 * 1024}
    network.serves(PUBLISHED, large)
    caller = client_assertion.make_assertion(
        key, client_id="c3", audience=ISSUER, now=served.clock.now(), jti="1"
    )
    assert (await show(served, caller)).error == "invalid_client"
    served.clock.move(61)
    network.serves(PUBLISHED, large | {"pad": ""})
    caller = client_assertion.make_assertion(
        key, client_id="c3", audience=ISSUER, now=served.clock.now(), jti="2"
    )
    assert (await show(served, caller)).status == 200


BOMBS: Final[dict[str, Callable[[], str]]] = {
    "zip of a JWE": lambda: ".".join(
        [encode({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}), "", "A" * 16, "A" * 40_000, "A"]
    ),
    "many rounds": lambda: ".".join(
        [
            encode({"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 2**31 - 1, "p2s": "AA"}),
            *["A" * 22] * 4,
        ]
    ),
    "deep": lambda: f"{render_base64url(b'[' * 9_000)}.e30.AA",
    "wide": lambda: f"{render_base64url(json.dumps({'a': [0] * 4_000}).encode())}.e30.AA",
}


@covers("SEC-JOSE-09", "SEC-JOSE-12", "OAUTH-JWT-13")
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
async def test_nothing_swells_in_memory(served: Served, bomb: Callable[[], str]) -> None:
    token = bomb()
    assert (await show(served, token)).error == "invalid_client"  # what is made once is made
    tracemalloc.start()
    try:
        assert (await show(served, token)).error == "invalid_client"
        proof = await served.s1.post("/token", [("grant_type", "x")], headers=[("dpop", token)])
        assert proof.status == 400
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


@covers("SEC-JOSE-19", "OAUTH-LOG-01", "OAUTH-LOG-06")
async def test_a_private_key_that_was_sent_is_said_nowhere(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "c2VjcmV0LXByaXZhdGUtdmFsdWUtb2YtYS1jbGllbnQ"
    jwk = dict(make_key().public.jwk) | {"d": secret}
    now = int(served.clock.now().timestamp())
    claims = {"htm": "POST", "htu": TOKEN, "iat": now, "jti": "private"}
    proof = forged({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}, claims, make_key())
    with written(monkeypatch, "json") as out:
        answer = await served.s1.post("/token", [("grant_type", "x")], headers=[("dpop", proof)])
    assert answer.error in ("invalid_dpop_proof", "unsupported_grant_type")
    said = out.getvalue() + answer.body.decode() + repr(answer.headers)
    assert secret not in said
    assert secret[:20] not in said


@covers("SEC-JOSE-21", "OAUTH-JWT-06", "OAUTH-CAUTH-15")
async def test_no_token_of_ours_authenticates_its_client(served: Served) -> None:
    access = str((await served.c2.ask(scope="now")).json["access_token"])
    assert (await show(served, access)).error == "invalid_client"
    assert (await show(served, served.c2.proof(TOKEN))).error == "invalid_client"
    asked = {"iss": "c2", "client_id": "c2", "response_type": "code", "sub": None}
    for typ in ("oauth-authz-req+jwt", "JWT"):
        header, claims = {"typ": typ, "alg": "ES256"}, said_by(served, "c2") | asked
        told = {name: value for name, value in claims.items() if value is not None}
        signed = forged(header, told, served.keys["c2"])
        assert (await show(served, signed)).error == "invalid_client"


@covers("SEC-JOSE-24", "SEC-JOSE-25", "OAUTH-CAUTH-17")
async def test_an_assertion_is_used_up_to_the_last_second_of_its_skew(served: Served) -> None:
    header = {"typ": "JWT", "alg": "ES256"}
    ours = forged(header, said_by(served, "c2"), served.keys["c2"])
    theirs = forged(header, said_by(served, "c1"), served.keys["c1"])
    assert (await show(served, ours)).status == 200
    assert (await show(served, ours)).error == "invalid_client"
    dpop = [("dpop", served.c1.proof(TOKEN))]
    form = [
        ("grant_type", "client_credentials"),
        ("scope", "now"),
        ("client_assertion_type", names.ASSERTION_JWT_BEARER),
        ("client_assertion", theirs),
    ]
    assert (await served.post("/token", form, headers=dpop)).status == 200, "it is c1's own"
    for seconds in (60, 4):  # to the end of its life, and of the skew but for a second
        served.clock.move(seconds)
        assert (await show(served, ours)).error == "invalid_client"
    length = len(served.house.replay)  # type: ignore[arg-type]
    assert length >= 1, "and it is the memory that says so"


@covers("SEC-JOSE-38", "OAUTH-CAUTH-17")
async def test_an_assertion_that_waited_for_a_nonce_works_once(tmp_path: Path) -> None:
    async with serve(tmp_path, extra="[dpop]\nrequire_nonce = true") as served:
        caller = served.c1
        form = [
            ("grant_type", "client_credentials"),
            ("scope", "now"),
            ("client_assertion_type", names.ASSERTION_JWT_BEARER),
            ("client_assertion", caller.assertion()),
        ]

        async def ask() -> Answer:
            return await served.post("/token", form, headers=[("dpop", caller.proof(TOKEN))])

        challenged = await ask()
        caller.nonce = challenged.header("dpop-nonce")
        assert (await ask()).status == 200
        assert (await ask()).error == "invalid_client"


@covers("SEC-JOSE-25", "OAUTH-CAUTH-17")
async def test_a_restart_gives_an_assertion_no_longer_life(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        assertion, clock = served.c2.assertion(), served.clock
        assert (await show(served, assertion)).status == 200
    clock.move(65)
    async with serve(tmp_path, clock=clock) as again:
        assert (await show(again, assertion)).error == "invalid_client"


@covers("SEC-JOSE-26", "OAUTH-DPOP-12")
async def test_fifty_uses_of_one_proof_at_once_give_one(served: Served) -> None:
    proof = served.c1.proof(TOKEN)
    form = [("grant_type", "client_credentials"), ("scope", "now")]
    answers = await asyncio.gather(
        *(
            served.c1.without_proof().post("/token", form, headers=[("dpop", proof)])
            for _ in range(50)
        )
    )
    assert [answer.status for answer in answers].count(200) == 1
