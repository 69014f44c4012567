"""Whose form it is, and what a page may do (OAUTH-SESS-03, -04; SEC-UI-06, -13, -14, -29)."""

import re
from importlib import resources
from pathlib import Path

import pytest

from abeyance.store.ports import StoreAway
from tests.console.house import PASSWORD, Tab, open_house, request_path
from tests.covers import covers
from tests.served import Served

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
OURS = "https://as.example"
FOREIGN = [
    {},
    {"origin": "null"},
    {"origin": "https://evil.example"},
    {"origin": "https://as.example.evil.example"},
    {"origin": "http://as.example"},
    {"sec-fetch-site": "cross-site", "origin": OURS},
    {"sec-fetch-site": "same-site", "origin": OURS},
    {"sec-fetch-site": "none", "origin": OURS},
]


@covers("SEC-UI-13", "OAUTH-SESS-03")
@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_form_from_elsewhere_is_refused(rita: Tab, headers: dict[str, str]) -> None:
    code = await rita.served.s1.defer()
    page = await rita.get(await request_path(rita.served, code))
    for form, extra in (
        (page.form("/vote", "approve"), {"vote": "approve"}),
        (page.form("/vote", "deny"), {"vote": "deny", "preset": "not-now"}),
        (page.form("/less"), {"vote": "less"}),
        (page.form("/sign-out"), {}),
    ):
        answer = await rita.post(form.action, form.fields | extra, headers=headers)
        assert answer.status == 403
    stranger = Tab(rita.served)
    form = (await stranger.get("/sign-in")).form("/sign-in")
    fields = form.fields | {"name": "rita", "password": PASSWORD}
    assert (await stranger.post(form.action, fields, headers=headers)).status == 403
    assert (await rita.served.s1.poll(code)).error == "authorization_pending"
    assert (await rita.get("/console/")).path == "/console/"


@covers("OAUTH-SESS-03")
@pytest.mark.parametrize("headers", [{"origin": OURS}, {"sec-fetch-site": "same-origin"}])
async def test_our_own_form_is_taken(rita: Tab, headers: dict[str, str]) -> None:
    code = await rita.served.s1.defer()
    form = (await rita.get(await request_path(rita.served, code))).form("/vote", "approve")
    answer = await rita.post(form.action, form.fields | {"vote": "approve"}, headers=headers)
    assert answer.status == 303
    assert (await rita.served.s1.poll(code)).status == 200


@covers("SEC-UI-13", "SEC-UI-18", "OAUTH-SESS-03")
async def test_a_token_fits_one_session_and_one_request(rita: Tab) -> None:
    served = rita.served
    codes = [await served.s1.defer(), await served.s1.defer()]
    forms = [
        (await rita.get(await request_path(served, code))).form("/vote", "approve")
        for code in codes
    ]
    omar = Tab(served)
    await omar.sign_in("omar")
    omars = (await omar.get(await request_path(served, codes[0]))).form("/vote", "approve")
    out = (await rita.get("/console/")).form("/sign-out")
    tokens = ["", "x", "\u00e9", forms[1].fields["csrf"], omars.fields["csrf"], out.fields["csrf"]]
    for token in tokens:
        fields = forms[0].fields | {"vote": "approve", "csrf": token}
        assert (await rita.post(forms[0].action, fields)).status == 403
    without = {name: value for name, value in forms[0].fields.items() if name != "csrf"}
    assert (await rita.post(forms[0].action, without | {"vote": "approve"})).status == 403
    for code in codes:
        assert (await served.s1.poll(code)).error == "authorization_pending"


@covers("SEC-UI-13")
async def test_a_sign_in_form_fits_the_browser_that_asked_for_it(served: Served) -> None:
    form = (await Tab(served).get("/sign-in")).form("/sign-in")
    fields = form.fields | {"name": "rita", "password": PASSWORD}
    victim = Tab(served)
    await victim.get("/sign-in")
    assert (await victim.post(form.action, fields)).status == 403
    assert (await Tab(served).post(form.action, fields)).status == 403


@covers("SEC-UI-14", "SEC-UI-13", "OAUTH-SESS-03")
async def test_nothing_but_a_post_decides(rita: Tab) -> None:
    code = await rita.served.s1.defer()
    path = await request_path(rita.served, code)
    form = (await rita.get(path)).form("/vote", "approve")
    query = "&".join(f"{name}={value}" for name, value in form.fields.items())
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = await rita.get(f"{path}/vote?{query}&vote=approve&_method=POST", method=method)
        assert (answer.status, answer.answer.header("allow")) == (405, "POST")
    for method in ("GET", "HEAD"):
        assert (await rita.get(path, method=method)).status == 200
    override = form.fields | {"vote": "approve", "_method": "POST"}
    assert (await rita.post(path, override)).status == 405
    assert (await rita.served.s1.poll(code)).error == "authorization_pending"


@covers("OAUTH-SESS-04", "SEC-UI-06", "SEC-UI-12", "SEC-UI-29", "OAUTH-HTTP-10")
async def test_every_page_says_what_a_browser_may_do_with_it(rita: Tab) -> None:
    served = rita.served
    path = await request_path(served, await served.s1.defer())
    pages = {
        "/console/": 200,
        path: 200,
        "/console/live": 200,
        f"{path}/live": 200,
        "/console/nowhere": 404,
        f"{path}/vote": 405,
        "/console/?cursor=forged": 400,
        "/console": 303,
        "/console/requests/x": 404,
    }
    for place, status in pages.items():
        answer = (await rita.get(place, follow=False)).answer
        assert answer.status == status, place
        policy = answer.header("content-security-policy") or ""
        # The pages with news may ask for them, and nothing else.
        assert policy.replace("connect-src 'self'; ", "") == POLICY
        assert ("connect-src" in policy) == (place in ("/console/", path)), place
        assert answer.header("x-frame-options") == "DENY"
        assert answer.header("referrer-policy") == "no-referrer"
        assert answer.header("cache-control") == "no-store"
        assert answer.header("cross-origin-opener-policy") == "same-origin"
        assert answer.header("x-content-type-options") == "nosniff"
        assert (answer.header("strict-transport-security") or "").startswith("max-age=")
        names = [name for name, _ in answer.headers]
        assert len(names) == len(set(names))


@covers("SEC-UI-06", "OAUTH-SESS-05", "SEC-UI-04")
async def test_no_page_has_inline_script_or_style(rita: Tab) -> None:
    path = await request_path(rita.served, await rita.served.s1.defer())
    for place in ("/console/", path, "/console/nowhere"):
        html = (await rita.get(place)).html
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
        for script in re.findall(r"<script.*?</script>", html, re.DOTALL):
            assert re.fullmatch(r'<script type="module" src="[^"]+"></script>', script)


@covers("SEC-UI-04", "OAUTH-SESS-05", "SEC-UI-29")
def test_the_sources_have_no_back_door() -> None:
    areas = [area for area in resources.files("abeyance.server").iterdir() if area.is_dir()]
    files = [
        file
        for area in areas
        for name in ("static", "templates")
        if (area / name).is_dir()
        for file in (area / name).iterdir()
    ]
    # One script keeps one thing in the browser: that the keys are off.
    scripts = [
        file.read_text()
        .replace('localStorage.getItem(name) !== "off"', "")
        .replace('localStorage.setItem(name, on ? "on" : "off")', "")
        for file in files
        if file.name.endswith(".js")
    ]
    templates = [file for file in files if file.name.endswith(".html")]
    assert len(scripts) > 3
    assert len(templates) > 9
    for text in scripts:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(|"
            r"localStorage|sessionStorage|serviceWorker|pushState|https?:",
            text,
        )
    for file in templates:
        assert not re.search(r"\|\s*safe|autoescape|https?:", file.read_text()), file.name


async def test_static_files_are_named_by_their_content(rita: Tab) -> None:
    html = (await rita.get("/console/")).html
    places = re.findall(r'(?:href|src)="(/static/[^"]+)"', html)
    assert len(places) == 5
    for place in places:
        answer = (await rita.get(place)).answer
        assert answer.status == 200
        assert "immutable" in (answer.header("cache-control") or "")
        assert answer.header("x-content-type-options") == "nosniff"
    assert (await rita.get("/static/abeyance.css")).status == 404
    assert (await rita.get("/static/..%2fapp.py")).status == 404


@covers("SEC-DOS-19", "OAUTH-HTTP-06")
async def test_bad_forms_are_refused_with_a_page(rita: Tab) -> None:
    code = await rita.served.s1.defer()
    form = (await rita.get(await request_path(rita.served, code))).form("/vote", "deny")
    good = form.fields | {"vote": "deny", "reason": "no"}
    same = {"sec-fetch-site": "same-origin"}
    encoded = "&".join(f"{name}={value}" for name, value in good.items()).encode()
    for body, headers, status in (
        (b"x=" + b"a" * 70_000, {}, 413),
        (b"x", {"content-length": "1000000"}, 413),
        (encoded, {"content-type": "application/json"}, 415),
        (encoded, {"content-type": "multipart/form-data; boundary=x"}, 415),
        (encoded, {"content-type": ""}, 415),
        (encoded, {"content-encoding": "gzip"}, 415),
        (encoded + b"&vote=approve", {}, 400),
        (b"&".join(b"f%d=1" % number for number in range(3_000)), {}, 400),
        (encoded + b"&x=%ff", {}, 400),
        (encoded + b"&x=%00", {}, 400),
        (encoded + b"&unknown=1", {}, 400),
        (b"not a form", {}, 400),
    ):
        answer = await rita.post(form.action, body, headers=same | headers)
        assert answer.status == status, (body[:40], headers)
        assert answer.answer.header("content-type") == "text/html; charset=utf-8"
        assert "Traceback" not in answer.html
    assert (await rita.served.s1.poll(code)).error == "authorization_pending"


@covers("OAUTH-HTTP-01")
async def test_links_come_from_the_issuer_never_from_the_host(tmp_path: Path) -> None:
    async with open_house(tmp_path, issuer="https://as.example/tenant") as served:
        for place, root in (
            ("/tenant/sign-in", ""),
            ("/sign-in", ""),
            ("/sign-in", "/tenant"),
        ):
            answer = await served.send(
                "GET", place, headers=[("host", "evil.example")], root_path=root
            )
            html = answer.body.decode()
            assert answer.status == 200
            assert "evil.example" not in html
            assert 'action="/tenant/sign-in"' in html
        away = await served.send("GET", "/tenant/console", headers=[("host", "evil.example")])
        assert away.header("location") == "/tenant/console/"


async def test_a_fault_of_ours_tells_nothing(rita: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    with monkeypatch.context() as patch:
        patch.setattr(rita.served.house.store, "count_waiting", fail)
        answer = (await rita.get("/console/")).answer
    rita.served.answers.clear()
    assert answer.status == 500
    assert b"secret detail" not in answer.body
    assert (answer.header("content-security-policy") or "") == POLICY


async def test_a_store_that_is_away_is_a_page_with_a_time(
    rita: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise StoreAway

    with monkeypatch.context() as patch:
        patch.setattr(rita.served.house.store, "list_waiting", fail)
        answer = (await rita.get("/console/")).answer
    rita.served.answers.clear()
    assert (answer.status, answer.header("retry-after")) == (503, "5")
    assert b"Nothing is lost" in answer.body
