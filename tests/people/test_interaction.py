"""Steps that somebody takes while a request waits: where, who, once, and never by opening."""

import base64
import hashlib
from urllib.parse import quote

import pytest

from abeyance.acts import interact
from abeyance.acts.decide import NotCounted
from abeyance.acts.dispose import disable_person
from abeyance.parties.person import PersonId
from abeyance.pending.interaction import Interaction
from tests.answer import Answer, check_not_stored
from tests.console.house import PASSWORD, Form, PageSeen, Tab
from tests.covers import covers
from tests.people.house import Flow, web
from tests.served import Caller, Served

ISSUER = "https://as.example"


def path_of(answer: Answer) -> str:
    assert answer.error == "interaction_required", answer.body
    uri = str(answer.json["interaction_uri"])
    assert uri.startswith(ISSUER + "/interact/")
    return uri.removeprefix(ISSUER)


async def deferred(flow: Flow, scope: str = "sure") -> tuple[str, str]:
    """The deferral code and the path of its first interaction."""
    answer = await flow.redeem(await flow.code(scope=scope), defer=True)
    return answer.code, path_of(answer)


async def poll(caller: Caller, code: str) -> Answer:
    caller.served.clock.move(6)
    return await caller.poll(code)


async def ask(served: Served, code: str, step: str, note: str | None = None) -> NotCounted | None:
    """Rita wants a step taken before she decides."""
    rita = await served.house.store.find_person(PersonId("rita"))
    assert rita is not None
    return await interact.ask_for(served.house, rita, await served.key_of(code), step, note)


async def recorded(served: Served, code: str) -> tuple[Interaction, ...]:
    loaded = await served.house.store.find_loaded(await served.key_of(code))
    assert loaded is not None
    return loaded.interactions


def step_form(page: PageSeen) -> Form:
    return next(form for form in page.forms if "/interact/" in form.action)


async def signed_in(served: Served, name: str) -> Tab:
    tab = Tab(served)
    await tab.sign_in(name, PASSWORD)
    return tab


@covers("DTR-IURI-01", "DTR-IURI-03", "T-083", "T-088", "EXT-INTERACT-03", "DTR-SEC-05")
async def test_the_address_is_of_its_own_secret_and_the_same_each_time(
    served: Served, flow: Flow
) -> None:
    code, path = await deferred(flow)
    other, other_path = await deferred(flow)
    segment = path.removeprefix("/interact/")
    assert "#" not in path
    assert "?" not in path
    for start in range(len(code) - 8):
        assert code[start : start + 8] not in segment
    spelt = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    secret = base64.urlsafe_b64decode(code)[16:]  # behind the home, which both may have
    for told in (b"uma", b"web", b"sure", *(secret[at : at + 8] for at in range(25))):
        assert told not in spelt
    assert segment[:42] != other_path.removeprefix("/interact/")[:42]
    assert len(segment) >= 43
    assert path_of(await poll(flow.client, code)) == path
    assert hashlib.sha256(code.encode()).hexdigest() not in segment
    assert other != code


@covers("T-215", "SEC-TOK-29", "DTR-IURI-01", "T-211")
async def test_a_forged_host_does_not_change_where_the_person_is_sent(
    served: Served, flow: Flow
) -> None:
    forged = [
        ("host", "evil.example"), ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"), ("forwarded", "host=evil.example;proto=http"),
        ("origin", "https://evil.example"),
    ]  # fmt: skip
    robot = web(served, "robot")
    form = [
        ("grant_type", "client_credentials"), ("scope", "sure"), ("completion_mode", "deferred"),
    ]  # fmt: skip
    answer = await robot.post("/token", form, headers=forged)
    assert answer.error == "interaction_required"
    assert str(answer.json["interaction_uri"]).startswith("https://as.example/interact/")
    check_not_stored(answer)


@covers("DTR-IURI-02", "T-084", "EXT-INTERACT-04", "SEC-UI-14", "SEC-UI-22")
async def test_opening_the_address_changes_nothing(served: Served, flow: Flow) -> None:
    code, path = await deferred(flow)
    before = await served.held(code)
    for tab in (Tab(served), flow.tab, await signed_in(served, "rita")):
        for method in ("GET", "HEAD", "GET"):
            await tab.get(path, method=method, follow=False)
        await tab.get(path + "/return?done=1&status=approved", follow=False)
    preview = await Tab(served).get(path, headers={"purpose": "prefetch"}, follow=False)
    assert preview.status == 303
    assert await served.held(code) == before
    assert path_of(await poll(flow.client, code)) == path
    assert step_form(await flow.tab.get(path)).fields.keys() >= {"csrf"}, "nor is it used up"


@covers("EXT-INTERACT-06", "SEC-UI-22", "SEC-UI-23", "EXT-INTERACT-08")
async def test_only_the_person_and_whom_the_policy_names_find_anything(
    served: Served, flow: Flow
) -> None:
    _, path = await deferred(flow)
    somebody = await Tab(served).get(path, follow=False)
    location = somebody.answer.header("location") or ""
    assert location == f"/sign-in?to={quote('interaction:' + path.split('/')[-1], safe='')}"
    nothing = (await flow.tab.get("/interact/" + "A" * 70)).html
    for name in ("rita", "ada"):
        foreign = await (await signed_in(served, name)).get(path)
        assert foreign.status == 404
        for told in ("Webmill", "Uma", "Confirm that you want this"):
            assert told not in foreign.text
    assert "There is nothing here" in nothing
    for name in ("uma", "vic"):
        page = await (await signed_in(served, name)).get(path)
        assert page.status == 200
        for told in ("Webmill", "Uma Underwood", "Needs a word from you first", "Runs out"):
            assert told in page.text
        assert "https://ledger.example" in page.text
        assert "ago" in page.text


@covers("SEC-UI-23", "DTR-IURI-03", "OAUTH-DEFER-07")
async def test_guessed_foreign_and_past_addresses_are_one_page(served: Served, flow: Flow) -> None:
    code, path = await deferred(flow)
    segment = path.removeprefix("/interact/")
    vic = Flow(web(served), "vic")
    _, theirs = await deferred(vic, "ident")
    pages = []

    def other(character: str) -> str:
        return "A" if character != "A" else "B"

    last, first = segment[:-1] + other(segment[-1]), other(segment[0]) + segment[1:]
    for tried in ("A" * 70, last, first, code, theirs.split("/")[-1], segment[:-4]):
        page = await flow.tab.get(f"/interact/{tried}")
        assert page.status == 404
        pages.append(page.html)
    assert len(set(pages)) == 1


@covers("EXT-INTERACT-05", "EXT-INTERACT-07", "T-087", "DTR-ERR-03")
async def test_a_confirmation_is_recorded_once_and_the_request_waits_on(
    served: Served, flow: Flow
) -> None:
    code, path = await deferred(flow)
    form = step_form(await flow.tab.get(path))
    assert [name for name, _ in form.offered] == ["answer.confirmed"]
    unticked = await flow.tab.post(form.action, form.fields)
    assert unticked.status == 400
    assert "Tick this to go on." in unticked.text
    assert not await recorded(served, code)
    whole = form.fields | {"answer.confirmed": "yes"}
    assert (await flow.tab.post(form.action, whole)).status == 303
    first = await recorded(served, code)
    assert [(each.step, each.person, each.vouched) for each in first] == [("confirm", "uma", False)]
    assert (await poll(flow.client, code)).error == "authorization_pending"
    vic = await signed_in(served, "vic")
    late = await vic.get(path)
    assert "Done: Confirm that you want this" in late.text
    assert "by Uma Underwood" in late.text
    replayed = await flow.tab.post(form.action, whole)
    assert replayed.status == 409
    assert "Done: Confirm" in replayed.text
    assert await recorded(served, code) == first
    await served.approve(code)
    assert (await poll(flow.client, code)).status == 200


@covers("EXT-INTERACT-05", "OAUTH-SESS-03", "SEC-UI-13", "OAUTH-SESS-04", "T-085")
async def test_a_step_is_taken_from_our_own_page_by_its_own_form_only(
    served: Served, flow: Flow
) -> None:
    code, path = await deferred(flow)
    other, other_path = await deferred(flow)
    page = await flow.tab.get(path)
    policy = page.answer.header("content-security-policy") or ""
    assert "frame-ancestors 'none'" in policy
    assert page.answer.header("cross-origin-opener-policy") == "same-origin"
    form = step_form(page)
    whole = form.fields | {"answer.confirmed": "yes"}
    foreign = step_form(await flow.tab.get(other_path)).fields["csrf"]
    vic = step_form(await (await signed_in(served, "vic")).get(path)).fields["csrf"]
    for csrf in ("", foreign, vic):
        assert (await flow.tab.post(path, whole | {"csrf": csrf})).status == 403
    for headers in (
        {},
        {"sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ):
        assert (await flow.tab.post(path, whole, headers=headers)).status == 403
    for more in ({"vote": "approve"}, {"scope": "never"}, {"answer.other": "x"}):
        assert (await flow.tab.post(path, whole | more)).status == 400
    nobody = await Tab(served).post(path, whole)
    assert (nobody.answer.header("location") or "").startswith("/sign-in")
    assert (await flow.tab.post(other_path, whole)).status == 403
    for each in (code, other):
        assert not await recorded(served, each)
        assert (await poll(flow.client, each)).error == "interaction_required"


@covers("EXT-INTERACT-14", "DTR-ERR-03", "T-089", "DTR-IURI-03")
async def test_steps_may_follow_one_another_each_at_its_own_address(
    served: Served, flow: Flow
) -> None:
    code = await flow.deferred(scope="read")
    assert (await poll(flow.client, code)).error == "authorization_pending"
    paths: list[str] = []
    for number, step in enumerate(("confirm", "statement", "address"), start=1):
        assert await ask(served, code, step, note=f"note {number}") is None
        path = path_of(await poll(flow.client, code))
        page = await flow.tab.get(path)
        assert f"note {number}" in page.text
        form = step_form(page)
        answers = {
            "confirm": {"answer.confirmed": "yes"},
            "statement": {"answer.statement": "It is for\r\nthe audit."},
            "address": {"answer.street": "Long Lane 12", "answer.since": "longer"},
        }[step]
        assert (await flow.tab.post(form.action, form.fields | answers)).status == 303
        assert (await poll(flow.client, code)).error == "authorization_pending"
        paths.append(path)
    assert len(set(paths)) == 3
    done = await recorded(served, code)
    assert [each.number for each in done] == [1, 2, 3]
    assert done[1].answers == (("Your statement", "It is for the audit."),)
    assert done[2].answers == (("Street and number", "Long Lane 12"), ("Since when", "longer"))
    for path in paths:
        assert "Done: " in (await flow.tab.get(path)).text


@covers("EXT-INTERACT-14", "T-086", "T-087")
async def test_a_newer_step_ends_the_address_of_the_one_before(served: Served, flow: Flow) -> None:
    code, old = await deferred(flow)
    stale = step_form(await flow.tab.get(old))
    assert await ask(served, code, "address") is None
    new = path_of(await poll(flow.client, code))
    assert new != old
    late = await flow.tab.post(old, stale.fields | {"answer.confirmed": "yes"})
    assert late.status == 409
    assert "Nothing to do here any more" in (await flow.tab.get(old)).text
    assert not await recorded(served, code)
    assert path_of(await poll(flow.client, code)) == new


@covers("EXT-INTERACT-05", "SEC-UI-01", "SEC-UI-07")
async def test_a_form_is_read_strictly_and_what_is_typed_is_text(
    served: Served, flow: Flow
) -> None:
    code, _ = await deferred(flow)
    assert await ask(served, code, "address", "<b>note</b>\u202e") is None
    path = path_of(await poll(flow.client, code))
    page = await flow.tab.get(path)
    assert "<b>note" not in page.html
    assert "\u202e" not in page.html
    form = step_form(page)
    for answers, told in (
        ({}, "Fill this in to go on."),
        ({"answer.street": "   "}, "Fill this in to go on."),
        ({"answer.street": "x", "answer.since": "never"}, "Choose one of the given answers."),
        ({"answer.street": "x" * 2_001}, "Write at most 2,000 characters"),
    ):
        wrong = await flow.tab.post(path, form.fields | answers)
        assert wrong.status == 400
        assert told in wrong.text
    bait = '<script>alert(1)</script>"\u202eknaB'
    wrong = await flow.tab.post(
        path, form.fields | {"answer.street": bait, "answer.since": "never"}
    )
    assert "<script>alert" not in wrong.html
    assert not await recorded(served, code)
    await flow.tab.post(path, form.fields | {"answer.street": bait})
    assert (await recorded(served, code))[0].answers == (("Street and number", bait),)
    done = await flow.tab.get(path)
    assert "<script>alert" not in done.html
    assert "\u202e" not in done.html


@covers("T-086", "DTR-IURI-03", "SEC-UI-23")
@pytest.mark.parametrize("end", ["approved", "denied", "cancelled", "expired", "collected"])
async def test_after_the_end_nothing_is_done_there(served: Served, flow: Flow, end: str) -> None:
    code, path = await deferred(flow)
    form = step_form(await flow.tab.get(path))
    match end:
        case "approved":
            await served.approve(code)
        case "denied":
            await served.deny(code)
        case "cancelled":
            await flow.client.revoke(code)
        case "expired":
            served.clock.move(3_601)
            await flow.tab.sign_in("uma")
        case _:
            await served.approve(code)
            assert (await poll(flow.client, code)).status == 200
    page = await flow.tab.get(path)
    assert "Nothing to do here any more" in page.text
    late = await flow.tab.post(form.action, form.fields | {"answer.confirmed": "yes"})
    assert late.status == (403 if end == "expired" else 409)
    assert not await recorded(served, code)
    wanted = {"approved": None, "expired": "expired_token", "collected": "invalid_grant"}
    answer = await poll(flow.client, code)
    assert answer.json.get("error") == wanted.get(end, "access_denied")


@covers("EXT-INTERACT-06", "EXT-GRANT-06", "T-024")
async def test_where_nobody_stands_behind_a_request_the_policys_people_act(
    served: Served,
) -> None:
    robot = web(served, "robot")
    answer = await robot.ask(scope="sure")
    path = path_of(answer)
    uma, vic = await signed_in(served, "uma"), await signed_in(served, "vic")
    assert (await uma.get(path)).status == 404
    form = step_form(await vic.get(path))
    assert (await vic.post(path, form.fields | {"answer.confirmed": "yes"})).status == 303
    assert (await poll(robot, answer.code)).error == "authorization_pending"
    await served.approve(answer.code)
    token = await poll(robot, answer.code)
    assert token.status == 200
    assert not {"refresh_token", "id_token"} & token.json.keys()


@covers("EXT-INTERACT-17", "EXT-GRANT-06")
async def test_a_step_that_nobody_can_take_ends_the_request_at_once(served: Served) -> None:
    answer = await web(served, "robot").ask(scope="ident")
    assert answer.error == "access_denied"
    assert "deferral_code" not in answer.json


@covers("EXT-INTERACT-06")
async def test_a_disabled_person_takes_no_step(served: Served) -> None:
    robot = web(served, "robot")
    path = path_of(await robot.ask(scope="sure"))
    vic = await signed_in(served, "vic")
    form = step_form(await vic.get(path))
    person = await served.house.store.find_person(PersonId("vic"))
    assert person is not None
    await disable_person(served.house, person, by="test")
    late = await vic.post(path, form.fields | {"answer.confirmed": "yes"})
    assert (late.answer.header("location") or "").startswith("/sign-in")
    again = await robot.ask(scope="sure")
    assert again.error == "access_denied"


@covers("EXT-INTERACT-06", "EXT-DECIDE-03")
async def test_a_reviewer_asks_only_for_what_the_policy_offers(served: Served, flow: Flow) -> None:
    code = await flow.deferred(scope="read")
    for step, note in (("document", None), ("nothing", None), ("confirm", "x" * 501)):
        refused = await ask(served, code, step, note)
        assert isinstance(refused, NotCounted)
    assert (await poll(flow.client, code)).error == "authorization_pending"
    await served.approve(code)
    assert isinstance(await ask(served, code, "confirm"), NotCounted)
    assert (await poll(flow.client, code)).status == 200


@covers("EXT-INTERACT-14", "T-089")
async def test_a_request_may_be_decided_while_a_step_is_awaited(served: Served, flow: Flow) -> None:
    code, _ = await deferred(flow)
    await served.deny(code)
    assert (await poll(flow.client, code)).error == "access_denied"


@covers("SEC-UI-24", "EXT-INTERACT-06")
async def test_a_session_that_ended_meanwhile_takes_no_step(served: Served, flow: Flow) -> None:
    code, path = await deferred(flow)
    form = step_form(await flow.tab.get(path))
    page = await flow.tab.get("/account/")
    out = page.form("/sign-out")
    old = dict(flow.tab.cookies)
    await flow.tab.post(out.action, out.fields)
    stolen = Tab(served, cookies=old)
    late = await stolen.post(path, form.fields | {"answer.confirmed": "yes"})
    assert (late.answer.header("location") or "").startswith("/sign-in")
    assert not await recorded(served, code)
