"""Words from outside about people, clients and sessions (EXT-STALE): see `acts.signal`."""

from typing import Final

from abeyance.acts.signal import ground_changed
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.server.admin import scopes
from abeyance.server.admin.problems import unfit
from abeyance.server.admin.prose import read_prose
from abeyance.server.admin.route import (
    AdminRequest,
    AdminRoute,
    Answer,
    Body,
    Office,
    Told,
    read_body,
)
from abeyance.server.pages.host import session_digest
from abeyance.store.ports import Ground, OfClient, OfConsent, OfPerson, OfSession

_MAX_NAME: Final = 200
_MAX_REASON: Final = 200
_ACTIONS: Final = ("close", "recheck")


class Signal(Body, kw_only=True):
    """Whose ground has changed: a person's, a client's, what the person lets the client do, or
    (`session`, the host application's name for it, with its `person_id`) a session's.

    `action`: `close` what rests on it, or `recheck`: ask the policy again and close what it
    would deny by now. `reason` is kept in the security log.
    """

    action: str
    person_id: str | None = None
    client_id: str | None = None
    session: str | None = None
    reason: str | None = None


class SignalTold(Told, kw_only=True):
    """`closed`: how many grants and requests have ended by it, with all that came of them."""

    closed: int


async def take(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    body: Signal = read_body(request, Signal)
    if body.action not in _ACTIONS:
        raise unfit(f"action is one of {', '.join(_ACTIONS)}", "action")
    closed = await ground_changed(
        office.house,
        _ground(body),
        end=body.action == "close",
        by=request.caller.actor,
        reason=read_prose(body.reason, "reason", at_most=_MAX_REASON),
    )
    return Answer(SignalTold(closed=closed))


def _ground(body: Signal) -> Ground:
    for name in ("person_id", "client_id", "session"):
        value = getattr(body, name)
        if value is not None and not (0 < len(value) <= _MAX_NAME and value.isprintable()):
            raise unfit(f"{name} is no name", name)
    match body:
        case Signal(person_id=str(person), session=str(session), client_id=None):
            return OfSession(session_digest(person, session))
        case Signal(person_id=str(person), client_id=str(client), session=None):
            return OfConsent(PersonId(person), ClientId(client))
        case Signal(person_id=str(person), session=None):
            return OfPerson(PersonId(person))
        case Signal(client_id=str(client), person_id=None, session=None):
            return OfClient(ClientId(client))
        case _:
            raise unfit("name a person, a client, both, or a person and a session", "person_id")


ROUTES: Final = (
    AdminRoute(
        method="POST", path="/signals", scope=scopes.REQUESTS, handle=take,
        summary="Tell that the ground of a person, a client or a session has changed",
        body=Signal, told=SignalTold,
    ),
)  # fmt: skip
