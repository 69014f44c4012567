"""What ends a request with a page instead of what was wanted.

The words are the same for whatever must not be told apart: an unknown request and
another reviewer's, a used link and a guessed one.
"""

from dataclasses import dataclass
from typing import Final

from abeyance.server.pages import words
from abeyance.server.pages.destinations import Destination


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
    """The request ends at the sign-in page; `to` names where to go on then.

    `instead`: a page for somebody to whom signing in would not help.
    """

    def __init__(self, to: Destination | None = None, *, instead: ErrorPage | None = None) -> None:
        super().__init__("nobody is signed in")
        self.to = to
        self.instead = instead


NOT_FOUND: Final = ErrorPage(
    404,
    "There is nothing here",
    "This address leads nowhere, or not for you: what it named may have been used up, "
    "may have been closed, or may wait for somebody else.",
)
DISPOSED_OF: Final = ErrorPage(
    410,
    "What was asked here has been disposed of",
    "It is over, and was kept for as long as this server keeps such things. The audit says "
    "how it ended, for as long as that is kept.",
)
FOREIGN: Final = ErrorPage(
    403,
    "This did not come from our own page",
    "For your safety this server accepts forms only from its own pages, and only while "
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
    413, "That was too much", "The form is larger than this server accepts. Nothing was recorded."
)
NO_FORM: Final = ErrorPage(
    415, "That was not a form", "This server accepts plain web forms only. Nothing was recorded."
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
HOST_AWAY: Final = ErrorPage(
    503,
    "Nobody can say who you are at the moment",
    "The application that signs you in does not answer. Nothing is lost: try again in a few "
    "seconds.",
    headers=(("Retry-After", "5"),),
)
ENDED: Final = ErrorPage(
    403,
    "You were signed out here",
    "Somebody ended your session on this server. To go on, sign out of the application that "
    "brought you here, and in again.",
)
NOT_LET_IN: Final = ErrorPage(
    403,
    "You are not let in here",
    "Somebody has disabled your account on this server. Whoever runs it can enable it again.",
)
UNFIT: Final = ErrorPage(
    403,
    "Your account does not work here",
    "The application that signs you in names you in a way that this server cannot keep. It was "
    "logged for the people who run it.",
)
FAULT: Final = ErrorPage(
    500,
    "Something went wrong on our side",
    "It was logged for the people who run this server. If you were deciding, open the request "
    "again: it shows whether your decision was recorded.",
)
CHANGED: Final = ErrorPage(
    409,
    "Somebody else changed this just now",
    "Nothing was recorded. Open the page again: it shows what stands now.",
)
NOT_YOURSELF: Final = ErrorPage(
    409,
    "You cannot disable yourself",
    "Somebody else with the role administrator must. Nothing was changed.",
)
NO_CLIENT: Final = ErrorPage(
    400,
    "This application is not known here",
    "The link that brought you here names an application that this server does not know, or that "
    "it no longer lets in. Nothing was granted. Tell whoever runs the application.",
)
NO_WAY_BACK: Final = ErrorPage(
    400,
    "The application has not said where to go next",
    "The link that brought you here leads back to an address that is not registered for the "
    "application. So that nobody else gets what is meant for it, you are not sent there. Nothing "
    "was granted.",
)
NO_REQUEST: Final = ErrorPage(
    400,
    "The request of the application cannot be used",
    "The link that brought you here stands for a request that was answered already, took too long "
    "to arrive, or is not one of the application's. Nothing was granted. Start again from the "
    "application.",
)
NO_AUTHORIZATION: Final = ErrorPage(
    400,
    "The link could not be read",
    "A part of it is missing, was there twice, or is not what an application sends. Nothing was "
    "granted. Start again from the application.",
)
OVER: Final = ErrorPage(
    410,
    "This has been answered, or took too long",
    "An application asks once and is answered once. Nothing more was granted. If you still want "
    "to go on, start again from the application.",
)
NOT_SHOWN: Final = ErrorPage(
    409,
    "What you saw is not what stands now",
    "What the application asks for, or who is signed in, changed while the page was open. Nothing "
    "was granted. Start again from the application.",
)
OVER_DEVICE: Final = ErrorPage(
    410,
    "This has been answered, or took too long",
    "A device asks once, and whoever confirmed its code answers within five minutes, in the same "
    "browser. Nothing more was granted. If you still want to connect the device, ask it for a new "
    "code.",
)
NOT_SHOWN_DEVICE: Final = ErrorPage(
    409,
    "What you saw is not what stands now",
    "What the device asks for changed while the page was open. Nothing was granted. Open the page "
    "again: it shows what stands now.",
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
