"""The demo: the main job, end to end, with real HTTP on both ends, as the wheel brings it."""

import io
import os
import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Final, Self

import httpx2
import pytest

from abeyance.cli.demo.narrator import Narrator
from abeyance.cli.demo.pages import Form, Page
from abeyance.cli.demo.stage import open_stage
from abeyance.cli.demo.stories import transfer
from abeyance.cli.demo.telling import HASTE, Told
from abeyance.cli.demo.you import You
from abeyance.cli.token import draw_qr
from tests.covers import covers

ROOT = Path(__file__).parents[2]
# What each story tells, in this order: both ends of it.
STORIES: Final = (
    (
        "Story 1. A bank transfer",
        "[uma] it could then: Pay 4800.00 EUR to Harbour Boats",
        "[uma] agrees",
        "grant_type=authorization_code",
        "authorization_pending",
        "[rita] opens the console and reads: Bank app on Uma's phone asks for Uma Underwood",
        "[rita] approves",
        "decided: the token",
        "[app] granted  4800.00 EUR",
    ),
    (
        "Story 2. An identity",
        "interaction_required",
        "interaction_uri",
        "[uma] is led to the vendor",
        "still not",
        "authorization_pending",
        "[rita] vouched for by the vendor: Document: passport",
        "[rita] asks for something first",
        "interaction_required",
        "[uma] whoever decides adds: Your passport says",
        "still not",
        "authorization_pending",
        "[rita] said about it: I use both",
        "[rita] approves",
        "decided: the token",
        "[client] granted  identity:verified",
    ),
    (
        "Story 3. An agent",
        "a token, bound to the client's key",
        "kill -9",
        "[agent] granted  480.00 EUR",
        "[rita] approves less: without salaries",
        "[agent] granted  ['invoices', 'suppliers']",
        "[rita] in the client's words, which prove nothing: SYSTEM",
        "access_denied",
        "withdrawn (DTR 8.2)",
        "access_denied",
    ),
    (
        "Story 4. An agent that crosses",
        'consent = "ask"',
        "[uma] agrees",
        "token-type:id-jag",
        "a word for one other server",
        "assertion=eyJ0…(masked)",
        "interaction_required",
        "[uma] says so: http://localhost:",
        "[uma] wants to: Read the statements of your accounts",
        "decided: the token",
        "[assistant] granted  statements:read",
    ),
    (
        "Story 5. A television",
        "a code for the device, and one for its person",
        "[tv] shows: open http://127.0.0.1:",
        "[uma] reads: ",
        "and agrees",
        "device_code=",
        "a token, bound to the client's key",
        "[tv] shows: this is the account of uma now. Not yours? Choose Leave.",
        "revoked (RFC 7009 2.2)",
        "[tv] has left",
        "The end",
    ),
)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the built wheel would install: templates, scripts and all."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder / "site")
    return folder / "site"


@covers(
    "SEC-OPS-06",
    "T-020",
    "T-236",
    "DTR-INV-02",
    "EXT-IDJAG-01",
    "DEV-SEC-01",
    "DEV-QR-03",
    "DEV-QR-01",
)
def test_the_stories_go_as_told_by_both_ends(unpacked: Path, tmp_path: Path) -> None:
    told = subprocess.run(  # our own command
        [sys.executable, "-m", "abeyance", "demo"],
        cwd=tmp_path,
        env={**os.environ, "AUTO": "1", "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "All went as told" in " ".join(told.stdout.split())
    assert "127.0.0.1" in told.stdout
    assert told.stderr == ""
    for story in STORIES:
        position = 0
        for part in story:
            position = told.stdout.find(part, position)
            assert position >= 0, part
    # The television draws its code itself: this address, and nothing else.
    [address] = re.findall(r'"(http://[^"]*/device\?user_code=[^"]*)"', told.stdout)
    drawn = draw_qr(address)
    assert drawn is not None
    assert "\n".join(f"    {line}" for line in drawn.splitlines()) in told.stdout
    for secret in (
        "code=",
        "code_verifier=",
        "deferral_code=",
        "interaction_uri=",
        "token=",
        "assertion=",
        "device_code=",
    ):
        for line in told.stdout.splitlines():
            assert not line.strip().startswith(secret) or line.endswith("(masked)"), line


@covers("SEC-OPS-06")
def test_a_person_is_led_through_a_story_by_links_that_open_once(tmp_path: Path) -> None:
    out = io.StringIO()
    with open_stage(tmp_path) as stage, OneBrowser(stage.issuer) as browser:
        narrator = Narrator(out)
        you = You(stage, narrator, browser.open)
        told = Told(stage, narrator, you, you, HASTE)
        transfer.tell(told)
        browser.wait()
        assert told.surprises == [], out.getvalue()
        assert browser.seen == [
            "Let Bank app on Uma's phone act for you?",
            "Waiting for you",
        ]
        assert "[you] as Uma: read what the client wants, and agree" in out.getvalue()
        assert "[you] as Rita: read it in the console" in out.getvalue()
        with httpx2.Client(follow_redirects=True, trust_env=False) as stranger:
            for link in browser.links:
                assert "sign-in" in str(stranger.get(link).url)


class OneBrowser:
    """Opens links as a desktop does: at once, beside; agrees and approves what they show."""

    def __init__(self, issuer: str) -> None:
        self.links: list[str] = []
        self.seen: list[str] = []
        self._issuer = issuer
        self._threads: list[threading.Thread] = []
        self._http = httpx2.Client(
            headers={"Origin": issuer, "Sec-Fetch-Site": "same-origin"},
            follow_redirects=True,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def open(self, link: str) -> None:
        self.links.append(link)
        self._threads.append(threading.Thread(target=self._act, args=(link,)))
        self._threads[-1].start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    def _act(self, link: str) -> None:
        response = self._http.get(link)
        page = read(response)
        self.seen.append(page.title)
        consent = page.find("/authorize/consent")
        if consent is not None:
            self._post(consent, {"decision": "agree"})
            return
        [found] = re.findall(r'href="([^"]*/requests/[^"/]+)"', response.text)
        self._post(read(self._http.get(f"{self._issuer}{found}")).form("approve"), {})

    def _post(self, form: Form, more: dict[str, str]) -> None:
        self._http.post(f"{self._issuer}{form.action}", data={**form.fields, **more})


def read(response: httpx2.Response) -> Page:
    page = Page()
    page.feed(response.text)
    return page
