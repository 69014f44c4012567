"""The other end: a person in a browser, or a script that uses the same pages."""

import re
import webbrowser
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Final, Protocol
from urllib.parse import urljoin

import httpx2

from abeyance.cli.demo.narrator import Narrator
from abeyance.cli.demo.stage import Stage

_REQUEST: Final = re.compile(r'href="([^"]*/requests/[^"/]+)"')


class Reviewer(Protocol):
    """Told what the story would like; a person may do otherwise."""

    def approve(self) -> None: ...
    def approve_less(self, without: str) -> None: ...
    def deny(self, reason: str) -> None: ...


class Person:
    """You. The console's address is printed; the story waits for your decision."""

    def __init__(self, stage: Stage, narrator: Narrator) -> None:
        self._narrator = narrator
        narrator.by("you", f"open {stage.door.reveal()}  (signs you in as Rita, once)")
        webbrowser.open(stage.door.reveal())

    def approve(self) -> None:
        self._narrator.by("you", "read it in the console, and approve it as asked")

    def approve_less(self, without: str) -> None:
        self._narrator.by("you", f'open it, choose "approve less", and leave out {without}')

    def deny(self, reason: str) -> None:
        self._narrator.by("you", f'deny it, write "{reason}", and share that with the client')


class Script:
    """Rita as a script: it reads the pages and sends their forms, as a browser without script."""

    def __init__(self, stage: Stage, narrator: Narrator) -> None:
        self._narrator = narrator
        self._console = f"{stage.issuer}/console/"
        self._http = httpx2.Client(
            follow_redirects=True, headers={"Origin": stage.issuer, "Sec-Fetch-Site": "same-origin"}
        )
        self._http.get(stage.door.reveal()).raise_for_status()

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

    def deny(self, reason: str) -> None:
        url, page = self._newest()
        why = {"preset": "own-words", "reason": reason, "share": "yes"}
        self._send(url, page.form("deny"), why)
        self._narrator.by("rita", f"denies it, and shares why: {reason}")

    def _newest(self) -> tuple[str, "Page"]:
        inbox = self._http.get(self._console)
        inbox.raise_for_status()
        found = _REQUEST.findall(inbox.text)
        url, page = self._page(self._http.get(urljoin(self._console, found[0])))
        self._narrator.by("rita", f"opens the console and reads: {page.title}")
        return url, page

    def _page(self, response: httpx2.Response) -> tuple[str, "Page"]:
        response.raise_for_status()
        page = Page()
        page.feed(response.text)
        return str(response.url), page

    def _send(self, url: str, form: "Form", more: Mapping[str, str]) -> httpx2.Response:
        response = self._http.post(urljoin(url, form.action), data={**form.fields, **more})
        response.raise_for_status()
        return response


class Form:
    """One form of a page: where it goes, what it sends by itself, and its boxes."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.fields: dict[str, str] = {}
        self.boxes: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.radios: dict[str, list[str]] = {}
        self.buttons: dict[str, str] = {}


class Page(HTMLParser):
    """The forms of a page of the console."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self._in_title = False
        self._forms: list[Form] = []
        self._box: str | None = None

    def form(self, vote: str) -> Form:
        """The form with this button; its value is sent with it."""
        for form in self._forms:
            if form.buttons.get("vote") == vote or form.fields.get("vote") == vote:
                form.fields["vote"] = vote
                return form
        raise LookupError(f"the page has no form to {vote}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._in_title = tag == "h1" or (self._in_title and tag in ("bdi", "span"))
        if tag == "form":
            self._forms.append(Form(given.get("action", "")))
        if not self._forms or "name" not in given:
            return
        form, name, value = self._forms[-1], given["name"], given.get("value", "")
        if tag == "button":
            form.buttons[name] = value
        elif tag == "input" and given.get("type") == "hidden":
            form.fields[name] = value
        elif tag == "input" and given.get("type") == "radio":
            form.radios.setdefault(name, []).append(value)
        elif tag == "input" and given.get("type") == "checkbox":
            form.boxes[name] = value or "on"
            form.labels[name] = ""
            self._box = name

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title = " ".join(f"{self.title} {data}".split())
        if self._box is not None and data.strip():
            self._forms[-1].labels[self._box] = " ".join(data.split())
            self._box = None
