"""What the console answers."""

from typing import Final

from abeyance.server.console import approvals, clients, history, inbox, people, requests
from abeyance.server.pages.route import PageRoute

ROUTES: Final = (
    PageRoute(path="/console", get=inbox.enter),
    PageRoute(path="/console/", get=inbox.show),
    PageRoute(path="/console/live", get=inbox.wait),
    PageRoute(path="/console/approvals", get=approvals.show),
    PageRoute(path="/console/approvals/{id}/end", post=approvals.end),
    PageRoute(path="/console/history", get=history.show),
    PageRoute(path="/console/requests/{id}", get=requests.show),
    PageRoute(path="/console/requests/{id}/live", get=requests.wait),
    PageRoute(path="/console/requests/{id}/less", post=requests.preview),
    PageRoute(path="/console/requests/{id}/vote", post=requests.vote),
    PageRoute(path="/console/requests/{id}/ask", post=requests.ask),
    PageRoute(path="/console/requests/{id}/end", post=requests.end),
    PageRoute(path="/console/clients", get=clients.show),
    PageRoute(path="/console/clients/{id}/switch", post=clients.switch),
    PageRoute(path="/console/people", get=people.show),
    PageRoute(path="/console/people/{id}/switch", post=people.switch),
    PageRoute(path="/console/people/{id}/sign-out", post=people.end_sessions),
    PageRoute(path="/console/people/{id}/invite", post=people.invite),
)
