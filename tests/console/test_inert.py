"""Text of others: shown, never executed, never in disguise (SEC-UI-01 to -04, -07, -08)."""

import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.parties.client import ClientId
from abeyance.pending.votes import Verdict
from abeyance.server.pages.inert import describe_letters, plain, show
from tests.browsing import Windows, shoot
from tests.console.house import PAYMENT, Tab, request_path
from tests.covers import covers
from tests.served import Served

MARKUP = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "<!--",
    "{{7*7}}",
    "<%=7*7%>",
    "<style>@import url(//canary.example)</style>",
    "javascript:alert(1)",
    "</script>",
    "__proto__",
]


def seen(text: str) -> str:
    """`<202E>` stands for the visible escape of that character."""
    return re.sub(r"<([0-9A-F]+)>", "\u2039U+\\1\u203a", text)


DISGUISED = {
    "Acme\u202eknaB": "Acme<202E>knaB",
    "a\u2066b\u2069": "a<2066>b<2069>",
    "a\u200bb\u2060\ufeff": "a<200B>b<2060><FEFF>",
    "tag\U000e0041": "tag<E0041>",
    "fill\u115f\u3164": "fill<115F><3164>",
    "soft\u00adhyphen": "soft<00AD>hyphen",
    "no\u00a0break": "no<00A0>break",
    "line\u2028": "line<2028>",
    "vs\ufe0f": "vs<FE0F>",
}


def text_of(markup: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", markup))


@covers("SEC-UI-07")
@pytest.mark.parametrize(("text", "shown"), DISGUISED.items())
def test_what_cannot_be_seen_is_shown_by_its_number(text: str, shown: str) -> None:
    assert text_of(show(text)).startswith(seen(shown))
    assert show(text).startswith('<bdi class="said">')
    assert plain(text) == seen(shown)


@covers("SEC-UI-07")
def test_marks_do_not_pile_up_and_line_breaks_do_not_push_down() -> None:
    assert "\u0301" * 4 not in show("a" + "\u0301" * 500)
    assert text_of(show("a" + "\u0301" * 500)).count("U+0301 \u00d7497") == 1
    assert "\n" not in show("\n" * 60 + "the real content")


@covers("SEC-UI-08")
@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("Acme Billing", None),
        ("Café Łódź Việt", None),
        ("\u0440\u0430ypal.com", "mixed letters: Cyrillic, Latin"),
        ("\u0262oogle", "mixed letters: Latin, look-alike"),
        ("\uff21\uff43me", "mixed letters: Latin, look-alike"),
        ("\U0001d400cme", "mixed letters: Latin, look-alike"),
        ("\u0430\u0440\u0440\u04cf\u0435", "Cyrillic letters"),
        ("\u6771\u4eac\u306e\u30d3\u30eb", "Han and Hiragana and Katakana letters"),
    ],
)
def test_letters_from_elsewhere_are_named(text: str, note: str | None) -> None:
    assert describe_letters(text) == note
    assert (note or "") in show(text)


@given(st.text(max_size=60))
def test_nothing_becomes_markup_and_nothing_is_lost(text: str) -> None:
    inside = show(text).removeprefix('<bdi class="said">').partition("</bdi>")[0]
    pieces = re.split(
        r'<span class="unseen">\u2039U\+([0-9A-F]+)(?: \u00d7(\d+))?\u203a</span>', inside
    )
    read = unescape(pieces[0])
    for number, times, plain_text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        read += chr(int(number, 16)) * int(times or 1) + unescape(plain_text)
    assert read == text
    assert not set("<>\"'") & set("".join(pieces[0::3]))


async def plant(served: Served, text: str, **details: Any) -> str:
    """A request with this text wherever a client or an administrator can put it."""
    store = served.house.store
    client = await store.find_client(ClientId("s1"))
    assert client is not None
    await store.put_client(replace(client, name=text))
    for person in await store.list_people():
        if person.id == "omar":
            await store.put_person(replace(person, name=text))
    return await served.s1.defer(
        authorization_details=[PAYMENT | {"creditor": text[:70], "reason": text} | details]
    )


@covers("SEC-UI-01", "SEC-UI-02", "SEC-UI-04", "OAUTH-SESS-05")
@pytest.mark.parametrize("text", MARKUP)
async def test_markup_is_text_on_every_page(rita: Tab, text: str) -> None:
    code = await plant(rita.served, text)
    path = await request_path(rita.served, code)
    pages = [await rita.get("/console/"), await rita.get(path)]
    form = pages[1].form("/less")
    fields = {"item.detail:0": "yes", "lifetime": "900"}
    pages.append(await rita.submit(form, "less", **fields))
    wrong = pages[1].form("/vote", "deny")
    pages.append(await rita.submit(wrong, "deny", reason=text * 300))
    await rita.served.vote(code, Verdict.DENY, by="omar", reason=text, shareable=True)
    pages.append(await rita.get(path))
    for page in pages:
        if "<" in text and text != "</script>":  # which our own pages say, too
            assert text not in page.html
        assert text in page.text or len(page.text) > 100_000
        assert not [
            link for link in page.links if not link.startswith(("/console/", "/account/", "#"))
        ]
    assert "49" not in pages[0].text.replace("2026", "")


@covers("SEC-UI-01", "SEC-UI-02", "SEC-UI-03", "SEC-UI-07", "SEC-UI-08", "SEC-UI-09")
async def test_a_browser_runs_loads_and_turns_round_nothing(windows: Windows) -> None:
    path = ""
    for text in [*MARKUP, *DISGUISED, "a" + "\u0301" * 500, "\u0440\u0430ypal.com", "x" * 900]:
        code = await plant(windows.served, text)
        path = await request_path(windows.served, code)
    evil = "Acme\u202eknaB \u0440\u0430ypal<img src=//canary.example>" + "\u0301" * 60
    path = await request_path(windows.served, await plant(windows.served, evil))
    for size in ("desktop", "phone"):
        page = await windows.sign_in(size=size)
        await shoot(page, f"hostile-inbox-{size}")
        await page.goto(windows.issuer + path)
        await page.get_by_text("The same as data").click()
        await shoot(page, f"hostile-request-{size}")
        wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide == 0
        # Nothing of a client's name reaches beyond its own lines.
        assert await page.evaluate("""() => [...document.querySelectorAll("dd, .quote")]
            .every((each) => each.scrollHeight <= each.clientHeight + 8)""")
        assert await page.evaluate("document.querySelector('h1').clientHeight") < 180
