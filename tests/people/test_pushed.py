"""Pushed authorization requests: checked at the push, opened by reference, answered once."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from abeyance.parties.client import ClientId
from tests.config import PAYMENT, SECRET
from tests.covers import covers
from tests.people.house import (
    CALLBACK,
    CONFIG,
    ISSUER,
    Flow,
    back_at_client,
    open_people,
    public,
    web,
)
from tests.served import Served, make_key

UNKNOWN = "urn:ietf:params:oauth:request_uri:" + "A" * 43


async def change_client(served: Served, name: str, **changes: Any) -> None:
    client = await served.house.store.find_client(ClientId(name))
    assert client is not None
    await served.house.store.put_client(replace(client, **changes))


def files_of(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file() and each.name != "s1.secret"]


@covers("OAUTH-PAR-01", "OAUTH-PAR-04", "OAUTH-PAR-12")
async def test_a_pushed_request_leads_to_a_code_by_its_reference_alone(flow: Flow) -> None:
    answer = await flow.push(scope="now")
    assert answer.status == 201
    assert answer.json.keys() == {"request_uri", "expires_in"}
    assert answer.json["expires_in"] == 90
    reference = answer.json["request_uri"]
    assert re.fullmatch(r"urn:ietf:params:oauth:request_uri:[A-Za-z0-9_-]{43}", reference)
    page = await flow.open(reference)
    assert page.path.startswith("/authorize/consent?tx=")
    assert flow.parameters()["code_challenge"] not in page.text
    back = back_at_client(await flow.answer(page))
    assert (back["state"], back["iss"]) == ("xyz", ISSUER)
    assert (await flow.redeem(back["code"])).status == 200


@covers("OAUTH-META-02", "OAUTH-PAR-10")
async def test_the_endpoint_is_published_with_what_is_demanded(
    served: Served, tmp_path: Path
) -> None:
    path = "/.well-known/oauth-authorization-server"
    metadata = (await served.get(path)).json
    assert metadata["pushed_authorization_request_endpoint"] == f"{ISSUER}/par"
    assert metadata["require_pushed_authorization_requests"] is False
    assert metadata["request_uri_parameter_supported"] is False
    extra = "require_pushed_authorization_requests = true"
    async with open_people(tmp_path / "other", extra=extra) as strict:
        assert (await strict.get(path)).json["require_pushed_authorization_requests"] is True


@covers("OAUTH-PAR-02", "OAUTH-PAR-03", "OAUTH-RAR-01", "OAUTH-RAR-02", "OAUTH-DEC-11")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request_uri": UNKNOWN}, "invalid_request"),
        ({"client_id": None}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/cb"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"resource": "https://mail.example"}, "invalid_target"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"rocket"}]'}, "invalid_authorization_details"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        ({"request": "a.b.c"}, "request_not_supported"),
    ],
)
async def test_what_the_authorization_endpoint_would_refuse_is_refused_at_the_push(
    flow: Flow, changes: dict[str, str | None], error: str
) -> None:
    answer = await flow.push(**changes)
    assert (answer.status, answer.error) == (400, error)
    assert "request_uri" not in answer.json
    assert "location" not in dict(answer.headers)


@covers("OAUTH-PAR-01")
async def test_nobody_pushes_without_being_the_client(served: Served, flow: Flow) -> None:
    told = list(flow.parameters().items())
    bare = await served.post("/par", told)
    other = await web(served, "many").post("/par", told)
    wrong = await served.post("/par", [*told, ("client_secret", SECRET + "x")])
    for answer in (bare, other, wrong):
        assert (answer.status, answer.error) == (401, "invalid_client")
    assert (await served.get("/par")).status == 405
    large = [("x", "y" * 70_000)]
    assert (await web(served).post("/par", large)).status == 413


@covers("OAUTH-PAR-05")
async def test_a_reference_is_of_no_use_to_another_client(served: Served, flow: Flow) -> None:
    # One that could have asked for the very same.
    await change_client(served, "many", redirect_uris=(CALLBACK,))
    reference = await flow.pushed(scope="now")
    told = {"client_id": "many", "request_uri": reference, "redirect_uri": CALLBACK}
    page = await flow.follow("/authorize?" + urlencode(told))
    assert page.answer.status == 400
    assert page.answer.header("location") is None
    assert "code" in await flow.finish(await flow.open(reference)), "it still leads"


@covers("OAUTH-DEC-11")
async def test_a_confidential_client_may_be_let_push_where_to_go_back_to(served: Served) -> None:
    flow, elsewhere = Flow(web(served)), "https://new.example/cb?x=1"
    await change_client(served, "web", pushes_redirect_uris=True)
    reference = await flow.pushed(scope="now", redirect_uri=elsewhere)
    answered = await flow.answer(await flow.open(reference))
    assert (answered.answer.header("location") or "").startswith(elsewhere + "&code=")
    code = back_at_client(answered)["code"]
    assert (await flow.redeem(code)).error == "invalid_grant"
    assert (await flow.redeem(code, redirect_uri=elsewhere)).status == 200
    for bad in (
        "http://new.example/cb", "https://new.example/cb#x", "https://new.example/cb?code=1",
        "com.example.new:/cb", "javascript:alert(1)", "https://*.example/cb",
    ):  # fmt: skip
        answer = await flow.push(redirect_uri=bad)
        assert (answer.status, answer.error) == (400, "invalid_request"), bad
    page = await flow.visit(scope="now", redirect_uri=elsewhere)
    assert (page.answer.status, page.answer.header("location")) == (400, None), "only when pushed"
    late = await flow.pushed(scope="write", redirect_uri=elsewhere)
    opened = await flow.open(late)
    await change_client(served, "web", pushes_redirect_uris=False)
    assert (await flow.open(late)).answer.status == 400
    assert (await flow.answer(opened)).answer.status == 410, "and what was opened is over too"


@covers("OAUTH-RAR-11")
async def test_sensitive_details_are_taken_from_the_client_alone(tmp_path: Path) -> None:
    config = CONFIG.replace('"tests.details_types:STANDING"', '"tests.details_types:SECRETIVE"')
    config = config.replace('["payment", "export", "standing"]', '["payment", "diagnosis"]')
    async with open_people(tmp_path, config=config) as served:
        flow = Flow(web(served))
        told = {"scope": None, "authorization_details": '[{"type":"diagnosis","number":"F7"}]'}
        back = await flow.come_back(**told)
        assert back["error"] == "invalid_request"
        reference = await flow.pushed(**told)
        assert "diagnosis" not in reference
        page = await flow.open(reference)
        assert "Read the diagnosis F7" in page.text
        assert "code" in await flow.finish(page)
        harmless = json.dumps([PAYMENT])
        assert "code" in await flow.come_back(scope=None, authorization_details=harmless)


@covers("OAUTH-PAR-06", "OAUTH-PAR-07")
async def test_a_reference_is_good_until_somebody_has_answered(flow: Flow) -> None:
    for decision, scope in (("agree", "read"), ("decline", "write")):
        reference = await flow.pushed(scope=scope)
        first, second = await flow.open(reference), await flow.open(reference)
        assert first.path != second.path
        back = back_at_client(await flow.answer(first, decision))
        assert ("code" in back) == (decision == "agree")
        late = await flow.answer(second)
        assert late.answer.status == 410, "the other page answers the same request"
        again = await flow.open(reference)
        assert (again.answer.status, again.answer.header("location")) == (400, None)
        told = back_at_client(await flow.open(reference, redirect_uri=CALLBACK, state="s"))
        assert (told["error"], told["state"]) == ("invalid_request_uri", "s")


@covers("OAUTH-PAR-07")
async def test_of_many_who_answer_one_pushed_request_one_gets_a_code(served: Served) -> None:
    flows = [Flow(web(served)) for _ in range(6)]
    reference = await flows[0].pushed(scope="read")
    pages = [await flow.open(reference) for flow in flows]
    answers = await asyncio.gather(
        *(flow.answer(page) for flow, page in zip(flows, pages, strict=True))
    )
    codes = [page for page in answers if page.answer.status == 303]
    assert len(codes) == 1
    assert {page.answer.status for page in answers} == {303, 410}


@covers("OAUTH-PAR-06")
@pytest.mark.parametrize("reference", [UNKNOWN, UNKNOWN[:-1], "urn:ietf:params:oauth:request_uri:"])
async def test_an_unknown_reference_is_told_on_a_page_or_at_a_trusted_address(
    flow: Flow, reference: str
) -> None:
    page = await flow.open(reference)
    assert (page.answer.status, page.answer.header("location")) == (400, None)
    evil = await flow.open(reference, redirect_uri="https://evil.example/cb")
    assert (evil.answer.status, evil.answer.header("location")) == (400, None)
    back = back_at_client(await flow.open(reference, redirect_uri=CALLBACK))
    assert back["error"] == "invalid_request_uri"


@covers("OAUTH-PAR-06")
async def test_a_reference_lives_for_its_time_and_the_person_for_theirs(
    served: Served, flow: Flow
) -> None:
    reference = await flow.pushed(scope="now")
    served.clock.move(89)
    page = await flow.open(reference)
    served.clock.move(1)
    assert (await flow.open(reference)).answer.status == 400
    served.clock.move(600)
    assert "code" in back_at_client(await flow.answer(page))


@covers("OAUTH-PAR-08", "T-058", "DTR-HINT-01", "DTR-HINT-03")
async def test_beside_a_reference_nothing_else_counts(flow: Flow) -> None:
    hinted = await flow.pushed(scope="now", completion_mode="deferred")
    plain = await flow.pushed(scope="now", state=None)
    page = await flow.open(
        plain, scope="read", state="forged", completion_mode="deferred", dpop_jkt="A" * 43,
        redirect_uri="https://web.example/other",
    )  # fmt: skip
    answered = await flow.answer(page)
    location = answered.answer.header("location") or ""
    assert location.startswith(CALLBACK)
    back = back_at_client(answered)
    assert "state" not in back
    answer = await flow.redeem(back["code"])
    assert answer.json["scope"] == "now"
    back = back_at_client(await flow.open(hinted, completion_mode="x"))
    refused = await flow.redeem(back["code"])
    assert (refused.status, refused.error) == (400, "invalid_request")
    assert (await flow.redeem(back["code"], defer=True)).status == 200


@covers("OAUTH-PAR-09")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": frozenset({"read"})}, "invalid_scope"),
        ({"grant_types": frozenset({"refresh_token"})}, "unauthorized_client"),
        ({"redirect_uris": ("https://web.example/other",)}, None),
        ({"enabled": False}, None),
    ],
)
async def test_what_the_client_may_no_longer_do_is_seen_when_the_reference_comes(
    served: Served, flow: Flow, changes: dict[str, Any], error: str | None
) -> None:
    reference = await flow.pushed(scope="now")
    await change_client(served, "web", **changes)
    page = await flow.open(reference)
    if error is None:
        assert page.answer.status == 400
    else:
        assert back_at_client(page)["error"] == error


@covers("OAUTH-PAR-10")
async def test_where_requests_must_be_pushed_no_other_is_taken(
    served: Served, flow: Flow, tmp_path: Path
) -> None:
    await change_client(served, "web", require_pushed=True)
    extra = "require_pushed_authorization_requests = true"
    async with open_people(tmp_path / "other", extra=extra) as strict:
        for each in (flow, Flow(web(strict)), Flow(public(strict))):
            back = await each.come_back(scope="now")
            assert back["error"] == "invalid_request"
            page = await each.open(await each.pushed(scope="now"))
            assert "code" in await each.finish(page)
        robot = await web(strict, "robot").ask(scope="now")
        assert robot.status == 200, "other grants do not come this way"


@covers("OAUTH-PAR-11", "OAUTH-DPOP-20", "OAUTH-DEC-07")
async def test_the_key_of_the_push_is_the_key_of_the_code(served: Served, flow: Flow) -> None:
    key, other = make_key(), make_key()
    bound = Flow(flow.client.with_dpop(key))
    for jkt in (None, key.public.jkt):
        reference = await bound.pushed(scope="now", dpop_jkt=jkt)
        code = (await bound.finish(await bound.open(reference)))["code"]
        stolen = await Flow(flow.client.with_dpop(other)).redeem(code)
        assert stolen.error == "invalid_grant"
        assert (await flow.redeem(code)).error == "invalid_grant"
        assert (await bound.redeem(code)).json["token_type"] == "DPoP"
    named = await flow.pushed(scope="now", dpop_jkt=key.public.jkt)
    code = (await flow.finish(await flow.open(named)))["code"]
    assert (await flow.redeem(code)).error == "invalid_grant"
    assert (await bound.redeem(code)).status == 200
    wrong = await bound.push(scope="now", dpop_jkt=other.public.jkt)
    assert (wrong.status, wrong.error) == (400, "invalid_dpop_proof")


@covers("OAUTH-PAR-11", "OAUTH-PAR-12", "OAUTH-SEC-02")
async def test_neither_secret_nor_reference_rests_in_the_store(
    served: Served, flow: Flow, tmp_path: Path
) -> None:
    posting = replace(web(served), method="client_secret_post")
    await change_client(served, "web", auth_method="client_secret_post")
    reference = await Flow(posting).pushed(scope="now")
    written = b"".join(each.read_bytes() for each in files_of(tmp_path))
    assert b"code_challenge" in written, "the file that is looked at is the right one"
    assert SECRET.encode() not in written
    assert reference.encode() not in written
    assert reference.rpartition(":")[2].encode() not in written


@covers("OAUTH-PAR-04")
async def test_who_pushes_without_end_is_slowed_down(served: Served, flow: Flow) -> None:
    answers = [await flow.push() for _ in range(60)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert all(answer.header("retry-after") for answer in refused)
    assert (await Flow(web(served, "many")).push(scope="read")).status in (201, 400)


@covers("OAUTH-CORS-02")
async def test_a_page_that_is_a_client_may_push(served: Served) -> None:
    answer = await served.send("OPTIONS", "/par", headers=[("origin", "https://spa.example")])
    assert answer.status == 204
    assert answer.header("access-control-allow-origin") == "https://spa.example"
