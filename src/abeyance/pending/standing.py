"""Approval memory: an approval that answers later requests of the same kind (EXT-QUEUE-06)."""

from dataclasses import dataclass
from datetime import datetime

from abeyance.access.access import Access
from abeyance.access.details import DetailsTypes
from abeyance.parties.client import ClientId
from abeyance.pending.exchanged import Exchanged, Source, audience
from abeyance.pending.request import Binding, Key
from abeyance.wire.strict_json import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingApproval:
    """What the approval of request `key` allows again and again `until` then.

    `approver` is whose vote decided; `rule` the one that deferred the request; `actor` who
    acts for the subject, as in a snapshot; `way`: of `way_of`.
    """

    key: Key
    client: ClientId
    subject: str
    binding: Binding
    rule: str
    way: JsonObject
    actor: JsonObject | None = None
    granted: Access
    approver: str
    approved_at: datetime
    until: datetime
    ended_at: datetime | None = None

    @property
    def source(self) -> Source:
        """What is issued by it is derived from it, and ends when it is taken back."""
        return Source(self.key.home, b"standing\0" + self.key.n.to_bytes(4, "big"))

    def answers(
        self,
        asked: Access,
        binding: Binding,
        rule: str,
        way: JsonObject,
        actor: JsonObject | None,
        types: DetailsTypes,
        now: datetime,
    ) -> bool:
        """Does it allow all of this, to the same key and actors, in the same way and under the
        same rule, for at least a second?
        """
        return (
            self.ended_at is None
            and (self.until - now).total_seconds() >= 1
            and self.binding == binding
            and self.rule == rule
            and self.way == way
            and self.actor == actor
            and asked.scope <= self.granted.scope
            and asked.resources <= self.granted.resources
            and types.is_standing(asked.details)
            and types.covered(asked.details, self.granted.details)
        )


def way_of(grant_type: str, asserted_by: str | None, exchanged: Exchanged | None) -> JsonObject:
    """How a request comes, as whoever approves it is shown: by which grant, on whose word, for
    which other server, and whether the client would pose as the subject.
    """
    return {
        "grant_type": grant_type,
        "asserted_by": asserted_by,
        "audience": audience(exchanged),
        "impersonates": exchanged is not None and exchanged.impersonates,
    }
