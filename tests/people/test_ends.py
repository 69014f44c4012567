"""When the ground of a grant goes: what waits and what was approved is closed before it is told."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from abeyance.acts.dispose import disable_person, withdraw_consent
from abeyance.parties.client import ClientId
from abeyance.parties.person import Person, PersonId
from abeyance.pending.change import Advance, Open, OpenGrant, SpendCode
from abeyance.pending.states import Denied, Outcome
from tests.answer import Answer
from tests.console.house import HASH, Form, PageSeen, Tab
from tests.covers import covers
from tests.people.house import Flow, back_at_client, open_people, public, web
from tests.people.racing import overtake
from tests.served import Served

GROUNDS = ["client", "person", "consent", "session", "sessions"]
EVERY = pytest.mark.parametrize("ground", GROUNDS)


async def administrator(served: Served) -> Tab:
    ada = Tab(served)
    await ada.sign_in("ada")
    return ada


def form_of(page: PageSeen, action: str, **fields: str) -> Form:
    return next(
        form
        for form in page.forms
        if form.action.endswith(action) and fields.items() <= form.fields.items()
    )


async def press(tab: Tab, page: PageSeen, action: str, /, **fields: str) -> None:
    form = form_of(page, action)
    answer = await tab.post(form.action, form.fields | fields)
    assert answer.status == 303, answer.text


async def switch_client(served: Served, to: str, name: str = "web") -> None:
    ada = await administrator(served)
    await press(ada, await ada.get("/console/clients"), f"/clients/{name}/switch", to=to)


async def switch_person(served: Served, to: str) -> None:
    ada = await administrator(served)
    await press(ada, await ada.get("/console/people"), "/people/uma/switch", to=to)


async def end(served: Served, ground: str) -> None:
    """Through the pages, by whoever may."""
    match ground:
        case "client":
            await switch_client(served, "off")
        case "person":
            await switch_person(served, "off")
        case "consent":
            tab = Tab(served)
            await tab.sign_in("uma")
            page = await tab.get("/account/applications")
            form = form_of(page, "/applications/withdraw", client="web")
            assert (await tab.post(form.action, form.fields)).status == 303
        case "session":
            tab = Tab(served)
            await tab.sign_in("uma")
            page = await tab.get("/account/sessions")
            which = page.html.partition('name="which" value="')[2]
            assert which
            form = form_of(page, "/account/sessions/end")
            assert (await tab.post(form.action, form.fields | {"which": "others"})).status == 303
        case _:
            ada = await administrator(served)
            await press(ada, await ada.get("/console/people"), "/people/uma/sign-out")


async def outcome(served: Served, code: str) -> Outcome | None:
    state = (await served.held(code)).state
    return state.outcome if isinstance(state, Denied) else None


async def told(served: Served, flow: Flow, code: str, ground: str) -> Answer:
    """The answer to a poll; a disabled client is enabled again to hear it."""
    if ground == "client":
        answer = await flow.client.poll(code)
        assert (answer.status, answer.error) == (401, "invalid_client")
        await switch_client(served, "on")
    served.clock.move(6)
    return await flow.client.poll(code)


@covers(
    "EXT-STALE-01",
    "EXT-STALE-04",
    "EXT-STALE-05",
    "T-199",
    "DTR-SEC-04",
    "DTR-RD-18",
    "OAUTH-CLI-05",
    "OAUTH-DEFER-06",
    "OAUTH-DEFER-09",
    "OAUTH-AUTHZ-12",
)
@EVERY
@pytest.mark.parametrize("approved", [False, True])
async def test_what_waits_or_was_approved_is_closed_before_the_end_is_told(
    served: Served, flow: Flow, ground: str, approved: bool
) -> None:
    code = await flow.deferred()
    if approved:
        await served.approve(code)
    await end(served, ground)
    assert await outcome(served, code) is Outcome.PRECONDITION_FAILED, "before anybody polled"
    answer = await told(served, flow, code, ground)
    assert answer.error == "access_denied"
    assert not {"precondition", "consent", "session"} & set(answer.body.decode().lower().split())
    events = await served.house.store.find_events(await served.key_of(code))
    assert "redeemed" not in [each.event for each in events]


@covers("T-199", "EXT-STALE-04", "OAUTH-CLI-05", "OAUTH-RT-10", "OAUTH-AUTHZ-12", "OAUTH-TOK-08")
@EVERY
async def test_codes_families_and_tokens_end_too(served: Served, flow: Flow, ground: str) -> None:
    token = await flow.token(scope="now read")
    shown = await flow.code(scope="read")
    held = await flow.refresh(token.json["refresh_token"], defer=True, scope="read")
    await end(served, ground)
    if ground == "client":
        assert (await flow.redeem(shown)).error == "invalid_client"
        await switch_client(served, "on")
    assert (await flow.redeem(shown, defer=True)).error == "invalid_grant"
    assert (await flow.refresh(token.json["refresh_token"])).error == "invalid_grant"
    assert (await flow.client.poll(held.code)).error == "access_denied"
    told = await flow.client.post("/introspect", [("token", token.json["access_token"])])
    assert told.json == {"active": False}


@covers("T-201", "EXT-STALE-05", "DTR-RD-18")
@pytest.mark.parametrize("ground", ["client", "person"])
async def test_what_was_closed_stays_closed_when_its_ground_is_back(
    served: Served, flow: Flow, ground: str
) -> None:
    code = await flow.deferred()
    await served.approve(code)
    await end(served, ground)
    await (switch_client if ground == "client" else switch_person)(served, "on")
    for _ in range(2):
        served.clock.move(6)
        assert (await flow.client.poll(code)).error == "access_denied"
    fresh = Flow(web(served))
    again = await fresh.deferred()
    assert (await fresh.client.poll(again)).error == "authorization_pending"


@covers("T-201", "OAUTH-AUTHZ-12")
async def test_a_consent_given_again_revives_nothing(served: Served, flow: Flow) -> None:
    token = await flow.token(scope="now read")
    code = await flow.deferred()
    await end(served, "consent")
    fresh = await flow.visit(scope="read")
    assert fresh.status == 200, "it is asked for anew"
    await flow.answer(fresh)
    assert (await flow.client.poll(code)).error == "access_denied"
    assert (await flow.refresh(token.json["refresh_token"])).error == "invalid_grant"


@covers("T-200", "DTR-RD-18", "EXT-STALE-03")
@pytest.mark.parametrize("way", ["sign-out", "idle"])
@pytest.mark.parametrize("rule", ["forced", "any"])
async def test_a_session_that_just_ends_ends_its_grants_only_where_that_is_said(
    tmp_path: Path, rule: str, way: str
) -> None:
    async with open_people(tmp_path, extra=f'stale_session = "{rule}"') as served:
        flow = Flow(web(served))
        code = await flow.deferred()
        await served.approve(code)
        if way == "sign-out":
            out = form_of(await flow.tab.get("/account/"), "/sign-out")
            await flow.tab.post(out.action, out.fields)
        else:
            served.clock.move(40 * 60)
        answer = await flow.client.poll(code)
        if rule == "forced":
            assert answer.status == 200
        else:
            assert answer.error == "access_denied"


@covers("OAUTH-SESS-13", "DTR-RD-18", "T-199")
async def test_a_new_password_ends_what_was_granted_in_other_sessions(served: Served) -> None:
    neo = Person(
        id=PersonId("neo"), name="Neo", roles=frozenset(), password_hash=HASH, declared=False
    )
    await served.house.store.put_person(neo)
    there, here = Flow(web(served), "neo"), Flow(web(served), "neo")
    lost, kept = await there.deferred(), await here.deferred()
    page = await here.tab.get("/account/sessions")
    form = form_of(page, "/account/sessions/password")
    new = "a quiet river bends twice"
    fields = {"current": "correct horse battery staple", "password": new, "again": new}
    assert (await here.tab.post(form.action, form.fields | fields)).status == 303
    assert (await there.client.poll(lost)).error == "access_denied"
    assert (await here.client.poll(kept)).error == "authorization_pending"
    gone = await there.tab.get("/account/", follow=False)
    assert (gone.answer.header("location") or "").startswith("/sign-in")


@covers("OAUTH-SESS-13", "OAUTH-SESS-03")
async def test_nobody_ends_anothers_session_consent_or_account(served: Served, flow: Flow) -> None:
    code = await flow.deferred()
    vic = Tab(served)
    await vic.sign_in("vic")
    mine = await flow.tab.get("/account/applications")
    form = form_of(mine, "/applications/withdraw", client="web")
    assert (await vic.post(form.action, form.fields)).status == 403
    assert (await flow.tab.post(form.action, form.fields, headers={})).status == 403
    for path in ("/console/clients", "/console/people"):
        assert (await vic.get(path)).status == 404
    for path in ("/console/clients/web/switch", "/console/people/uma/switch"):
        assert (await vic.post(path, form.fields | {"to": "off"})).status in (403, 404)
    assert (await flow.client.poll(code)).error == "authorization_pending"


@covers("OAUTH-AUTHZ-12", "OAUTH-CLI-06")
async def test_people_see_what_they_let_applications_do(served: Served, flow: Flow) -> None:
    await flow.code(scope="read write")
    page = await flow.tab.get("/account/applications")
    for each in ("Webmill", "Read the ledger", "Change the ledger"):
        assert each in page.text
    vic = Tab(served)
    await vic.sign_in("vic")
    assert "Webmill" not in (await vic.get("/account/applications")).text


@covers("DTR-RD-18", "EXT-GRANT-06")
@pytest.mark.parametrize("ground", ["person", "consent", "sessions"])
async def test_a_client_that_acts_for_itself_rests_on_no_person(
    served: Served, flow: Flow, ground: str
) -> None:
    await flow.code()
    robot = web(served, "robot")
    code = await robot.defer()
    await served.approve(code)
    await end(served, ground)
    assert (await robot.poll(code)).status == 200


@covers("OAUTH-CLI-05")
async def test_other_clients_and_people_are_left_alone(served: Served, flow: Flow) -> None:
    vic, app = Flow(web(served), "vic"), Flow(public(served))
    theirs, other = await vic.deferred(), await app.deferred()
    code = await flow.deferred()
    await end(served, "consent")
    assert (await flow.client.poll(code)).error == "access_denied"
    assert (await vic.client.poll(theirs)).error == "authorization_pending"
    assert (await app.client.poll(other)).error == "authorization_pending"
    await end(served, "person")
    assert (await app.client.poll(other)).error == "access_denied"
    served.clock.move(6)
    assert (await vic.client.poll(theirs)).error == "authorization_pending"


# --- against whoever acts at the same moment

End = Callable[[Served], Awaitable[object]]


async def withdraw(served: Served) -> object:
    return await withdraw_consent(served.house, PersonId("uma"), ClientId("web"), by="test")


async def lock(served: Served) -> None:
    person = await served.house.store.find_person(PersonId("uma"))
    assert person is not None
    await disable_person(served.house, person, by="test")


async def force_out(served: Served) -> None:
    await end(served, "sessions")


ENDS = pytest.mark.parametrize("close", [withdraw, lock, force_out])


@covers("SEC-RACE-09", "T-160", "EXT-STALE-04", "OAUTH-DEFER-09")
@ENDS
async def test_no_token_of_an_approval_after_the_end_was_told(
    served: Served, flow: Flow, monkeypatch: pytest.MonkeyPatch, close: End
) -> None:
    code = await flow.deferred()
    await served.approve(code)
    late, _ = await overtake(
        served,
        monkeypatch,
        Advance,
        slow=lambda: flow.client.poll(code),
        fast=lambda: close(served),
    )
    assert late.error == "access_denied"


@covers("SEC-RACE-09", "OAUTH-TOK-08", "OAUTH-CODE-03")
@ENDS
async def test_no_token_of_a_code_after_the_end_was_told(
    served: Served, flow: Flow, monkeypatch: pytest.MonkeyPatch, close: End
) -> None:
    shown = await flow.code(scope="now")
    late, _ = await overtake(
        served,
        monkeypatch,
        SpendCode,
        slow=lambda: flow.redeem(shown),
        fast=lambda: close(served),
    )
    assert late.error == "invalid_grant"


@covers("SEC-RACE-09", "OAUTH-DEFER-09", "EXT-STALE-04")
@ENDS
async def test_nothing_waits_that_was_opened_beside_the_end(
    served: Served, flow: Flow, monkeypatch: pytest.MonkeyPatch, close: End
) -> None:
    shown = await flow.code()
    late, _ = await overtake(
        served,
        monkeypatch,
        Open,
        slow=lambda: flow.redeem(shown, defer=True),
        fast=lambda: close(served),
    )
    assert late.error == "invalid_grant"
    rita = PersonId("rita")
    now = served.clock.now()
    assert await served.house.store.count_waiting(rita, now=now, at_most=9) == 0


@covers("SEC-RACE-09", "OAUTH-AUTHZ-12", "OAUTH-CODE-03")
@pytest.mark.parametrize("close", [lock, force_out])
async def test_a_grant_beside_the_end_is_worth_nothing(
    served: Served, flow: Flow, monkeypatch: pytest.MonkeyPatch, close: End
) -> None:
    page = await flow.visit(scope="now")
    late, _ = await overtake(
        served,
        monkeypatch,
        OpenGrant,
        slow=lambda: flow.answer(page),
        fast=lambda: close(served),
    )
    if late.status == 303:
        assert (await flow.redeem(back_at_client(late)["code"])).error == "invalid_grant"
    else:
        assert late.status == 410
