"""Clients whose id is the address of a document about them."""

import asyncio
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.oauth.client_document import MAX_DOCUMENT, host_of_id, read_freshness
from abeyance.outbound.caller import Fetched, Unreachable
from abeyance.parties.client import ClientId
from tests.answer import Answer
from tests.covers import covers
from tests.outside import Network
from tests.people.house import Flow, Public, open_people
from tests.registration.house import TABLE, Desk, open_registry
from tests.served import Caller, make_key

ID = "https://app.example.com/client.json"
BACK = "https://app.example.com/cb"
KEY = make_key()
METADATA = "/.well-known/oauth-authorization-server"


def robot(**changes: Any) -> dict[str, Any]:
    """The document of a client that acts for itself; `None` leaves a member out."""
    told = {
        "client_id": ID,
        "client_name": "Robot",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [KEY.public.jwk]},
        **changes,
    }
    return {name: value for name, value in told.items() if value is not None}


async def ask(desk: Desk, client: str = ID, scope: str = "now") -> Answer:
    caller = Caller(desk.served, client, key=KEY, count=_COUNT)
    return await caller.ask(scope=scope)


_COUNT: "itertools.count[int]" = itertools.count()  # so that no assertion repeats


@covers("OAUTH-CIMD-01", "OAUTH-CIMD-03")
async def test_a_client_is_what_its_document_says(desk: Desk) -> None:
    desk.network.serves(ID, robot())
    answer = await ask(desk)
    assert answer.status == 200, answer.body
    assert answer.claims()["client_id"] == ID
    assert desk.network.gets == [ID]
    assert (await ask(desk)).status == 200
    assert desk.network.gets == [ID]
    told = (await desk.served.send("GET", METADATA)).json
    assert told["client_id_metadata_document_supported"] is True


@covers("OAUTH-CIMD-01")
async def test_where_documents_are_off_nobody_is_asked_and_nobody_known(tmp_path: Path) -> None:
    async with open_registry(tmp_path) as desk:
        desk.network.serves(ID, robot())
        assert (await ask(desk)).status == 200
    off = TABLE.replace('["app.example.com"]', "[]")
    async with open_registry(tmp_path, extra=off) as desk:
        # It stands in the store from before, and is nobody all the same.
        assert await desk.served.house.store.find_client(ClientId(ID)) is not None
        assert (await ask(desk)).error == "invalid_client"
        assert desk.network.gets == []


BAD_IDS = [
    "https://other.example.com/client.json",
    "https://app.example.com",
    "http://app.example.com/client.json",
    "https://app.example.com:8443/client.json",
    "https://app.example.com:443/client.json",
    "https://u@app.example.com/client.json",
    "https://app.example.com/a/../client.json",
    "https://app.example.com/./client.json",
    "https://app.example.com/%2e%2e/client.json",
    "https://app.example.com/client.json#f",
    "https://app.example.com/client.json?a=b",
    "https://APP.example.com/client.json",
    "https://app.example.com\\@evil.example/client.json",
    "https://127.0.0.1/client.json",
    "https://app.example.com.evil.example/x",
]


@covers("OAUTH-CIMD-01")
@pytest.mark.parametrize("client", BAD_IDS)
async def test_an_id_that_is_not_allowed_is_never_fetched(desk: Desk, client: str) -> None:
    desk.network.serves(client, robot(client_id=client))
    answer = await ask(desk, client)
    assert answer.error == "invalid_client"
    assert desk.network.gets == []
    assert await desk.served.house.store.find_client(ClientId(client)) is None


@covers("OAUTH-CIMD-02", "OAUTH-CIMD-03", "OAUTH-CIMD-04")
@pytest.mark.parametrize(
    "document",
    [
        robot(client_id=ID + "/"),
        robot(client_id=None),
        robot(client_id=7),
        robot(client_secret="s" * 40),
        robot(client_secret_expires_at=0),
        robot(token_endpoint_auth_method="client_secret_basic"),
        robot(token_endpoint_auth_method="client_secret_post"),
        robot(token_endpoint_auth_method=None),
        robot(token_endpoint_auth_method=["none"]),
        robot(jwks=None),
        robot(scope="abeyance:decide"),
        robot(software_statement="a.b.c"),
        robot(grant_types=["authorization_code"], redirect_uris=["https://evil.example/cb"]),
        robot(
            grant_types=["authorization_code"],
            redirect_uris=["https://app.example.com.evil.example/cb"],
        ),
        robot(jwks_uri="https://10.0.0.1/jwks", jwks=None),
        [robot()],
        b"{",
        b'{"client_id":"' + ID.encode() + b'","client_id":"x"}',
        robot(padding="x" * MAX_DOCUMENT),
    ],
)
async def test_a_document_that_is_not_right_makes_no_client(desk: Desk, document: Any) -> None:
    desk.network.serves(ID, document)
    assert (await ask(desk)).error == "invalid_client"
    assert await desk.served.house.store.find_client(ClientId(ID)) is None
    # Nothing of the refusal is kept for long, and nobody is asked again at once.
    assert (await ask(desk)).status in (401, 429)
    assert desk.network.gets == [ID]
    desk.network.serves(ID, robot())
    desk.served.clock.move(60)
    assert (await ask(desk)).status == 200


@covers("OAUTH-CIMD-02")
@pytest.mark.parametrize(
    ("status", "kind"),
    [(201, "application/json"), (301, "application/json"), (404, "application/json"),
     (200, "text/html"), (200, "text/json"), (200, "application/jsonp")],
)  # fmt: skip
async def test_only_json_with_status_200_counts(desk: Desk, status: int, kind: str) -> None:
    body = json.dumps(robot()).encode()
    desk.network.pages[ID] = Fetched(status, ((b"content-type", kind.encode()),), body)
    assert (await ask(desk)).error == "invalid_client"
    assert await desk.served.house.store.find_client(ClientId(ID)) is None


@covers("OAUTH-CIMD-02")
async def test_a_client_that_publishes_json_of_a_kind_of_its_own_is_taken(desk: Desk) -> None:
    desk.network.serves(ID, robot(), kind="application/oauth-client+json; charset=utf-8")
    assert (await ask(desk)).status == 200


@covers("OAUTH-CIMD-04")
async def test_a_document_is_believed_for_a_while_and_the_last_one_not_for_ever(
    desk: Desk,
) -> None:
    desk.network.serves(ID, robot())
    assert (await ask(desk)).status == 200
    page = desk.network.pages.pop(ID)
    for hours in range(23):
        desk.served.clock.move(3600 if hours else 1200)
        assert (await ask(desk)).status == 200
    desk.served.clock.move(7200)
    assert (await ask(desk)).error == "invalid_client"
    desk.network.pages[ID] = replace(page, status=503)
    desk.served.clock.move(60)
    assert (await ask(desk)).error == "invalid_client"
    desk.network.pages[ID] = page
    desk.served.clock.move(60)
    assert (await ask(desk)).status == 200
    # A host that is out of order has not said that there is no such client.
    desk.network.pages[ID] = replace(page, status=503)
    desk.served.clock.move(3600)
    assert (await ask(desk)).status == 200
    # One that says no is heard at once when it is asked.
    desk.network.pages[ID] = replace(page, status=404)
    desk.served.clock.move(3600)
    assert (await ask(desk)).error == "invalid_client"


@covers("OAUTH-CIMD-04", "OAUTH-SSRF-05")
async def test_who_goes_while_a_document_is_fetched_puts_nobody_else_off(desk: Desk) -> None:
    desk.network.serves(ID, robot())
    desk.network.gate = asyncio.Event()
    gone = asyncio.create_task(ask(desk))
    async with asyncio.timeout(30):
        while not desk.network.gets:  # noqa: ASYNC110  # the network tells nobody
            await asyncio.sleep(0.001)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    desk.network.gate.set()
    assert (await ask(desk)).status == 200
    assert desk.network.gets == [ID, ID]


@covers("OAUTH-CIMD-04")
def test_freshness_is_kept_within_bounds() -> None:
    for said, seconds in (
        (None, 600),
        ("max-age=3600", 3600),
        ("public, max-age=1", 60),
        ("max-age=999999999", 86_400),
        ("no-store", 60),
        ("max-age=3600, no-cache", 60),
        ("private", 600),
        ("s-maxage=5", 600),
    ):
        assert read_freshness(said).total_seconds() == seconds, said


@covers("OAUTH-CIMD-01")
@given(st.text(max_size=40) | st.from_regex(r"https://[a-z.]{1,9}[/.a-z@:#?%\\]{0,9}"))
def test_an_id_names_its_host_or_is_none(text: str) -> None:
    host = host_of_id(text)
    assert host is None or text.startswith(f"https://{host}/")


async def test_how_many_may_be_kept_has_a_bound_and_fetches_have_one_too(tmp_path: Path) -> None:
    async with open_registry(tmp_path, extra=TABLE.replace("= 50", "= 2")) as desk:
        for number in range(4):
            each = f"https://app.example.com/{number}"
            desk.network.serves(each, robot(client_id=each))
            assert (await ask(desk, each)).status == (200 if number < 2 else 401)
        statuses = {
            (
                await desk.served.post("/par", [("client_id", f"https://app.example.com/x{n}")])
            ).status
            for n in range(60)
        }
        assert statuses <= {401, 429}
        assert len(desk.network.gets) <= 34


@covers("SEC-UI-08", "OAUTH-CIMD-05")
async def test_no_document_takes_the_name_of_a_client_that_was_looked_at(desk: Desk) -> None:
    desk.network.serves(ID, robot(client_name="Ledger \u0430gent"))
    assert (await ask(desk)).error == "invalid_client"
    assert await desk.served.house.store.find_client(ClientId(ID)) is None


async def name_strangers(desk: Desk, count: int) -> None:
    for number in range(count):
        form = [("client_id", f"https://app.example.com/stranger{number}")]
        assert (await desk.served.post("/par", form)).status in (401, 429)


@covers("OAUTH-CIMD-04", "SEC-DOS-08")
async def test_ids_that_strangers_make_up_keep_nobody_out(desk: Desk) -> None:
    desk.network.serves(ID, robot())
    assert (await ask(desk)).status == 200
    desk.served.clock.move(1200)
    await name_strangers(desk, 40)
    assert (await ask(desk)).status == 200, "its document is asked for again all the same"
    await name_strangers(desk, 1100)
    desk.network.pages.pop(ID)
    assert (await ask(desk)).status == 200, "and is not forgotten for theirs"


@covers("OAUTH-CIMD-04")
async def test_what_an_administrator_disabled_stays_so_whatever_the_document_says(
    desk: Desk,
) -> None:
    desk.network.serves(ID, robot())
    assert (await ask(desk)).status == 200
    client = await desk.served.house.store.find_client(ClientId(ID))
    assert client is not None
    await desk.served.house.store.put_client(replace(client, enabled=False))
    desk.network.serves(ID, robot(client_name="Again"))
    desk.served.clock.move(3600)
    assert (await ask(desk)).error == "invalid_client"


PEOPLE_TABLE = """
[registration]
scope = ["read", "now"]
resources = ["https://ledger.example"]
document_hosts = ["app.example.com"]
"""


def app(**changes: Any) -> dict[str, Any]:
    told = {"client_id": ID, "client_name": "App", "redirect_uris": [BACK], **changes}
    return {name: value for name, value in told.items() if value is not None}


@covers("OAUTH-CIMD-04", "OAUTH-CIMD-05")
async def test_people_see_whose_client_it_is_and_are_asked_again_when_it_changes(
    tmp_path: Path,
) -> None:
    network = Network()
    network.serves(ID, app())
    async with open_people(tmp_path, extra=PEOPLE_TABLE, outside=network) as served:
        flow = Flow(Public(served, ID, dpop=served.keys["d1"]))
        asked = {"scope": "now", "redirect_uri": BACK, "resource": "https://ledger.example"}
        page = await flow.visit(**asked)
        assert page.answer.status == 200
        text = page.answer.body.decode()
        assert "app.example.com" in text
        assert "The people who run this server" not in text
        await flow.code(**asked)
        client = ClientId(ID)
        store = served.house.store
        assert len(await store.list_consents(client=client)) == 1
        # Another name is the same client; another way back is not.
        served.clock.move(3600)
        network.serves(ID, app(client_name="Renamed"))
        await flow.visit(**asked)
        assert len(await store.list_consents(client=client)) == 1
        served.clock.move(3600)
        network.serves(ID, app(redirect_uris=[BACK, f"{BACK}2"]))
        await flow.visit(**asked)
        assert await store.list_consents(client=client) == []


@covers("OAUTH-CIMD-02")
async def test_a_document_that_cannot_be_had_shows_a_page_and_keeps_nothing(
    tmp_path: Path,
) -> None:
    async with open_people(tmp_path, extra=PEOPLE_TABLE, outside=Network()) as served:
        flow = Flow(Public(served, ID))
        page = await flow.visit(scope="now", redirect_uri=BACK)
        assert page.answer.status == 400
        assert page.answer.header("location") is None
        assert await served.house.store.find_client(ClientId(ID)) is None
        with pytest.raises(Unreachable):
            await served.house.outside.get(ID, at_most=1, accept="*")
