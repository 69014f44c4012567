"""Requests of any state in a list: what, whose, how it ended, by whom, how long it took."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from abeyance.acts.house import House
from abeyance.parties.person import PersonId
from abeyance.pending.disclosure import disclose
from abeyance.pending.request import Loaded
from abeyance.pending.votes import Verdict
from abeyance.server.console import standing
from abeyance.server.console.disclosed import Disclosed, read_object
from abeyance.server.console.story import ENDS_ALL, tell
from abeyance.server.pages.desk import render_request_id
from abeyance.store.ports import Ended, Page

PAGE: Final = 25

WORDS: Final = {
    Ended.WAITING: "Waiting",
    Ended.APPROVED: "Approved, not collected yet",
    Ended.REDEEMED: "Approved and collected",
    Ended.LAPSED: "Approved, lapsed unused",
    Ended.DENIED: "Denied",
    Ended.CANCELLED: "Withdrawn",
    Ended.EXPIRED: "Not decided in time",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One request. `decided_at` and `took` only where somebody decided or ended it;
    `deciders` are those who did.
    """

    id: str
    shown: Disclosed
    ended: Ended
    words: str
    deciders: tuple[str, ...]
    decided_at: datetime | None
    took: timedelta | None
    less: bool
    remark: str | None
    reviewers: tuple[str, ...]
    awaits_step: bool


async def list_page(house: House, page: Page) -> list[Listed]:
    """Read a page of requests as rows, each name looked up once."""
    names: dict[str, str] = {}
    return [await _row(house, loaded, names) for loaded in page.items]


async def _row(house: House, loaded: Loaded, names: dict[str, str]) -> Listed:
    held, snapshot, now = loaded.held, loaded.snapshot, house.clock.now()
    disclosure = disclose(
        held,
        snapshot,
        house.types,
        issuer=house.endpoints.issuer,
        scopes=house.scopes,
        interactions=loaded.interactions,
    )
    ended = standing.ended(held, now)
    decided = ended not in (Ended.WAITING, Ended.EXPIRED, Ended.CANCELLED) and loaded.ballots
    at = loaded.ballots[-1].at if decided else None
    deciders = [await _name(house, ballot.voter, names) for ballot in loaded.ballots]
    if not decided and ended in (Ended.CANCELLED, Ended.DENIED):
        # Nobody voted: withdrawn, or ended with what it rested on.
        ends = {"cancelled"} if ended is Ended.CANCELLED else ENDS_ALL | {"abandoned"}
        for line in await tell(house, loaded):
            if line.event in ends:
                at, deciders = line.at, [line.who]
                break
    denials = [each for each in loaded.ballots if each.verdict is Verdict.DENY]
    return Listed(
        id=render_request_id(held.key),
        shown=read_object(disclosure.object),
        ended=ended,
        words=WORDS[ended],
        deciders=tuple(deciders) if at is not None else (),
        decided_at=at,
        took=None if at is None else at - held.opened_at,
        less=standing.granted_by(loaded.ballots, snapshot.asked) is not None,
        remark=next((each.reason for each in denials if each.shareable), None),
        reviewers=tuple(
            [await _name(house, name, names) for name in sorted(snapshot.plan.reviewers)]
        ),
        awaits_step=standing.awaited(loaded, house.steps) is not None,
    )


async def _name(house: House, name: str, names: dict[str, str]) -> str:
    if name not in names:
        person = await house.store.find_person(PersonId(name))
        names[name] = name if person is None else person.name
    return names[name]
