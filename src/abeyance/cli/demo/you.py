"""You: whoever reads the demo is Uma and Rita in turn, in a browser of their own."""

import webbrowser
from collections.abc import Callable

from abeyance.cli.demo.door import CONSOLE
from abeyance.cli.demo.narrator import Narrator
from abeyance.cli.demo.stage import CUSTOMER, REVIEWER, Stage


class You:
    """Both people. Told what the story would like, and free to do otherwise.

    One browser knows one person at a time, so each change of person is a new link.
    """

    def __init__(
        self, stage: Stage, narrator: Narrator, show: Callable[[str], object] = webbrowser.open
    ) -> None:
        self._stage = stage
        self._narrator = narrator
        self._show = show
        self._is_rita = False

    def open(self, url: str) -> None:
        self._be_uma(url, "read what the client wants, and agree")

    def do_step(self, uri: str) -> None:
        self._be_uma(uri, "do what the page asks")

    def connect(self, uri: str, code: str) -> None:
        self._be_uma(uri, f"see that the code is the television's, {code}, and agree")

    def approve(self) -> None:
        self._be_rita("read it in the console, and approve it as asked")

    def approve_less(self, without: str) -> None:
        self._be_rita(f'open it in the console, choose "Approve less", and leave out {without}')

    def ask(self, title: str, note: str) -> None:
        self._be_rita(
            f'open it in the console, choose "Ask for something first": "{title}", and add "{note}"'
        )

    def deny(self, reason: str) -> None:
        self._be_rita(f'deny it in the console, write "{reason}", and share that with the client')

    def _be_uma(self, url: str, wish: str) -> None:
        self._lead(CUSTOMER, url, f"as Uma: {wish}")
        self._is_rita = False

    def _be_rita(self, wish: str) -> None:
        if self._is_rita:
            self._narrator.by("you", f"as Rita: {wish}")
            return
        self._lead(REVIEWER, f"{self._stage.issuer}{CONSOLE}", f"as Rita: {wish}")
        self._is_rita = True

    def _lead(self, person: str, url: str, wish: str) -> None:
        link = self._stage.link(person, url).reveal()
        self._narrator.by("you", wish)
        self._narrator.by("you", f"open {link}  (signs you in, once)")
        self._show(link)
