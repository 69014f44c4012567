"""Where somebody goes on to after signing in, and what the page says until then."""

import pytest

from abeyance.server.pages.destinations import Destination, Kind, parse_destination
from tests.console.house import PASSWORD, Tab
from tests.covers import covers
from tests.served import Served

TOKEN = "t" * 43
OURS = [
    ("request:" + "0a" * 16 + ".1", "/console/requests/" + "0a" * 16 + ".1"),
    ("interaction:" + TOKEN, "/interact/" + TOKEN),
    ("authorization:" + TOKEN, "/authorize/consent?tx=" + TOKEN),
    ("device:", "/device?user_code="),
    ("device:WDJBMJHT", "/device?user_code=WDJBMJHT"),
    ("console:", "/console/"),
    ("console:history", "/console/history"),
    ("account:", "/account/"),
]


@covers("OAUTH-SESS-06")
@pytest.mark.parametrize(("text", "path"), OURS)
def test_each_kind_leads_to_its_own_place(text: str, path: str) -> None:
    found = parse_destination(text)
    assert found is not None
    assert (found.path, found.render()) == (path, text)


@covers("OAUTH-SESS-06")
@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        ":",
        "request",
        "request:",
        "elsewhere:x",
        "KIND:x",
        "request:" + "0a" * 16,
        "request:" + "0A" * 16 + ".1",
        "request:" + "0a" * 16 + ".0",
        "request:" + "0a" * 16 + ".1\n",
        "interaction:" + "t" * 39,
        "interaction:" + "t" * 40 + "/start",
        "authorization:" + TOKEN + "&tx=x",
        "authorization:" + "t" * 44,
        "device:WDJB-MJHT",
        "device:AEIOUYAE",
        "console:../account",
        "console:/evil.example",
        "console:\u0131nbox",
        "account:?x",
        "account://evil.example",
    ],
)
def test_what_we_would_not_have_written_leads_nowhere(text: str | None) -> None:
    assert parse_destination(text) is None


@covers("OAUTH-SESS-06")
@pytest.mark.parametrize("kind", list(Kind))
async def test_the_page_says_what_signing_in_is_for(served: Served, kind: Kind) -> None:
    value = next(
        found.value for text, _ in OURS if (found := parse_destination(text)) and found.kind is kind
    )
    page = await Tab(served).get(f"/sign-in?to={Destination(kind, value).render()}")
    said = {
        Kind.REQUEST: "on your way to a request",
        Kind.INTERACTION: "needs a step from you",
        Kind.AUTHORIZATION: "Nothing is granted by signing in",
        Kind.DEVICE: "on a device in front of you",
        Kind.CONSOLE: "what waits for your decision",
        Kind.ACCOUNT: "what you asked for",
    }
    assert {each for each in said if said[each] in page.text} == {kind}
    assert page.form("/sign-in").fields["to"] == f"{kind}:{value}"


@covers("OAUTH-SESS-06")
async def test_a_destination_survives_a_wrong_password(served: Served) -> None:
    tab = Tab(served)
    page = await tab.get("/sign-in?to=console:history")
    page = await tab.submit(page.form("/sign-in"), name="rita", password="wrong")
    assert page.status == 401
    fields = page.form("/sign-in").fields | {"name": "rita", "password": PASSWORD}
    answer = await tab.post("/sign-in", fields)
    assert answer.answer.header("location") == "/console/history"
