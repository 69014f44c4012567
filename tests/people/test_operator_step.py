"""A step that an operator's own code does elsewhere: buttons start and finish it, not addresses."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.console.house import Form, PageSeen, Tab
from tests.covers import covers
from tests.people.house import Flow, web
from tests.people.test_interaction import deferred, path_of, poll, recorded, signed_in
from tests.people.vendor import VENDOR
from tests.served import Served

RETURN = "/return?session=s1&approved=true"


@pytest.fixture(autouse=True)
def _clean_vendor() -> None:
    VENDOR.uploaded.clear()
    VENDOR.visits.clear()


def form_to(page: PageSeen, what: str) -> Form:
    return next(form for form in page.forms if form.action.endswith(f"/{what}"))


@covers("EXT-INTERACT-04", "EXT-INTERACT-05", "DTR-IURI-02", "T-089")
async def test_what_the_vendor_says_is_recorded_and_what_the_browser_says_is_not(
    served: Served, flow: Flow
) -> None:
    code, path = await deferred(flow, "ident")
    page = await flow.tab.get(path)
    assert "form-action 'self' https://verify.example;" in (
        page.answer.header("content-security-policy") or ""
    )
    start = form_to(page, "start")
    gone = await flow.tab.post(start.action, start.fields)
    assert gone.status == 303
    away = urlsplit(gone.answer.header("location") or "")
    assert away.netloc == "verify.example"
    reference = parse_qs(away.query)["ref"][0]
    assert parse_qs(away.query)["back"] == [f"https://as.example{path}/return"]
    assert code not in away.query
    assert VENDOR.visits[0].person == "uma"
    back = await flow.tab.get(path + RETURN)
    assert "Coming back recorded nothing yet." in back.text
    assert not await recorded(served, code)
    finish = form_to(back, "finish")
    early = await flow.tab.post(finish.action, finish.fields)
    assert early.status == 409
    assert "Nothing has arrived at the verification service yet." in early.text
    assert (await poll(flow.client, code)).error == "interaction_required"
    VENDOR.uploaded[reference] = "passport"
    assert (await poll(flow.client, code)).error == "interaction_required"
    assert (await flow.tab.post(finish.action, finish.fields)).status == 303
    done = (await recorded(served, code))[0]
    assert done.vouched
    assert done.answers == (("Document", "passport"), ("Checked by", "verify.example"))
    assert (await poll(flow.client, code)).error == "authorization_pending"
    await served.approve(code)
    assert (await poll(flow.client, code)).status == 200


@covers("EXT-INTERACT-05", "EXT-INTERACT-07", "OAUTH-SESS-03", "SEC-UI-13")
async def test_the_steps_buttons_are_forms_like_any(served: Served, flow: Flow) -> None:
    code, path = await deferred(flow, "ident")
    back = await flow.tab.get(path + RETURN)
    for what in ("start", "finish"):
        form = form_to(back, what)
        assert (await flow.tab.post(form.action, form.fields | {"csrf": "x"})).status == 403
        assert (await flow.tab.post(form.action, form.fields, headers={})).status == 403
        assert (await flow.tab.get(form.action, follow=False)).status == 405
        nobody = await Tab(served).post(form.action, form.fields)
        assert (nobody.answer.header("location") or "").startswith("/sign-in")
        rita = await signed_in(served, "rita")
        assert (await rita.post(form.action, form.fields)).status == 404
    assert not VENDOR.visits
    plain = await flow.tab.post(path, {"csrf": form_to(back, "start").fields["csrf"]})
    assert plain.status == 409, "it is not taken here"
    assert not await recorded(served, code)


@covers("EXT-INTERACT-07", "T-086", "EXT-INTERACT-14")
async def test_a_document_that_comes_after_the_end_changes_nothing(
    served: Served, flow: Flow
) -> None:
    code, path = await deferred(flow, "ident")
    start = form_to(await flow.tab.get(path), "start")
    gone = await flow.tab.post(start.action, start.fields)
    reference = parse_qs(urlsplit(gone.answer.header("location") or "").query)["ref"][0]
    finish = form_to(await flow.tab.get(path + RETURN), "finish")
    await flow.client.revoke(code)
    VENDOR.uploaded[reference] = "passport"
    assert (await flow.tab.post(finish.action, finish.fields)).status == 409
    assert (await flow.tab.post(start.action, start.fields)).status == 409
    assert not await recorded(served, code)
    assert (await poll(flow.client, code)).error == "access_denied"


@covers("EXT-INTERACT-05", "SEC-UI-01")
async def test_what_the_browser_brings_back_is_bounded_and_inert(flow: Flow) -> None:
    _, path = await deferred(flow, "ident")
    bait = await flow.tab.get(path + "/return?x=%22%3E%3Cscript%3Ealert(1)")
    assert "<script>alert" not in bait.html
    assert (await flow.tab.get(path + "/return?x=" + "y" * 2_048)).status == 400


@covers("EXT-INTERACT-03", "EXT-INTERACT-14")
async def test_two_requests_are_two_references(served: Served) -> None:
    flow = Flow(web(served))
    references = []
    for _ in range(2):
        answer = await flow.redeem(await flow.code(scope="ident"), defer=True)
        start = form_to(await flow.tab.get(path_of(answer)), "start")
        await flow.tab.post(start.action, start.fields)
        references.append(VENDOR.visits[-1].reference)
        assert answer.code not in references[-1]
    assert len(set(references)) == 2
