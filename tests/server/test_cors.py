"""Which pages elsewhere may call, and where none may (OAUTH-CORS)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from abeyance.acts import dispose
from abeyance.parties.client import Client
from abeyance.server.cors import KNOWN_FOR, origins_of
from abeyance.store.ports import StoreAway
from tests.answer import Answer
from tests.covers import covers
from tests.people.house import open_people, web
from tests.served import Served

SPA = "https://spa.example"
CALLABLE = ("/token", "/revoke", "/introspect")
PAGES = ("/authorize", "/sign-in", "/authorize/consent", "/console/", "/account/", "/interact/x")


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_people(tmp_path) as served:
        yield served


def told(answer: Answer) -> dict[str, str]:
    found = {name: value for name, value in answer.headers if name.startswith("access-control")}
    assert "access-control-allow-credentials" not in found
    return found


def reads_of_clients(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows by one whenever all clients are read."""
    reads: list[None] = []
    list_clients = served.house.store.list_clients

    async def counted() -> Sequence[Client]:
        reads.append(None)
        return await list_clients()

    monkeypatch.setattr(served.house.store, "list_clients", counted)
    return reads


async def preflight(served: Served, path: str, origin: str = SPA) -> Answer:
    headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,dpop"),
    ]
    return await served.send("OPTIONS", path, headers=headers)


@covers("OAUTH-CORS-02", "OAUTH-CORS-04")
@pytest.mark.parametrize("path", CALLABLE)
@pytest.mark.parametrize("origin", [SPA, "https://web.example"])
async def test_pages_of_clients_may_ask(people: Served, path: str, origin: str) -> None:
    answer = await preflight(people, path, origin)
    assert answer.status == 204
    assert told(answer) == {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "Authorization, Content-Type, DPoP, Prefer",
        "access-control-max-age": "600",
    }
    assert answer.header("vary") == "Origin"
    # An answer without content has no type of it and no length (RFC 9110 8.6).
    assert (answer.body, answer.header("content-length"), answer.header("content-type")) == (
        b"",
        None,
        None,
    )


@covers("OAUTH-CORS-03")
@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example",
        "https://spa.example.evil.example",
        "https://spa.example:8443",
        "http://spa.example",
        "https://SPA.example",
        "https://spa.example/",
        "*",
        "",
    ],
)
async def test_no_other_origin_is_allowed_or_echoed(people: Served, origin: str) -> None:
    answer = await preflight(people, "/token", origin)
    assert (answer.status, told(answer)) == (403, {})
    assert answer.header("vary") == "Origin"
    actual = await people.post("/token", [], headers=[("origin", origin)])
    assert told(actual) == {}
    assert actual.header("vary") == "Origin"


@covers("OAUTH-CORS-03")
async def test_two_origins_are_none(people: Served) -> None:
    twice = [("origin", SPA), ("origin", SPA)]
    assert told(await people.send("OPTIONS", "/token", headers=twice)) == {}


@covers("OAUTH-CORS-04")
async def test_errors_can_be_read_by_the_page_too(people: Served) -> None:
    origin = [("origin", SPA)]
    exposed = "DPoP-Nonce, WWW-Authenticate, Retry-After, Preference-Applied"
    answers = [
        await people.post("/token", [("grant_type", "x")], headers=origin),
        await people.post("/token", [("client_id", "spa"), ("grant_type", "x")], headers=origin),
        await people.post("/token", b"a=%zz", headers=origin),
        await people.send("GET", "/token", headers=origin),
    ]
    while answers[-1].status != 429:
        answers.append(await people.post("/token", [("grant_type", "x")], headers=origin))
        assert len(answers) < 20
    assert {answer.status for answer in answers} >= {400, 401, 429}
    for answer in answers:
        assert told(answer) == {
            "access-control-allow-origin": SPA,
            "access-control-expose-headers": exposed,
        }


@covers("OAUTH-CORS-04")
async def test_a_page_can_read_that_the_store_is_away(
    people: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreAway

    ledger = web(people, "ledger")
    assert (await preflight(people, "/introspect")).status == 204
    people.clock.move(KNOWN_FOR)
    with monkeypatch.context() as patch:
        for read in ("list_clients", "find_client"):
            patch.setattr(people.house.store, read, away)
        answer = await ledger.post("/introspect", [("token", "x")], headers=[("origin", SPA)])
    people.answers[:] = [each for each in people.answers if each[1].status != 503]
    assert (answer.status, answer.header("retry-after")) == (503, "5")
    assert told(answer)["access-control-allow-origin"] == SPA


@covers("OAUTH-CORS-01")
@pytest.mark.parametrize("path", PAGES)
async def test_no_page_of_ours_can_be_read_elsewhere(people: Served, path: str) -> None:
    for method in ("OPTIONS", "GET"):
        answer = await people.send(method, path, headers=[("origin", SPA)])
        assert told(answer) == {}
    assert (await preflight(people, path)).status in (403, 405)


async def test_no_page_may_administer(people: Served) -> None:
    answer = await preflight(people, "/admin/clients")
    assert (answer.status, told(answer)) == (401, {})


@covers("OAUTH-CORS-02")
@pytest.mark.parametrize("path", ["/.well-known/oauth-authorization-server", "/jwks"])
async def test_documents_are_for_everybody(people: Served, path: str) -> None:
    answer = await people.get(path, headers=[("origin", "https://evil.example")])
    assert told(answer) == {"access-control-allow-origin": "*"}


async def test_without_an_origin_nothing_is_added_and_no_client_is_looked_up(
    people: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = reads_of_clients(people, monkeypatch)
    answer = await web(people).post("/token", [("grant_type", "x")])
    assert (told(answer), answer.header("vary")) == ({}, None)
    assert asked == []


async def test_many_pages_at_once_cost_one_look_at_the_clients(
    people: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = reads_of_clients(people, monkeypatch)
    answers = await asyncio.gather(*(preflight(people, "/token") for _ in range(8)))
    assert {answer.status for answer in answers} == {204}
    assert len(asked) == 1


@covers("OAUTH-CORS-02")
async def test_a_port_that_goes_without_saying_is_not_part_of_an_origin(people: Served) -> None:
    client = replace(
        (await people.house.store.list_clients())[0],
        redirect_uris=("https://a.example:443/cb", "https://b.example:8443/cb?x", "com.example:/"),
        allowed_origins=frozenset({"http://127.0.0.1:80", "https://c.example:443"}),
    )
    assert origins_of(client) == {
        "https://a.example",
        "https://b.example:8443",
        "http://127.0.0.1",
        "https://c.example",
    }


@covers("OAUTH-CORS-02", "OAUTH-CLI-05")
async def test_the_origins_follow_the_clients(people: Served) -> None:
    assert (await preflight(people, "/token")).status == 204
    for client in await people.house.store.list_clients():
        if client.id == "spa":
            await dispose.disable_client(people.house, client, by="test")
    people.clock.move(KNOWN_FOR)
    assert (await preflight(people, "/token")).status == 403
