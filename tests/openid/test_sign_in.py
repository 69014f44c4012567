"""What a client may demand of a sign-in, and what it is told where that cannot be."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from abeyance.keys.rotating import lay_down
from tests.console.house import PASSWORD, PageSeen
from tests.covers import covers
from tests.openid.house import client, header_of, id_claims, keys_of, open_provider
from tests.pages.hosts import COOKIE, Host, told
from tests.people.house import ISSUER, Flow, back_at_client, public, web
from tests.served import Served


async def again(flow: Flow, page: PageSeen, person: str = "uma") -> PageSeen:
    """Sign in on this page as `person`."""
    form = page.form("/sign-in")
    fields = form.fields | {"name": person, "password": PASSWORD}
    return await flow.onward(await flow.tab.post(form.action, fields))


async def seen(flow: Flow, **changes: str | None) -> PageSeen:
    """Where the browser gets to without anybody typing."""

    return await flow.follow("/authorize?" + urlencode(flow.parameters(**changes)))


def is_sign_in(page: PageSeen) -> bool:
    return page.answer.status == 200 and page.path.startswith("/sign-in")


@covers("OAUTH-OIDC-04")
@pytest.mark.parametrize(
    "prompt", ["none login", "login none", "none consent", "create", "login  logout", "None"]
)
async def test_a_prompt_that_means_nothing_is_refused(flow: Flow, prompt: str) -> None:
    back = back_at_client(await seen(flow, scope="openid", prompt=prompt))
    assert (back["error"], back["state"]) == ("invalid_request", "xyz")
    assert back["iss"] == ISSUER


@covers("OAUTH-OIDC-05")
async def test_none_is_answered_without_a_page_whatever_is_lacking(
    served: Served, flow: Flow
) -> None:
    nobody = await seen(flow, scope="openid", prompt="none")
    assert back_at_client(nobody)["error"] == "login_required"
    await flow.code(scope="openid")
    known = await flow.come_back(scope="openid", prompt="none")
    assert "code" in known
    more = back_at_client(await seen(flow, scope="openid email", prompt="none"))
    assert more["error"] == "consent_required"
    served.clock.move(100)
    old = back_at_client(await seen(flow, scope="openid", prompt="none", max_age="50"))
    assert old["error"] == "login_required"


@covers("OAUTH-OIDC-05", "OAUTH-CLI-06")
async def test_none_tells_that_a_page_is_needed_where_anybody_could_be_the_client(
    served: Served,
) -> None:
    flow = Flow(public(served, "pocket"))
    await flow.code(scope="openid")
    back = back_at_client(await seen(flow, scope="openid", prompt="none"))
    assert back["error"] == "interaction_required"


@covers("OAUTH-OIDC-06", "OAUTH-OIDC-07", "OAUTH-AUTHZ-07")
@pytest.mark.parametrize("demand", [{"prompt": "login"}, {"max_age": "0"}, {"max_age": "60"}])
async def test_whoever_must_sign_in_again_does_and_it_shows(
    served: Served, flow: Flow, demand: dict[str, str]
) -> None:
    before = await id_claims(served, await flow.token(scope="openid"))
    served.clock.move(100)
    page = await seen(flow, scope="openid", **demand)
    assert is_sign_in(page)
    assert "sign in once more" in page.text
    # Nothing but signing in leads on.
    identifier = page.form("/sign-in").fields["to"].removeprefix("authorization:")
    assert is_sign_in(await flow.follow(f"/authorize/consent?tx={identifier}"))
    served.clock.move(30)
    back = back_at_client(await again(flow, page))
    after = await id_claims(served, await flow.redeem(back["code"]))
    assert after["auth_time"] == int(served.clock.now().timestamp())
    assert after["auth_time"] == before["auth_time"] + 130


@covers("OAUTH-OIDC-07")
async def test_a_sign_in_that_is_young_enough_is_enough(served: Served, flow: Flow) -> None:
    first = await id_claims(served, await flow.token(scope="openid"))
    served.clock.move(60)
    page = await seen(flow, scope="openid", max_age="60")
    second = await id_claims(served, await flow.redeem(back_at_client(page)["code"]))
    assert second["auth_time"] == first["auth_time"]


@covers("OAUTH-OIDC-07")
@pytest.mark.parametrize("max_age", ["-1", "1.5", "soon", "", " 5", "9" * 10, "٣"])
async def test_a_max_age_that_is_no_number_of_seconds_is_refused(flow: Flow, max_age: str) -> None:
    back = back_at_client(await seen(flow, scope="openid", max_age=max_age or "x"))
    assert back["error"] == "invalid_request"


@covers("OAUTH-OIDC-07")
async def test_a_client_has_its_own_usual_max_age(tmp_path: Path) -> None:

    more = client("rs", 'id_token_signed_response_alg = "ES256"\ndefault_max_age = 60')
    async with open_provider(tmp_path, more=more) as served:
        flow = Flow(web(served, "rs"))
        await flow.code(scope="openid")
        served.clock.move(61)
        assert is_sign_in(await seen(flow, scope="openid"))
        assert "code" in back_at_client(await seen(flow, scope="openid", max_age="100"))


@covers("OAUTH-OIDC-06")
async def test_somebody_else_who_signs_in_then_starts_anew(served: Served, flow: Flow) -> None:
    await flow.code(scope="openid")
    cookie = dict(flow.tab.cookies)
    served.clock.move(10)
    page = await again(flow, await seen(flow, scope="openid", prompt="login"), "vic")
    # What Uma agreed to is hers: Vic is asked, in a session of his own.
    assert "Vic Vance" in page.text
    answer = await flow.redeem((await flow.finish(page))["code"])
    assert (await id_claims(served, answer))["sub"] == "vic"
    assert flow.tab.cookies != cookie
    flow.tab.cookies = cookie
    assert is_sign_in(await flow.follow("/account/"))


@covers("OAUTH-OIDC-06", "DTR-RD-18")
@pytest.mark.parametrize("rule", ["forced", "any"])
async def test_signing_in_again_ends_a_session_like_signing_out(tmp_path: Path, rule: str) -> None:
    async with open_provider(tmp_path, extra=f'stale_session = "{rule}"') as served:
        flow = Flow(web(served, "rp"))
        deferral = await flow.deferred(scope="openid read")
        served.clock.move(10)
        await again(flow, await seen(flow, scope="openid", prompt="login"))
        answer = await flow.client.poll(deferral)
        assert answer.error == ("authorization_pending" if rule == "forced" else "access_denied")


@covers("OAUTH-OIDC-06", "OAUTH-SESS-09")
async def test_no_form_of_the_old_session_answers_for_the_new_one(
    served: Served, flow: Flow
) -> None:
    old = await flow.visit(scope="openid email")
    served.clock.move(10)
    await again(flow, await seen(flow, scope="openid", prompt="login"), "vic")
    answered = await flow.answer(old)
    assert answered.answer.status == 403
    assert answered.answer.header("location") is None


@covers("OAUTH-OIDC-05", "OAUTH-OIDC-06")
async def test_a_silent_request_never_becomes_one_with_pages(served: Served, flow: Flow) -> None:
    """Not by its identifier, in a browser where somebody has signed in meanwhile."""
    nobody = await seen(flow, scope="openid", prompt="none")
    identifier = nobody.path.partition("tx=")[2]
    await flow.visit(scope="openid email")
    page = await flow.follow(f"/authorize/consent?tx={identifier}")
    assert back_at_client(page)["error"] == "consent_required"
    forged = {"tx": identifier, "csrf": "x", "seen": "x", "decision": "agree"}
    assert (await flow.tab.post("/authorize/consent", forged)).answer.status == 403


@covers("OAUTH-OIDC-04", "OAUTH-OIDC-05")
async def test_consent_is_asked_again_and_an_account_is_chosen_by_signing_in(
    served: Served, flow: Flow
) -> None:
    await flow.code(scope="openid")
    served.clock.move(10)
    page = await seen(flow, scope="openid", prompt="consent")
    assert page.path.startswith("/authorize/consent")
    assert page.answer.status == 200
    page = await seen(flow, scope="openid", prompt="select_account consent")
    assert is_sign_in(page)
    page = await again(flow, page)
    assert page.path.startswith("/authorize/consent")
    assert "code" in await flow.finish(page)


@covers("OAUTH-OIDC-06", "OAUTH-SESS-09")
async def test_a_page_shown_in_time_is_no_way_around_signing_in_again(
    served: Served, flow: Flow
) -> None:
    page = await flow.visit(scope="openid", max_age="60")
    assert page.answer.status == 200
    served.clock.move(61)
    # The sign-in came after the request, so that it is enough however long the page stays.
    assert "code" in await flow.finish(page)
    page = await seen(flow, scope="openid email", max_age="70")
    served.clock.move(71)
    answer = await flow.answer(page)
    assert answer.answer.status == 409
    assert answer.answer.header("location") is None


@covers("OAUTH-OIDC-08")
async def test_a_hint_expects_one_person_however_old_it_is(served: Served, flow: Flow) -> None:
    hint = (await flow.token(scope="openid")).json["id_token"]
    served.clock.move(1000)  # it has expired
    same = await seen(flow, scope="openid", id_token_hint=hint, prompt="none")
    assert "code" in back_at_client(same)
    other = Flow(web(served, "rp"), person="vic")
    await other.code(scope="openid")
    served.clock.move(10)
    silent = await seen(other, scope="openid", id_token_hint=hint, prompt="none")
    assert back_at_client(silent)["error"] == "login_required"
    page = await seen(other, scope="openid", id_token_hint=hint)
    assert is_sign_in(page)
    served.clock.move(10)
    assert back_at_client(await again(other, page, "vic"))["error"] == "login_required"
    served.clock.move(10)
    page = await seen(other, scope="openid", id_token_hint=hint)
    served.clock.move(10)
    assert "code" in back_at_client(await again(other, page, "uma"))


@covers("OAUTH-OIDC-08", "OAUTH-OIDC-16")
async def test_a_hint_is_known_as_ours_when_its_key_is_published_no_more(
    served: Served, tmp_path: Path
) -> None:
    flow = Flow(web(served, "edwards"))
    hint = (await flow.token(scope="openid")).json["id_token"]
    now = served.clock.now()
    later = now + timedelta(minutes=1)
    lay_down(tmp_path / "keys", at=later, alg="EdDSA", now=now, id_tokens=True)
    served.clock.move(2 * 3600)
    assert header_of(hint)["kid"] not in {key.jkt for key in (await keys_of(served)).keys}
    assert is_sign_in(await seen(flow, scope="openid", id_token_hint=hint))


@covers("OAUTH-OIDC-08")
async def test_a_hint_that_is_not_ours_for_this_client_is_refused(
    served: Served, flow: Flow
) -> None:
    others = (await Flow(web(served, "edwards")).token(scope="openid")).json["id_token"]
    ours = (await flow.token(scope="openid")).json["id_token"]
    for hint in (others, ours[:-4] + "AAAA", ours.rsplit(".", 1)[0] + ".", "x", "a.b.c"):
        back = back_at_client(await seen(flow, scope="openid", id_token_hint=hint))
        assert back["error"] == "invalid_request"


@covers("OAUTH-OIDC-08", "OAUTH-OIDC-11")
async def test_a_login_hint_stands_in_the_form_and_nowhere_else(
    served: Served, flow: Flow, caplog: pytest.LogCaptureFixture
) -> None:
    page = await seen(
        flow, scope="openid", login_hint='<b>"uma.u', ui_locales="tlh", display="wap",
        claims_locales="tlh",
    )  # fmt: skip
    assert is_sign_in(page)
    body = page.answer.body.decode()
    assert 'value="&lt;b&gt;&#34;uma.u"' in body
    assert "<b>" not in body
    # With a full stop, so that nothing that is drawn by chance can have it.
    assert quote("uma.u") not in str(flow.tab.cookies)
    assert "uma.u" not in page.path
    assert "uma.u" not in caplog.text
    long = back_at_client(await seen(flow, scope="openid", login_hint="u" * 201))
    assert long["error"] == "invalid_request"


@covers("OAUTH-OIDC-11", "OAUTH-OIDC-02")
async def test_what_is_not_offered_is_refused_in_its_own_words(flow: Flow) -> None:
    for changes, error in (
        ({"registration": "{}"}, "registration_not_supported"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"nonce": "n" * 513}, "invalid_request"),
    ):
        back = back_at_client(await seen(flow, **{"scope": "openid", **changes}))
        assert back["error"] == error
    assert "code" in await flow.come_back(scope="openid", claims="{}", nonce="n" * 512)


@covers("OAUTH-PKCE-01", "OAUTH-PKCE-05", "OAUTH-CODE-03")
async def test_a_nonce_takes_the_place_of_pkce_only_for_who_may_leave_it_out(
    served: Served, flow: Flow
) -> None:
    without: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None}
    refused = back_at_client(await seen(flow, scope="openid", nonce="n", **without))
    assert refused["error"] == "invalid_request"
    old = Flow(web(served, "old"))
    for changes in ({"scope": "openid"}, {"scope": "now", "nonce": "n"}):
        back = back_at_client(await seen(old, **without, **changes))
        assert back["error"] == "invalid_request"
    half = {"code_challenge": None, "code_challenge_method": "S256"}
    back = back_at_client(await seen(old, scope="openid", nonce="n", **half))
    assert back["error"] == "invalid_request"
    code = await old.code(scope="openid", nonce="n", **without)
    assert (await old.redeem(code)).error == "invalid_request"
    for other in (None, "https://old.example/", "https://old.example/cb?x"):
        moved = await old.redeem(code, code_verifier=None, redirect_uri=other)
        assert moved.error == "invalid_grant", "all that holds such a code is where it was sent"
    answer = await old.redeem(code, code_verifier=None)
    assert (await id_claims(served, answer))["nonce"] == "n"
    protected = await old.code(scope="openid", nonce="n")
    assert (await old.redeem(protected, code_verifier=None)).error == "invalid_grant"


@covers("OAUTH-PKCE-01")
async def test_a_code_without_pkce_is_never_deferred(served: Served) -> None:
    old = Flow(web(served, "old"))
    without: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None}
    code = await old.code(scope="openid read", nonce="n", **without)
    answer = await old.redeem(code, defer=True, code_verifier=None)
    assert answer.error == "invalid_scope"
    assert "deferral_code" not in answer.json


@covers("OAUTH-PAR-03", "OAUTH-OIDC-04", "OAUTH-OIDC-08")
async def test_a_pushed_request_is_checked_when_it_is_pushed(served: Served, flow: Flow) -> None:
    for changes in ({"prompt": "none login"}, {"max_age": "x"}, {"id_token_hint": "x"}):
        answer = await flow.push(**{"scope": "openid", **changes})
        assert answer.error == "invalid_request"
    reference = await flow.pushed(scope="openid", nonce="pushed")
    answer = await flow.redeem((await flow.finish(await flow.open(reference)))["code"])
    assert (await id_claims(served, answer))["nonce"] == "pushed"


@covers("OAUTH-OIDC-18", "OAUTH-OIDC-05")
async def test_signing_out_here_ends_what_a_silent_request_finds(
    served: Served, flow: Flow
) -> None:
    await flow.code(scope="openid")
    out = (await flow.tab.get("/account/")).form("/sign-out")
    assert (await flow.tab.post(out.action, out.fields)).answer.status == 303
    back = back_at_client(await seen(flow, scope="openid", prompt="none"))
    assert back["error"] == "login_required"


# --- people of a host application


class Renewing(Host):
    def sign_in_again_url(self, return_to: str) -> str:
        return f"https://as.example/login?again=yes&return_to={quote(return_to, safe='')}"


@pytest.fixture(params=[Host, Renewing])
async def hosted(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Served, Host]]:
    people = request.param({"s1": told()})
    async with open_provider(tmp_path, people=people) as served:
        yield served, people


@covers("OAUTH-OIDC-06", "OAUTH-OIDC-05")
async def test_a_host_signs_people_in_again_or_the_client_is_told_that_it_does_not(
    hosted: tuple[Served, Host],
) -> None:
    served, people = hosted
    flow = Flow(web(served, "rp"))
    flow.tab.cookies[COOKIE] = "s1"
    answer = await flow.redeem(await flow.code(scope="openid"))
    assert "amr" not in await id_claims(served, answer)
    page = await seen(flow, scope="openid", prompt="login")
    location = page.answer.header("location") or ""
    if not isinstance(people, Renewing):
        assert back_at_client(page)["error"] == "login_required"
        return
    assert location.startswith("https://as.example/login?again=yes&return_to=")
    back = location.partition("return_to=")[2].replace("%3A", ":").replace("%2F", "/")
    path = back.replace("%3F", "?").replace("%3D", "=").replace("%26", "&").removeprefix(ISSUER)
    # Whoever comes back without having signed in again is not sent there for ever.
    assert back_at_client(await flow.follow(path))["error"] == "login_required"
    served.clock.move(10)
    people.sessions["s1"] = told(signed_in_at=served.clock.now(), session="two")
    code = back_at_client(await flow.follow(path))["code"]
    claims = await id_claims(served, await flow.redeem(code))
    assert claims["auth_time"] == int(served.clock.now().timestamp())


@covers("OAUTH-OIDC-05")
async def test_a_host_that_cannot_let_an_account_be_chosen_says_so(tmp_path: Path) -> None:
    async with open_provider(tmp_path, people=Host({"s1": told()})) as served:
        flow = Flow(web(served, "rp"))
        flow.tab.cookies[COOKIE] = "s1"
        page = await seen(flow, scope="openid", prompt="select_account")
        assert back_at_client(page)["error"] == "account_selection_required"
