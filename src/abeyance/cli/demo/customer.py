"""Uma, a customer, and her browser: she signs in, reads, agrees, and does what is missing."""

import threading
from typing import Final, Protocol
from urllib.parse import urljoin, urlsplit

import httpx2

from abeyance.cli.demo.narrator import Narrator
from abeyance.cli.demo.pages import Form, Page
from abeyance.cli.demo.stage import CUSTOMER, Stage

_STATEMENT: Final = "I use both: Hale is my name from before I married."


class Customer(Protocol):
    """Told where her client sends her; a person may do otherwise."""

    def open(self, url: str) -> None:
        """What `webbrowser.open` does: returns at once, and the browser goes on beside."""
        ...

    def do_step(self, uri: str) -> None:
        """Go to the interaction URI and do what stands there."""
        ...

    def connect(self, uri: str, code: str) -> None:
        """Go where a device sends people, compare or type its code, and agree."""
        ...


class Script:
    """Uma as a script that uses the pages that people use, as a browser without script would."""

    def __init__(self, stage: Stage, narrator: Narrator) -> None:
        self._stage = stage
        self._narrator = narrator
        self._http = httpx2.Client(follow_redirects=True, timeout=30)

    def open(self, url: str) -> None:
        threading.Thread(target=self._agree, args=(url,), daemon=True).start()

    def do_step(self, uri: str) -> None:
        url, page = self._enter(uri)
        self._narrator.by("uma", f"opens the link from her client and reads: {page.title}")
        for section, words in page.quotes:
            if not section:
                self._narrator.by("uma", f"whoever decides adds: {words}")
        elsewhere = page.find("/start")
        if elsewhere is not None:
            url, page = self._post(url, elsewhere)
            self._narrator.by("uma", f"is led to the vendor, and reads there: {page.title}")
            url, page = self._post(url, _only(page, "/upload"))
            url, page = self._post(url, _only(page, "/finish"))
        elif "decision" in (form := _only(page, url.partition("/interact/")[2])).buttons:
            for label in ("On behalf of", "Says so", "Wants to"):
                for _, told, value in page.facts:
                    if told == label:
                        self._narrator.by("uma", f"{label.lower()}: {value}")
            url, page = self._post(url, form, decision="agree")
        else:
            texts = dict.fromkeys(form.texts, _STATEMENT)
            url, page = self._post(url, form, **texts, **form.boxes)
        self._narrator.by("uma", f"is told: {page.title}")

    def connect(self, uri: str, code: str) -> None:
        url, page = self._enter(uri)
        self._narrator.by("uma", f"reads: {page.title}")
        url, page = self._post(url, _only(page, "/device"), user_code=code)
        self._narrator.by("uma", f"reads: {page.title}, and agrees")
        _, page = self._post(url, _only(page, urlsplit(url).path), decision="agree")
        self._narrator.by("uma", f"is told: {page.title}")

    def _agree(self, url: str) -> None:
        here, page = self._enter(url)
        consent = page.find("/authorize/consent")
        if consent is not None:
            self._narrator.by("uma", f"reads: {page.title}")
            for section, item in page.items:
                if section == "h-what":
                    self._narrator.by("uma", f"it could then: {item}")
            self._narrator.by("uma", "agrees; her browser goes back to the client with a code")
            self._post(here, consent, decision="agree")

    def _enter(self, url: str) -> tuple[str, Page]:
        """Open a page, and sign in where it is asked for."""
        here, page = _read(self._http.get(url))
        sign_in = page.find("/sign-in")
        if sign_in is None:
            return here, page
        self._narrator.by("uma", "signs in")
        return self._post(here, sign_in, name=CUSTOMER, password=self._stage.password.reveal())

    def _post(self, url: str, form: Form, **fields: str) -> tuple[str, Page]:
        target = urljoin(url, form.action)
        headers = {"Origin": str(httpx2.URL(target).copy_with(raw_path=b"/")).rstrip("/")}
        return _read(self._http.post(target, data={**form.fields, **fields}, headers=headers))


def _only(page: Page, ending: str) -> Form:
    form = page.find(ending)
    if form is None:
        raise LookupError(f"the page {page.title!r} has no form for that")
    return form


def _read(response: httpx2.Response) -> tuple[str, Page]:
    response.raise_for_status()
    page = Page()
    page.feed(response.text)
    return str(response.url), page
