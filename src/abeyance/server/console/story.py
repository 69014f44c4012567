"""What happened to a request, line by line: when, what, who (from its audit)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from abeyance.acts.house import House
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.request import Key, Loaded

_WORDS: Final = {
    "opened": "asked, and was told to wait",
    "interaction_asked": "asked for a step first",
    "interaction_done": "took the step",
    "vote_approve": "voted yes",
    "vote_deny": "voted no",
    "approved": "approved",
    "denied": "denied",
    "cancelled": "withdrew the request",
    "stale": "what it rested on was gone, so it was closed",
    "rules_changed": "the rules had changed and would not allow it, so it was closed",
    "ended_by_administrator": "ended it",
    "restored": "went back to a copy; what was decided since is lost, and may have been collected",
    "ended_by_restoring": "went back to a copy, so it was closed",
    "interaction_lapsed": "nobody came in time, so the address was made anew",
    "abandoned": "nobody took the step in time, so it was closed",
    "redeemed": "collected the token",
    "recovered": "had lost the token and collected another; the first one was revoked",
    "deferral_code_reuse": "showed the used code again",
    "family_revoked": "gave the tokens back",
    "credential_reuse": "showed a used credential again, so all was ended",
}
# What ended everything of a grant stands beside its requests, under no number.
ENDS_ALL: Final = frozenset(
    {
        "stale",
        "ended_by_administrator",
        "ended_by_restoring",
        "family_revoked",
        "credential_reuse",
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    at: datetime
    who: str
    what: str
    event: str


async def tell(house: House, loaded: Loaded) -> list[Line]:
    """The story of one request, oldest first; the names of people as they are now."""
    key = loaded.held.key
    whole = [
        event
        for event in await house.store.find_events(Key(key.home, 0))
        if event.event in ENDS_ALL
    ]
    events = sorted([*await house.store.find_events(key), *whole], key=lambda event: event.at)
    names: dict[str, str] = {}
    lines = []
    for event in events:
        if event.actor not in names:
            names[event.actor] = await _name(house, event.actor, loaded)
        what = _WORDS.get(event.event, event.event.replace("_", " "))
        lines.append(Line(event.at, names[event.actor], what, event.event))
    return lines


async def _name(house: House, actor: str, loaded: Loaded) -> str:
    kind, _, name = actor.partition(":")
    if kind == "person":
        person = await house.store.find_person(PersonId(name))
        return name if person is None else person.name
    if kind == "client":
        if name == loaded.snapshot.client:
            return loaded.snapshot.client_name
        client = await house.store.find_client(ClientId(name))
        return name if client is None else client.name
    return "The operator" if kind == "operator" else "The server"
