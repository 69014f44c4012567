"""Issuers that publish their keys: fetched under guard, with restraint, believed for a while."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from abeyance.outbound.caller import Fetched, Unreachable
from abeyance.outbound.targets import Forbidden
from abeyance.proofs.jwk import KeyPair
from abeyance.proofs.jws import sign_jws
from abeyance.server.settings_values import ConfigurationError
from abeyance.wire.base64url import render_base64url
from tests.answer import Answer
from tests.covers import covers
from tests.exchange.house import CONFIG, IDP_KEY, OTHER_KEY, Agent, is_refused, open_house
from tests.outside import Network

URI: Final = "https://idp.example/keys"
HOUR: Final = 3_600
PUBLISHES: Final = CONFIG.replace('jwks_file = "{data}/idp.jwks"', f'jwks_uri = "{URI}"', 1)


@dataclass(slots=True)
class Publisher(Network):
    """The issuer's host: `page` is what it answers, or why it does not."""

    page: Fetched | Exception = field(default_factory=lambda: keys(IDP_KEY))
    asked: list[str] = field(default_factory=list)

    async def get(self, url: str, *, at_most: int, accept: str) -> Fetched:
        self.asked.append(url)
        await asyncio.sleep(0)
        if isinstance(self.page, Exception):
            raise self.page
        assert len(self.page.body) <= at_most
        return self.page


def keys(*pairs: KeyPair) -> Fetched:
    return page(json.dumps({"keys": [pair.public.jwk for pair in pairs]}).encode())


def page(body: bytes, status: int = 200) -> Fetched:
    return Fetched(status, (), body)


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
async def agent(tmp_path: Path, publisher: Publisher) -> AsyncIterator[Agent]:
    async with open_house(tmp_path, config=PUBLISHES, outside=publisher) as served:
        yield Agent.of(served)
        for path, answer in served.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"


async def bring(agent: Agent, key: KeyPair = IDP_KEY) -> Answer:
    agent.idp.key = key
    return await agent.bring(agent.idp.assertion(), scope="now")


@covers("OAUTH-JWTB-02")
async def test_keys_are_fetched_when_they_are_needed_and_once_for_many(
    agent: Agent, publisher: Publisher
) -> None:
    assert publisher.asked == []
    answers = await asyncio.gather(*(bring(agent) for _ in range(10)))
    assert [answer.status for answer in answers] == [200] * 10
    assert publisher.asked == [URI]


@covers("SEC-JOSE-05", "OAUTH-SSRF-05")
async def test_tokens_by_unknown_keys_make_one_fetch_a_minute_whatever_they_name(
    agent: Agent, publisher: Publisher
) -> None:
    await bring(agent)
    agent.client.served.clock.move(61)
    now = int(agent.client.served.clock.now().timestamp())
    for number in range(50):
        forged = sign_jws({"iss": "https://idp.example", "exp": now + 60}, OTHER_KEY, typ="JWT")
        header = {"alg": "ES256", "typ": "JWT", "kid": f"../../{number}"}
        for text in (forged, _with_header(forged, header), _with_header(forged, {"alg": 1})):
            assert is_refused(await agent.bring(text, scope="now"), "invalid_grant")
    assert len(publisher.asked) == 2
    publisher.page = keys(IDP_KEY, OTHER_KEY)
    assert is_refused(await bring(agent, OTHER_KEY), "invalid_grant")
    agent.client.served.clock.move(61)
    assert (await bring(agent, OTHER_KEY)).status == 200, "a new key is found after a while"


def _with_header(token: str, header: dict[str, Any]) -> str:
    _, rest = token.split(".", 1)
    return f"{render_base64url(json.dumps(header).encode())}.{rest}"


@covers("SEC-SSRF-70")
@pytest.mark.parametrize(
    "fault",
    [
        page(b"<!doctype html><title>Keys</title>"),
        page(b'{"keys": []}'),
        page(keys(OTHER_KEY).body, status=500),
        page(keys(OTHER_KEY).body, status=302),
        Unreachable("nobody there"),
        Forbidden("a name that leads into a private network"),
    ],
    ids=["html", "no keys", "500", "redirect", "away", "forbidden"],
)
async def test_the_last_good_keys_serve_for_a_day_and_no_longer(
    agent: Agent, publisher: Publisher, fault: Fetched | Exception
) -> None:
    clock = agent.client.served.clock
    assert (await bring(agent)).status == 200
    publisher.page = fault
    clock.move(HOUR)
    assert (await bring(agent)).status == 200
    clock.move(23 * HOUR - 1)
    assert (await bring(agent)).status == 200
    clock.move(1)
    assert is_refused(await bring(agent), "invalid_grant")
    publisher.page = keys(IDP_KEY)
    clock.move(61)
    assert (await bring(agent)).status == 200


@covers("OAUTH-JWTB-02")
async def test_a_key_that_is_published_no_more_is_believed_no_more(
    agent: Agent, publisher: Publisher
) -> None:
    assert (await bring(agent)).status == 200
    publisher.page = keys(OTHER_KEY)
    agent.client.served.clock.move(601)
    assert is_refused(await bring(agent), "invalid_grant")


@covers("OAUTH-SSRF-07")
async def test_why_keys_could_not_be_had_is_not_told(agent: Agent, publisher: Publisher) -> None:
    told = set()
    for fault in (page(b"", status=500), Unreachable("10.0.0.1 is shut"), Forbidden("10.0.0.1")):
        publisher.page = fault
        agent.client.served.clock.move(61)
        told.add((await bring(agent)).body)
    publisher.page = keys(OTHER_KEY)
    agent.client.served.clock.move(61)
    told.add((await bring(agent)).body)
    assert len(told) == 1


@covers("OAUTH-SSRF-01", "OAUTH-SSRF-08")
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('jwks_uri = "http://idp.example/keys"', "no address that this server calls"),
        ('jwks_uri = "https://127.0.0.1/keys"', "no address that this server calls"),
        ('jwks_uri = "https://as.example/jwks"', "no address that this server calls"),
        (f'jwks_file = "{{data}}/idp.jwks"\njwks_uri = "{URI}"', "beside keys"),
        ("", "is missing"),
    ],
)
async def test_an_issuer_whose_keys_nobody_could_fetch_stops_the_start(
    tmp_path: Path, line: str, reason: str
) -> None:
    config = CONFIG.replace('jwks_file = "{data}/idp.jwks"', line, 1)
    with pytest.raises(ConfigurationError, match=reason):
        async with open_house(tmp_path, config=config):
            pass
