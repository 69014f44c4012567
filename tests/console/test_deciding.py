"""Looking and deciding (SEC-UI-11, -15 to -18, -20, -27; EXT-EVID-01 to -03, -06; EXT-NARROW)."""

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import rfc8785

from abeyance.access.details import DetailsTypes
from abeyance.pending.handles import Home
from abeyance.server.console.disclosed import NotDrawable, draw, read_object
from abeyance.server.pages.app import pages_app
from abeyance.server.pages.drawing import Pages
from abeyance.server.pages.guard import mint_token
from abeyance.server.passwords import Passwords
from abeyance.wire.base64url import render_base64url
from abeyance.wire.secret import Secret
from tests.console.house import (
    EXPORT,
    ISSUER,
    PAYMENT,
    Tab,
    loaded,
    open_house,
    owned,
    path_of,
    request_path,
)
from tests.covers import covers
from tests.details_types import EXPORT as EXPORT_TYPE
from tests.served import Served

LESS = {"item.scope:read": "yes", "lifetime": "900"}


async def ballots(served: Served, code: str) -> int:
    return len((await loaded(served, code)).ballots)


@covers("EXT-EVID-01", "EXT-EVID-02", "EXT-EVID-06", "SEC-UI-16", "SEC-TM-07")
async def test_the_vote_names_exactly_what_an_auditor_redraws(rita: Tab) -> None:
    code = await rita.served.c1.defer(
        authorization_details=[PAYMENT | {"reason": "Because"}, EXPORT], scope="read"
    )
    page = await rita.get(await request_path(rita.served, code))
    form = page.form("/vote", "approve")
    await rita.submit(form, "approve")
    [ballot] = (await loaded(rita.served, code)).ballots
    envelope = {"type": "abeyance-disclosure", "issuer": ISSUER, "object": ballot.shown}
    redone = hashlib.sha256(rfc8785.dumps(envelope)).digest()  # type: ignore[arg-type]
    assert ballot.seen == form.fields["seen"] == f"sha-256:{render_base64url(redone)}"
    # The stored object and the template that it names give what was on the page, to the byte.
    assert draw(Pages("/console"), read_object(ballot.shown)) in page.html


@covers("EXT-EVID-06")
async def test_an_object_of_an_unknown_template_is_not_drawn_as_if_it_were_ours(
    rita: Tab,
) -> None:
    code = await rita.served.s1.defer()
    await rita.served.approve(code)
    [ballot] = (await loaded(rita.served, code)).ballots
    other = dict(ballot.shown) | {"template": {"id": "review", "version": "999"}}
    with pytest.raises(NotDrawable):
        read_object(other)


@covers("SEC-UI-11", "SEC-UI-09")
async def test_the_page_shows_everything_that_would_be_granted(rita: Tab) -> None:
    many = [PAYMENT | {"creditor": f"Creditor {number}"} for number in range(31)]
    last = PAYMENT | {"amount": {"amount": "90000.00", "currency": "USD"}, "creditor": "Last"}
    code = await rita.served.c1.defer(
        authorization_details=[*many, last], scope="read", resource="https://ledger.example"
    )
    text = (await rita.get(await request_path(rita.served, code))).text
    for number in range(31):
        assert f"Pay 120.00 EUR to Creditor {number}" in text
    assert "Pay 90000.00 USD to Last" in text
    assert "Approve all 33 things, for 1 hour" in text
    for fact in (
        "Agent with a key",
        "c1",
        rita.served.keys["d1"].public.jkt,
        "https://ledger.example",
        "Read the ledger",
        "23 Nov 2026, 12:59:00 UTC",
        "the answer is no",
        "Running out never approves anything",
    ):
        assert fact in text


@covers("SEC-UI-09")
async def test_the_clients_own_words_come_after_the_facts_in_a_box_and_cut(rita: Tab) -> None:
    words = "SYSTEM: already approved by security, press Approve. **Risk: low** | a | b | " * 8
    code = await rita.served.s1.defer(authorization_details=[PAYMENT | {"reason": words}])
    page = await rita.get(await request_path(rita.served, code))
    facts, box = page.html.split("Text from the client")[:2]
    assert "SYSTEM" not in facts
    assert "120.00 EUR" in facts
    assert words[:240].rstrip() in " ".join(box.split("</details>")[0].split())
    assert f"Show all {len(words)} characters" in page.text
    assert words.strip() in page.text
    assert "<strong>Risk" not in page.html


async def test_the_two_clocks_are_told_apart(rita: Tab) -> None:
    text = (await rita.get(await request_path(rita.served, await rita.served.s1.defer()))).text
    waiting, approval = text.split("Waiting time")[1].split("Approval time")
    assert "Client waits until" in waiting
    assert "23 Nov 2026, 13:00:00 UTC" in waiting
    assert "Holds for at most" in approval
    assert "1 hour" in approval


# --- what no longer fits


@covers("SEC-UI-15", "SEC-UI-16", "EXT-EVID-03")
@pytest.mark.parametrize(
    "changes",
    [
        {"seen": "sha-256:" + "A" * 43},
        {"seen": ""},
        {"version": ""},
        {"version": "2"},
        {"version": "0"},
        {"version": "-1"},
        {"version": "x"},
        {"version": "9" * 30},
    ],
)
@pytest.mark.parametrize("button", ["approve", "deny"])
async def test_a_vote_on_something_else_is_a_conflict(
    rita: Tab, changes: dict[str, str], button: str
) -> None:
    code = await rita.served.s1.defer()
    form = (await rita.get(await request_path(rita.served, code))).form("/vote", button)
    extra = {"preset": "not-now"} if button == "deny" else {}
    page = await rita.submit(form, button, **changes, **extra)
    assert page.status == 409
    assert "Nothing was recorded" in page.text
    assert "Your decision" in page.text  # as it stands now, to be decided anew
    assert await ballots(rita.served, code) == 0


@covers("SEC-UI-16", "SEC-UI-18")
async def test_the_digest_of_another_request_is_a_conflict(rita: Tab) -> None:
    one, other = [await rita.served.s1.defer() for _ in range(2)]
    forms = [
        (await rita.get(await request_path(rita.served, code))).form("/vote", "approve")
        for code in (one, other)
    ]
    page = await rita.submit(forms[0], "approve", seen=forms[1].fields["seen"])
    assert page.status == 409
    assert await ballots(rita.served, one) == await ballots(rita.served, other) == 0


@covers("SEC-UI-18")
async def test_a_recorded_vote_is_not_replayed(rita: Tab) -> None:
    served = rita.served
    code, other = await served.s1.defer(), await served.s1.defer()
    form = (await rita.get(await request_path(served, code))).form("/vote", "approve")
    recorded = form.fields | {"vote": "approve"}
    assert (await rita.post(form.action, recorded)).status == 303
    again = await rita.post(form.action, recorded)
    assert again.status == 409
    assert "You have voted already" in again.text
    elsewhere = await rita.post(f"{await request_path(served, other)}/vote", recorded)
    assert elsewhere.status == 403
    omar = Tab(served)
    await omar.sign_in("omar")
    assert (await omar.post(form.action, recorded)).status == 403
    assert await ballots(served, code) == 1
    assert await ballots(served, other) == 0
    await served.s1.poll(code)
    assert (await rita.post(form.action, recorded)).status == 409


@covers("SEC-UI-15")
@pytest.mark.parametrize("end", ["decided", "withdrawn", "deadline", "expired"])
async def test_what_has_ended_shows_how_and_takes_no_vote(rita: Tab, end: str) -> None:
    served = rita.served
    code = await served.s1.defer()
    path = await request_path(served, code)
    page = await rita.get(path)
    match end:
        case "decided":
            await served.vote(code, by="omar")
            says = "Omar Okafor approved it as asked"
        case "withdrawn":
            await served.s1.revoke(code)
            says = "The client took its request back."
        case "deadline":
            for _ in range(2):  # she stays at work
                served.clock.move(59 * 30)
                await rita.get("/console/")
            says = "Nobody decided in time, so the answer is no."
        case _:
            for _ in range(4):
                served.clock.move(60 * 15)
                await rita.get("/console/")
            says = "Nobody decided, so the answer was no."
    for form, extra in ((page.form("/vote", "approve"), {}), (page.form("/less"), LESS)):
        answer = await rita.submit(form, form.buttons[0][1], **extra)
        assert answer.status == 409
        assert says in answer.text
        assert not [each for each in answer.forms if each.action.endswith("/vote")]
    assert [each.voter for each in (await loaded(served, code)).ballots] == (
        ["omar"] if end == "decided" else []
    )


# --- what a form may say


@covers("SEC-UI-17")
@pytest.mark.parametrize(
    "forged",
    [
        {"scope": "admin"},
        {"item.scope:admin": "yes"},
        {"item.scope:write": "yes"},
        {"item.resource:https://evil.example": "yes"},
        {"item.detail:1": "yes"},
        {"part.detail:0.tables:3": "yes"},
        {"limit.detail:0.budget": "40.01"},
        {"limit.detail:0.budget": "1e9"},
        {"limit.detail:0.budget": "-1"},
        {"limit.detail:0.budget": "0"},
        {"limit.detail:0.budget": ""},
        {"limit.detail:0.other": "1"},
        {"lifetime": "3601"},
        {"lifetime": "-900"},
        {"lifetime": "0"},
        {"lifetime": "9" * 30},
        {"lifetime": ""},
        {"resource": "https://evil.example"},
        {"authorization_details": "[]"},
        {"confirmed": "no"},
    ],
)
async def test_a_form_grants_nothing_beyond_what_was_asked(
    rita: Tab, forged: dict[str, str]
) -> None:
    code = await rita.served.s1.defer(scope="read", authorization_details=[EXPORT])
    form = (await rita.get(await request_path(rita.served, code))).form("/vote", "approve")
    honest = {
        "item.scope:read": "yes",
        "item.detail:0": "yes",
        "part.detail:0.tables:0": "yes",
        "limit.detail:0.budget": "10",
        "lifetime": "900",
        "confirmed": "yes",
        "vote": "less",
    }
    answer = await rita.post(form.action, form.fields | honest | forged)
    assert answer.status == 400
    assert await ballots(rita.served, code) == 0
    if "scope" in forged:
        whole = form.fields | forged | {"vote": "approve"}
        assert (await rita.post(form.action, whole)).status == 400
    assert (await rita.post(form.action, form.fields | honest)).status == 303
    token = await rita.served.s1.poll(code)
    assert token.json["authorization_details"][0]["budget"]["amount"] == "10"


@covers("EXT-NARROW-03")
@pytest.mark.parametrize(
    ("chosen", "mistake"),
    [
        ({}, "Choose at least one thing to grant"),
        ({"item.detail:0": "yes", "limit.detail:0.budget": "1"}, "Choose at least one, or leave"),
        ({"part.detail:0.tables:0": "yes"}, "but not the thing itself"),
        ({"item.scope:read": "yes"}, "Choose for how long"),
    ],
)
async def test_a_choice_that_is_not_one_is_told_and_kept(
    rita: Tab, chosen: dict[str, str], mistake: str
) -> None:
    code = await rita.served.s1.defer(scope="read", authorization_details=[EXPORT])
    form = (await rita.get(await request_path(rita.served, code))).form("/less")
    assert form.fields.keys() == {"csrf", "seen", "version", "limit.detail:0.budget"}
    lifetime = {} if "scope" in str(chosen) else {"lifetime": "900"}
    page = await rita.submit(form, "less", **chosen, **lifetime)
    assert page.status == 400
    assert mistake in page.text
    assert page.html.count("<title>Error: ") == 1
    for name, value in (chosen | lifetime).items():
        assert page.form("/less").fields[name] == value
    assert await ballots(rita.served, code) == 0


@covers("EXT-OUTCOME-03", "SEC-DOS-19")
async def test_a_reason_is_kept_inside_unless_it_is_shared(rita: Tab) -> None:
    served = rita.served
    inside, shared = await served.s1.defer(), await served.s1.defer()
    path = await request_path(served, inside)
    form = (await rita.get(path)).form("/vote", "deny")
    assert ("share", "yes") in form.offered
    assert "share" not in form.fields
    for wrong in (
        {},
        {"preset": "own-words"},
        {"reason": "x" * 2_001},
        {"reason": "x" * 241, "share": "yes"},
        {"preset": "too-much", "reason": "x" * 200, "share": "yes"},
    ):
        page = await rita.submit(form, "deny", **wrong)
        assert page.status == 400
        assert wrong.get("reason", "") in page.html
    for forged in ({"preset": "mine"}, {"share": "no", "reason": "x"}):
        assert (await rita.submit(form, "deny", **forged)).status == 400
    assert await ballots(served, inside) == 0
    page = await rita.submit(form, "deny", reason="Fraud?\r\nAsk Ines. " + "x" * 1_900)
    assert "Kept inside: the client was not told why." in page.text
    answer = await served.s1.poll(inside)
    assert "deferral_remark" not in answer.json
    assert b"Ines" not in answer.body
    form = (await rita.get(await request_path(served, shared))).form("/vote", "deny")
    await rita.submit(form, "deny", preset="own-words", reason="Ask Ines.", share="yes")
    await served.registers("s1", "outcome")
    assert (await served.s1.poll(shared)).json["deferral_remark"] == "Ask Ines."


# --- whose request it is


@covers("SEC-UI-20", "EXT-DECIDE-03")
async def test_the_owner_of_the_client_sees_the_request_and_cannot_decide_it(
    served: Served, rita: Tab
) -> None:
    code = await owned(served).defer()
    path = await request_path(served, code)
    omar = Tab(served)
    await omar.sign_in("omar")
    assert "somebody else must decide" in (await omar.get("/console/")).text
    page = await omar.get(path)
    assert "nobody decides their own requests" in page.text
    assert [form.action for form in page.forms] == ["/sign-out"]
    rows = await rita.get(path)
    token = _token_of(omar, path)
    fields = rows.form("/vote", "approve").fields | {"csrf": token, "vote": "approve"}
    assert (await omar.post(f"{path}/vote", fields)).status == 403
    assert await ballots(served, code) == 0


def _token_of(tab: Tab, path: str) -> str:
    """The token that the owner's page does not even offer."""
    [cookie] = tab.cookies.values()
    return mint_token(Secret(cookie), f"vote:{path.rpartition('/')[2]}")


@covers("SEC-UI-27")
async def test_what_is_not_mine_is_not_there(rita: Tab) -> None:
    served = rita.served
    code = await served.s1.defer()
    key = await served.key_of(code)
    nina = Tab(served)
    await nina.sign_in("nina")
    places = [
        path_of(key),
        path_of(replace(key, n=2)),
        path_of(replace(key, home=Home(bytes(16)))),
        f"{path_of(key)}x",
        f"/console/requests/{key.home.hex()}.1",
        "/console/requests/1",
        "/console/requests/..%2F..%2Flive",
    ]
    pages = [await nina.get(place) for place in places]
    assert {page.status for page in pages} == {404}
    assert len({page.html for page in pages}) == 1
    assert "Nothing waits for you" in (await nina.get("/console/?user=rita&page=2&q=%25")).text
    for cursor in ("x", "A" * 54, "%00", "../"):
        assert (await nina.get(f"/console/?cursor={cursor}")).status == 400
    assert code not in (await rita.get(path_of(key))).html


@covers("SEC-UI-11")
async def test_an_unknown_type_says_so_and_cannot_be_approved(tmp_path: Path) -> None:
    async with open_house(tmp_path) as served:
        code = await served.s1.defer(authorization_details=[PAYMENT, EXPORT])
        only = await served.s1.defer(authorization_details=[PAYMENT])
        # The same server after an upgrade that has forgotten what a payment is.
        house = replace(served.house, types=DetailsTypes([EXPORT_TYPE]))
        passwords = Passwords()
        served.app._pages = pages_app(house, passwords, secure=True)
        tab = Tab(served)
        await tab.sign_in("rita")
        assert "a part cannot be shown" in (await tab.get("/console/")).text
        page = await tab.get(await request_path(served, code))
        assert "This server does not know this type any more" in page.text
        assert "cannot be approved as asked" in page.text
        assert all(("vote", "approve") not in form.buttons for form in page.forms)
        form = page.form("/less")
        assert all("detail:0" not in name for name, _ in form.offered)
        denial = page.form("/vote", "deny")
        forged = denial.fields | {"vote": "approve"}
        assert (await tab.post(denial.action, forged)).status == 400
        nothing_left = await tab.get(await request_path(served, only))
        assert [each.buttons for each in nothing_left.forms][1:] == [[("vote", "deny")]]
        assert await ballots(served, code) == 0
        passwords.close()


# --- the list


async def test_the_list_is_sorted_by_deadline_and_paged(rita: Tab) -> None:
    for number in range(30):
        details = [PAYMENT | {"creditor": f"Creditor {number:02}"}]
        await rita.served.s1.defer(authorization_details=details)
        rita.served.clock.move(1)
    first = await rita.get("/console/")
    assert "<title>(30) Waiting for you" in first.html
    [following] = [link for link in first.links if "cursor=" in link]
    second = await rita.get(following)
    names = [f"Creditor {number:02}" for number in range(30)]
    assert [name for name in names if name in first.text] == names[:25]
    assert [name for name in names if name in second.text] == names[25:]


async def test_news_come_when_the_list_changes(rita: Tab) -> None:
    seen = (await rita.get("/console/live?seen=")).answer.json
    assert seen["count"] == "0"
    waiting = asyncio.ensure_future(rita.ask(f"/console/live?seen={seen['seen']}"))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    code = await rita.served.s1.defer()
    news = (await asyncio.wait_for(waiting, 30)).json
    assert news["count"] == "1"
    assert news["seen"] != seen["seen"]
    path = await request_path(rita.served, code)
    one = asyncio.ensure_future(rita.ask(f"{path}/live?version=1"))
    await asyncio.sleep(0.1)
    assert not one.done()
    await rita.served.deny(code)
    closed = (await asyncio.wait_for(one, 30)).json
    assert closed == {"signed_in": True, "version": "2", "decidable": False}


async def test_nobody_waits_for_a_browser_that_has_gone(rita: Tab) -> None:
    seen = (await rita.get("/console/live?seen=")).answer.json["seen"]
    gone = asyncio.Event()
    waiting = asyncio.ensure_future(rita.ask(f"/console/live?seen={seen}", gone=gone))
    await asyncio.sleep(0.1)
    gone.set()
    await asyncio.wait_for(waiting, 15)
    assert rita.served.house.waiters._waiting == 0
