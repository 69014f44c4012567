"""Questions with defaults for what a test does not care about."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from abeyance.access.access import Access
from abeyance.access.details import Detail
from abeyance.parties.client import Client, ClientId
from abeyance.policy.decider import Question
from abeyance.wire import names
from abeyance.wire.strict_json import Json

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # a Wednesday


def question(
    *,
    client: str = "agent",
    owner: str | None = "olga",
    scope: Iterable[str] = (),
    resources: Iterable[str] = ("https://bank.example",),
    details: Iterable[Detail] = (),
    bound: bool = False,
    at: datetime = NOON,
) -> Question:
    """Ask for `client`; what it may have is what it asks."""
    asked = Access(
        scope=frozenset(scope),
        resources=frozenset(resources),
        details=tuple(details),
        lifetime=timedelta(hours=1),
    )
    return Question(
        client=Client(
            id=ClientId(client),
            name=client.title(),
            auth_method=names.CLIENT_SECRET_BASIC,
            scope=asked.scope,
            resources=asked.resources,
            owner=owner,
        ),
        grant_type=names.GRANT_CLIENT_CREDENTIALS,
        subject=client,
        asked=asked,
        bound=bound,
        at=at,
    )


def payment(amount: str, currency: str = "EUR", **more: Json) -> Detail:
    return {"type": "payment", "amount": {"amount": amount, "currency": currency}, **more}
