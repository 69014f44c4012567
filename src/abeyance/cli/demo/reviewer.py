"""Rita, who decides, and her browser: a script that uses the pages that people use."""

import re
from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import urljoin

import httpx2

from abeyance.cli.demo.door import CONSOLE
from abeyance.cli.demo.narrator import Narrator
from abeyance.cli.demo.pages import Form, Page
from abeyance.cli.demo.stage import REVIEWER, Stage

STATEMENT: Final = "statement"
_STEPS: Final = "h-steps"  # where the page tells what was done about a request
_CLAIMS: Final = "h-claims"  # and what the client says
_WHOSE: Final = {_STEPS: "said about it", _CLAIMS: "in the client's words, which prove nothing"}
_REQUEST: Final = re.compile(r'href="([^"]*/requests/[^"/]+)"')


class Reviewer(Protocol):
    """Told what the story would like; a person may do otherwise."""

    def approve(self) -> None: ...
    def approve_less(self, without: str) -> None: ...
    def ask(self, title: str, note: str) -> None: ...
    def deny(self, reason: str) -> None: ...


class Script:
    """Rita as a script: it reads the pages and sends their forms, as a browser without script."""

    def __init__(self, stage: Stage, narrator: Narrator) -> None:
        self._narrator = narrator
        self._console = f"{stage.issuer}{CONSOLE}"
        self._http = httpx2.Client(
            follow_redirects=True, headers={"Origin": stage.issuer, "Sec-Fetch-Site": "same-origin"}
        )
        self._http.get(stage.link(REVIEWER, self._console).reveal()).raise_for_status()

    def approve(self) -> None:
        url, page = self._newest()
        self._send(url, page.form("approve"), {})
        self._narrator.by("rita", "approves it as asked")

    def approve_less(self, without: str) -> None:
        url, page = self._newest()
        form = page.form("less")
        kept = {name: value for name, value in form.boxes.items() if form.labels[name] != without}
        kept |= {"lifetime": form.radios["lifetime"][-1]}
        preview_url, preview = self._page(self._send(url, form, kept))
        self._send(preview_url, preview.form("less"), {})
        self._narrator.by("rita", f"approves less: without {without}")

    def ask(self, title: str, note: str) -> None:
        url, page = self._newest()
        form = page.find("/ask")
        if form is None:
            raise LookupError("the page offers no step")
        step = next(value for value in form.radios["step"] if value == STATEMENT)
        self._send(url, form, {"step": step, "note": note})
        self._narrator.by("rita", f'asks for something first: "{title}": {note}')

    def deny(self, reason: str) -> None:
        url, page = self._newest()
        why = {"preset": "own-words", "reason": reason, "share": "yes"}
        self._send(url, page.form("deny"), why)
        self._narrator.by("rita", f"denies it, and shares why: {reason}")

    def _newest(self) -> tuple[str, Page]:
        inbox = self._http.get(self._console)
        inbox.raise_for_status()
        found = _REQUEST.findall(inbox.text)
        url, page = self._page(self._http.get(urljoin(self._console, found[0])))
        self._narrator.by("rita", f"opens the console and reads: {page.eyebrow}: {page.title}")
        for section, label, value in page.facts:
            if section == _STEPS:
                self._narrator.by("rita", f"vouched for by the vendor: {label}: {value}")
        for section, words in page.quotes:
            if section in (_STEPS, _CLAIMS):
                self._narrator.by("rita", f"{_WHOSE[section]}: {words}")
        return url, page

    def _page(self, response: httpx2.Response) -> tuple[str, Page]:
        response.raise_for_status()
        page = Page()
        page.feed(response.text)
        return str(response.url), page

    def _send(self, url: str, form: Form, more: Mapping[str, str]) -> httpx2.Response:
        response = self._http.post(urljoin(url, form.action), data={**form.fields, **more})
        response.raise_for_status()
        return response
