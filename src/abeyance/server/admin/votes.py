"""Votes as the console shows them: who said what, when, how they had shown who they are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from abeyance.acts.house import House
from abeyance.parties.person import PersonId
from abeyance.pending.votes import Ballot
from abeyance.server.admin.route import Told


class VoteTold(Told, kw_only=True):
    """`granted` is what an approval allows, `None` for a denial. `by_way_of`: the console's
    sign-in, or the client through which the person decided.
    """

    person_id: str
    person_name: str
    verdict: str
    granted: dict[str, Any] | None
    reason: str | None
    shared: bool
    seen: str
    by_way_of: str
    at: datetime


async def tell_votes(house: House, ballots: Sequence[Ballot]) -> list[VoteTold]:
    """The votes in the order in which they came."""
    told = []
    for ballot in ballots:
        person = await house.store.find_person(PersonId(ballot.voter))
        told.append(
            VoteTold(
                person_id=ballot.voter,
                person_name=ballot.voter if person is None else person.name,
                verdict=ballot.verdict,
                granted=None if ballot.granted is None else dict(ballot.granted.to_json()),
                reason=ballot.reason,
                shared=ballot.shareable,
                seen=ballot.seen,
                by_way_of=ballot.authenticated,
                at=ballot.at,
            )
        )
    return told
