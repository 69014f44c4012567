"""What all pages share: their policy, their header fields, and how they are reached."""

from pathlib import Path

import pytest

from abeyance.server.pages import guard
from tests.console.house import Tab, open_house
from tests.covers import covers
from tests.served import Served


@covers("OAUTH-SESS-04", "SEC-UI-06")
@pytest.mark.parametrize(
    "source", ["https://web.example", "http://127.0.0.1:49152", "com.example.app:"]
)
def test_a_policy_may_name_one_place_more_that_a_form_leads_to(source: str) -> None:
    directives = guard.render_policy(leads_to=source).split("; ")
    assert f"form-action 'self' {source}" in directives
    rest = [each for each in directives if not each.startswith("form-action")]
    assert rest == [each for each in guard.POLICY.split("; ") if not each.startswith("form-action")]


@covers("OAUTH-SESS-04", "OAUTH-SESS-05", "SEC-UI-06")
@pytest.mark.parametrize(
    "source",
    [
        "",
        "*",
        "https:*",
        "'unsafe-inline'",
        "https://web.example; script-src *",
        "https://web.example, https://evil.example",
        "https://web.example https://evil.example",
        "https://web.example\r\nSet-Cookie: a=b",
        "https://web.example\n",
        "https://web.example/path",
        "https://*.example",
        "https://\u0435vil.example",
        "com.example.app:;",
        "com.example.app",
    ],
)
def test_a_policy_takes_nothing_but_an_origin_or_a_scheme(source: str) -> None:
    with pytest.raises(ValueError, match="neither an origin nor a scheme"):
        guard.render_policy(leads_to=source)


@covers("OAUTH-SESS-04")
@pytest.mark.parametrize(
    ("path", "opener"),
    [
        ("/sign-in", None),
        ("/authorize", None),
        ("/console/", "same-origin"),
        ("/welcome/x", "same-origin"),
        ("/interact/x", "same-origin"),
        ("/console/nowhere", "same-origin"),
    ],
)
async def test_only_pages_between_a_client_and_us_keep_their_opener(
    served: Served, path: str, opener: str | None
) -> None:
    answer = (await Tab(served).get(path, follow=False)).answer
    assert answer.header("cross-origin-opener-policy") == opener
    assert answer.header("x-frame-options") == "DENY"
    assert answer.header("cache-control") == "no-store"


@covers("OAUTH-HTTP-01", "T-206")
@pytest.mark.parametrize("path", ["/account", "/console", "/sign-in/tenant", "/tenant"])
async def test_an_issuer_may_have_any_path_even_one_that_reads_like_a_page(
    tmp_path: Path, path: str
) -> None:
    async with open_house(tmp_path, issuer=f"https://as.example{path}") as served:
        for place, root in ((f"{path}/sign-in", ""), ("/sign-in", ""), ("/sign-in", path)):
            answer = await served.send("GET", place, root_path=root)
            assert answer.status == 200, (place, root)
            assert f'action="{path}/sign-in"'.encode() in answer.body


@covers("OAUTH-HTTP-05")
@pytest.mark.parametrize("path", ["/", "/nowhere", "/sign-in.html", "/consoles", "//sign-in", "/%"])
async def test_what_is_no_page_is_answered_as_to_a_client(served: Served, path: str) -> None:
    answer = await served.get(path)
    assert (answer.status, answer.json) == (404, {"error": "not_found"})
