"""What ends a request with a page instead of what was wanted.

The words are the same for whatever must not be told apart: an unknown request and
another reviewer's, a used link and a guessed one.
"""

from dataclasses import dataclass
from typing import Final

from abeyance.server.console import words


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """`text` is ours and holds nothing that was sent."""

    status: int
    heading: str
    text: str
    headers: tuple[tuple[str, str], ...] = ()
    forget_cookie: bool = False


class Refused(Exception):
    """The request ends here, with this page."""

    def __init__(self, page: ErrorPage) -> None:
        super().__init__(page.heading)
        self.page = page


class SignInFirst(Exception):
    """The request ends at the sign-in page; `request` names where to go on then."""

    def __init__(self, request: str | None = None) -> None:
        super().__init__("nobody is signed in")
        self.request = request


NOT_FOUND: Final = ErrorPage(
    404,
    "There is nothing here",
    "This address leads nowhere, or not for you: what it named may have been used up, "
    "may have been closed, or may wait for somebody else.",
)
FOREIGN: Final = ErrorPage(
    403,
    "This did not come from our own page",
    "For your safety the console accepts forms only from its own pages, and only while "
    "they are fresh. Nothing was recorded. Open the page again and repeat what you wanted.",
)
TWO_COOKIES: Final = ErrorPage(
    400,
    "Your browser sent two sign-in cookies",
    "Only one can be ours, so neither was believed. Both were asked to leave: sign in again. "
    "If this comes back, somebody else on this host sets cookies.",
    forget_cookie=True,
)
TOO_LARGE: Final = ErrorPage(
    413, "That was too much", "The form is larger than the console accepts. Nothing was recorded."
)
NO_FORM: Final = ErrorPage(
    415, "That was not a form", "The console accepts plain web forms only. Nothing was recorded."
)
MALFORMED: Final = ErrorPage(
    400,
    "The form could not be read",
    "A field was there twice, was unknown, or held characters that no form of ours sends. "
    "Nothing was recorded.",
)
BAD_CURSOR: Final = ErrorPage(
    400, "This page of the list does not exist", "Begin again with the first page."
)
AWAY: Final = ErrorPage(
    503,
    "The server cannot answer at the moment",
    "Nothing is lost: what was recorded stays recorded. Try again in a few seconds.",
    headers=(("Retry-After", "5"),),
)
FAULT: Final = ErrorPage(
    500,
    "Something went wrong on our side",
    "It was logged for the people who run this server. If you were deciding, open the request "
    "again: it shows whether your decision was recorded.",
)


def wrong_method(allow: str) -> ErrorPage:
    return ErrorPage(
        405,
        "This address does not work that way",
        "Nothing was recorded: opening a link never decides anything here.",
        headers=(("Allow", allow),),
    )


def too_often(seconds: int) -> ErrorPage:
    return ErrorPage(
        429,
        "Too many attempts",
        f"Try again in {words.number(seconds, 'second')}. The delay grows with each failure, "
        "but nobody is ever locked out for good.",
        headers=(("Retry-After", str(seconds)),),
    )
