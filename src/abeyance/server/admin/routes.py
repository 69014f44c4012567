"""What the admin API answers: one line for each resource."""

from typing import Final

from abeyance.server.admin import clients, people, registration_tokens, requests, signals
from abeyance.server.admin.route import AdminRoute

ROUTES: Final[tuple[AdminRoute, ...]] = (
    *clients.ROUTES,
    *registration_tokens.ROUTES,
    *people.ROUTES,
    *requests.ROUTES,
    *signals.ROUTES,
)
