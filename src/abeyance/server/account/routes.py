"""What the pages of one's own affairs answer."""

from typing import Final

from abeyance.server.account import applications, requests, sessions
from abeyance.server.pages.route import PageRoute

ROUTES: Final[tuple[PageRoute, ...]] = (
    PageRoute(path="/account", get=requests.enter),
    PageRoute(path="/account/", get=requests.show),
    PageRoute(path="/account/requests/{id}/withdraw", post=requests.take_back),
    PageRoute(path="/account/applications", get=applications.show),
    PageRoute(path="/account/applications/withdraw", post=applications.take_back),
    PageRoute(path="/account/sessions", get=sessions.show),
    PageRoute(path="/account/sessions/end", post=sessions.end),
    PageRoute(path="/account/sessions/password", post=sessions.change_password),
)
