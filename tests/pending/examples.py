"""A request that waits, with defaults for what does not matter."""

from datetime import UTC, datetime, timedelta
from typing import Final

from abeyance.access.access import Access
from abeyance.parties.client import ClientId
from abeyance.pending.handles import HandleHash, HandleKind, Home, mint_handle
from abeyance.pending.request import Binding, Held, Key, Snapshot
from abeyance.pending.states import Approved, Pending, State
from abeyance.pending.votes import Ballot, ReviewPlan, Verdict
from abeyance.proofs.dpop import ProvenKey
from tests.access.examples import access

NOW: Final = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
INTERVAL: Final = timedelta(seconds=5)
LIFE: Final = timedelta(minutes=10)

HOME: Final = Home(bytes(range(16)))
SECRET: Final = bytes(range(32))
CODE, HANDLE = mint_handle(HandleKind.DEFERRAL_CODE, HOME, SECRET)
BATCH: Final = ClientId("batch")

KEY: Final = ProvenKey("jkt-of-the-first-request")
OTHER_KEY: Final = ProvenKey("jkt-of-somebody-else")


def held(
    state: State | None = None,
    *,
    bound: bool = False,
    client: ClientId = BATCH,
    handle: HandleHash = HANDLE,
    interval: timedelta = INTERVAL,
    version: int = 1,
) -> Held:
    """A request opened at `NOW`; pending unless told otherwise."""
    return Held(
        key=Key(HOME, 1),
        version=version,
        state=Pending() if state is None else state,
        client=client,
        binding=binding(bound=bound),
        handle=handle,
        opened_at=NOW,
        decide_by=NOW + LIFE - timedelta(minutes=1),
        expires_at=NOW + LIFE,
        interval=interval,
    )


def snapshot(
    asked: Access | None = None,
    *,
    bound: bool = False,
    plan: ReviewPlan | None = None,
    client_name: str = "Night batch",
    subject: str = "client:batch",
) -> Snapshot:
    return Snapshot(
        client=BATCH,
        client_name=client_name,
        client_owner="olga",
        grant_type="client_credentials",
        subject=subject,
        asked=access("read write") if asked is None else asked,
        binding=binding(bound=bound),
        plan=review_plan("rita") if plan is None else plan,
        rule="large",
        policy_version="1",
    )


def binding(*, bound: bool) -> Binding:
    return Binding(KEY.jkt if bound else None)


def approved(granted: Access | None = None, until: datetime = NOW + 2 * LIFE) -> Approved:
    return Approved(access("read") if granted is None else granted, until)


def review_plan(*reviewers: str, approvals: int = 1, denials: int = 1) -> ReviewPlan:
    return ReviewPlan(frozenset(reviewers), approvals, denials)


def ballot(
    voter: str,
    granted: Access | None,
    *,
    reason: str | None = None,
    shareable: bool = False,
    version: int = 1,
    at: datetime = NOW,
) -> Ballot:
    """An approval of `granted`, or a denial if that is `None`."""
    return Ballot(
        voter=voter,
        verdict=Verdict.DENY if granted is None else Verdict.APPROVE,
        granted=granted,
        reason=reason,
        shareable=shareable,
        seen="sha-256:x",
        shown={},
        version=version,
        at=at,
        authenticated="password",
    )
