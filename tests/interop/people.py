"""A server with people, and a browser over real HTTP: it signs in, agrees, approves."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx2

from abeyance.cli.demo.pages import Form, Page
from abeyance.server.launch import address_of, reserve, running_server
from abeyance.server.settings import Listen, load_settings
from tests.config import SECRET
from tests.console.house import HASH, PASSWORD

_REQUEST: Final = re.compile(r'href="([^"]*/requests/[^"/]+)"')


@contextmanager
def running(folder: Path, config: str) -> Iterator[str]:
    """A server with this configuration; its issuer."""
    (folder / "s1.secret").write_text(SECRET)
    with reserve(Listen("127.0.0.1", 0)) as listener:
        address = address_of(listener)
        text = config.replace("{issuer}", f"http://{address}").replace("127.0.0.1:8400", address)
        text = text.replace("{data}", str(folder)).replace("{password}", HASH)
        file = folder / "abeyance.toml"
        file.write_text(text.replace("{extra}", "").replace("{approval}", "24h"))
        with running_server(load_settings(file, environ={}), listener=listener):
            yield f"http://{address}"


@contextmanager
def closing_after(seconds: float, script: subprocess.Popen[str]) -> Iterator[None]:
    """Kill the script when the block ends, or after that long, so that nobody waits for it."""
    timer = threading.Timer(seconds, script.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        script.kill()


class Browser:
    """Keeps cookies; goes where pages lead, as long as that is at the server."""

    def __init__(self, issuer: str, person: str) -> None:
        self._issuer = issuer
        self._person = person
        headers = {"Sec-Fetch-Site": "same-origin", "Origin": issuer}
        self._http = httpx2.Client(headers=headers, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def agree(self, url: str) -> str:
        """Follow a client's URL, sign in and agree if asked; where the browser ends up."""
        here, page = self._go(url)
        if (form := page.find("/sign-in")) is not None:
            here, page = self._post(here, form, name=self._person, password=PASSWORD)
        if (form := page.find("/authorize/consent")) is not None:
            here, page = self._post(here, form, decision="agree")
        return here

    def connect(self, url: str) -> str:
        """Open what a device shows, sign in, confirm the code and agree; what the page says."""
        here, page = self._go(url)
        if (form := page.find("/sign-in")) is not None:
            here, page = self._post(here, form, name=self._person, password=PASSWORD)
        for ending, said in (("/device", {}), ("", {"decision": "agree"})):
            form = page.find(ending or urlsplit(here).path)
            assert form is not None, page.title
            here, page = self._post(here, form, **said)
        return page.title

    def approve(self) -> None:
        """Sign in to the console and approve what waits first."""
        here, page = self._go(f"{self._issuer}/console/")
        if (form := page.find("/sign-in")) is not None:
            here, page = self._post(here, form, name=self._person, password=PASSWORD)
        inbox = self._http.get(f"{self._issuer}/console/")
        here, page = self._go(urljoin(self._issuer, _REQUEST.findall(inbox.text)[0]))
        here, page = self._post(here, page.form("approve"))
        assert page.title

    def _go(self, url: str) -> tuple[str, Page]:
        return self._arrive(self._http.get(url))

    def _post(self, url: str, form: Form, **fields: str) -> tuple[str, Page]:
        target = urljoin(url, form.action)
        return self._arrive(self._http.post(target, data={**form.fields, **fields}))

    def _arrive(self, response: httpx2.Response) -> tuple[str, Page]:
        while response.is_redirect:
            target = urljoin(str(response.url), response.headers["location"])
            if not target.startswith(self._issuer + "/"):
                return target, Page()
            response = self._http.get(target)
        response.raise_for_status()
        page = Page()
        page.feed(response.text)
        return str(response.url), page
