"""Every safeguard that is switched off, one at a time, to see that its absence is seen."""

import asyncio
import random
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

from abeyance.acts import ask, callback, cancel, collect, decide, defer, repeat
from abeyance.acts.decide import Counted
from abeyance.acts.issue import issue
from abeyance.pending.change import AuditEvent
from abeyance.pending.message import Done
from abeyance.pending.request import Held
from abeyance.pending.states import Approved, Denied, Event, Pending, Redeemed
from abeyance.pending.votes import Grant, Refuse
from abeyance.store.ports import StoreAway
from abeyance.store.sql import changes, changes_moving, outbox, repetitions
from abeyance.store.sqlite.drive import AtOnce, drive
from abeyance.wire.errors import InvalidGrant, OAuthError
from faults.mutants import Mutant, Patch
from faults.simulation.decider import Away
from faults.simulation.disk import Disk, SimulatedStore

_ENDS: Final = "DROP TRIGGER request_stays_ended"
_NOTHING: Final = "SELECT :home, :n LIMIT 0"

# --- how something is switched off


def _set(owner: Any, name: str, value: Any) -> Patch:
    return lambda stack: stack.enter_context(patch.object(owner, name, value))


def _wrap(owner: Any, name: str, around: Callable[[Any], Any]) -> Patch:
    """Patch it with `around` of what stands there."""
    return _set(owner, name, around(getattr(owner, name)))


def _bare(*events: Event) -> Patch:
    """The statements of these events lose every condition but where they write."""

    def apply(stack: ExitStack) -> None:
        for event in events:
            text = changes_moving.ADVANCE[event]
            head, rest = text[: text.index("AND (:version")], text[text.index("RETURNING") :]
            stack.enter_context(patch.dict(changes_moving.ADVANCE, {event: head + rest}))

    return apply


async def _not_done(*_: Any, **__: Any) -> None:
    """Instead of what should be done."""


# --- what is put there instead


def _unseen(state: type) -> Patch:
    """Whoever looks takes this state for waiting."""

    def around(state_at: Any) -> Any:
        def blind(self: Held, now: Any) -> Any:
            found = state_at(self, now)
            return Pending() if isinstance(found, state) else found

        return blind

    return _wrap(Held, "state_at", around)


def _no_audit(add: Any) -> Any:
    async def without(db: Any, home: Any, row: Any) -> None:
        if not isinstance(row, AuditEvent):
            await add(db, home, row)

    return without


def _due_at_once(row: Any) -> Any:
    def due(house: Any, client: Any, opened: Any, token: Any) -> Any:
        made = row(house, client, opened, token)
        return tuple(replace(each, due_at=house.clock.now(), on_end=False) for each in made)

    return due


def _claims_for_good(claim: Any) -> Any:
    async def forgetting(db: Any, *, now: Any, lease: Any, limit: int) -> Any:
        claimed = await claim(db, now=now, lease=lease, limit=limit)
        for each in claimed:
            where = {"home": each.key.home, "n": each.key.n}
            await db.rows("DELETE FROM outbox WHERE home = :home AND n = :n", where)
        return claimed

    return forgetting


def _mints_what_was_asked(mint: Any) -> Any:
    def wide(house: Any, loaded: Any, approved: Any, *rest: Any, **more: Any) -> Any:
        whole = Approved(loaded.snapshot.asked, approved.until)
        return mint(house, loaded, whole, *rest, **more)

    return wide


def _grants_what_was_asked(granted: Any) -> Any:
    return lambda loaded, vote, house: granted(loaded, replace(vote, choice=None), house)


async def _in_peace(work: Any) -> None:
    with suppress(StoreAway):
        await work


def _counts_before_commit(apply: Any) -> Any:
    writing: set[asyncio.Future[Any]] = set()

    async def counted(house: Any, seen: Any, *rest: Any) -> Any:
        late = asyncio.ensure_future(_in_peace(apply(house, seen, *rest)))
        writing.add(late)
        late.add_done_callback(writing.discard)
        return Counted(seen.loaded.held.state)

    return counted


def _answers_without_winning(redeem: Any) -> Any:
    async def hasty(house: Any, approved: Any, client: Any, key: Any) -> Any:
        loaded = await house.store.find_loaded(approved.key)
        spare = collect.mint(house, loaded, approved.state, client, key)
        answer = await redeem(house, approved, client, key)
        return answer if isinstance(answer, dict) else spare.answer

    return hasty


def _answers_though_away(redeem: Any) -> Any:
    async def hasty(house: Any, approved: Any, client: Any, key: Any) -> Any:
        loaded = await house.store.find_loaded(approved.key)
        spare = collect.mint(house, loaded, approved.state, client, key)
        try:
            return await redeem(house, approved, client, key)
        except StoreAway:
            return spare.answer

    return hasty


def _ends_early(state_at: Any) -> Any:
    def early(self: Held, now: Any) -> Any:
        return state_at(self, now + (self.expires_at - self.opened_at) * 0.9)

    return early


def _denials_are_weak(weigh: Any) -> Any:
    def grants(plan: Any, ballots: Any, types: Any) -> Any:
        given = list(ballots)
        decision = weigh(plan, given, types)
        return Grant(_ASKED[-1]) if isinstance(decision, Refuse) else decision

    return grants


_ASKED: Final[list[Any]] = []


def _notes_what_was_asked(apply: Any) -> Any:
    async def noting(house: Any, seen: Any, *rest: Any) -> Any:
        _ASKED.append(seen.loaded.snapshot.asked)
        return await apply(house, seen, *rest)

    return noting


def _remembers_for_ever(find: Any) -> Any:
    known: dict[bytes, Any] = {}

    async def stale(self: Any, handle: Any) -> Any:
        found = known.get(handle.digest) or await find(self, handle)
        known[handle.digest] = found
        return found

    return stale


def _forgets_at_times(transact: Any) -> Any:
    dice = random.Random(1)

    def sometimes(self: Disk, write: Any) -> Any:
        if dice.random() > 0.05:
            return transact(self, write)
        self.connection.execute("BEGIN IMMEDIATE; SAVEPOINT change")
        try:
            return drive(write(AtOnce(self.connection)))
        finally:
            self.connection.execute("ROLLBACK")

    return sometimes


def _issues_after(fault: type[Exception]) -> Callable[[Any], Any]:
    def around(answer: Any) -> Any:
        async def issues(house: Any, asked: Any) -> Any:
            try:
                return await answer(house, asked)
            except fault:
                return await issue(house, asked, "at once")

        return issues

    return around


def _recovers_nothing(again: Any) -> Any:
    async def refuses(house: Any, asked: Any, earlier: Any) -> Any:
        if isinstance(earlier.loaded.held.state, Redeemed):
            raise InvalidGrant("The request has been answered already")
        return await again(house, asked, earlier)

    return refuses


def _recovers_anything(again: Any) -> Any:
    async def recovers(house: Any, asked: Any, earlier: Any) -> Any:
        held = earlier.loaded.held
        if isinstance(held.state, Denied):
            made = replace(held, state=Approved(earlier.loaded.snapshot.asked, held.expires_at))
            wrong = replace(earlier.loaded, held=made)
            return collect.mint(house, wrong, made.state, asked.client, asked.key).answer
        return await again(house, asked, earlier)

    return recovers


def _only_what_waits(cancellable: Any) -> Any:
    def only(held: Held, house: Any) -> bool:
        return isinstance(held.state, Pending) and cancellable(held, house)

    return only


def _never_decides(outcome: Any) -> Any:
    def never(decision: Any, now: Any) -> Any:
        event, to = outcome(decision, now)
        return (event, None) if isinstance(to, Denied) else (event, to)

    return never


def _never_over(_: Any) -> Any:
    return lambda self, now: self.state


def _no_clock(event: Event) -> Patch:
    """The statement of this event does not look at the clock."""
    text = changes_moving.ADVANCE[event]
    without = text.replace("AND expires_at > :alive_at", "")
    return lambda stack: stack.enter_context(patch.dict(changes_moving.ADVANCE, {event: without}))


def _news_in_any_state(_: Any) -> Any:
    return lambda held, now: True


def _one_is_enough(weigh: Any) -> Any:
    return lambda plan, ballots, types: weigh(replace(plan, approvals=1), ballots, types)


def _takes_the_last(weigh: Any) -> Any:
    def last(plan: Any, ballots: Any, types: Any) -> Any:
        given = list(ballots)
        decision = weigh(plan, given, types)
        return Grant(given[-1].granted) if isinstance(decision, Grant) else decision

    return last


MUTANTS: Final = (
    Mutant("a redemption's conditions (state, version, clock)", (_bare(Event.REDEEM),), _ENDS),
    Mutant(
        "a cancellation's conditions",
        (_bare(Event.CANCEL), _set(cancel, "_cancellable", lambda *_: True)),
        _ENDS,
    ),
    Mutant(
        "a decision's conditions",
        (_bare(Event.APPROVE, Event.DENY), _set(decide, "_obstacle", lambda *_: None)),
        _ENDS,
    ),
    Mutant(
        "whoever loses the row gets no token",
        (_wrap(collect, "_redeem", _answers_without_winning),),
    ),
    Mutant("no token while the store is away", (_wrap(collect, "_redeem", _answers_though_away),)),
    Mutant(
        "expiry, at the poll and at the redemption",
        (_wrap(Held, "state_at", _never_over), _no_clock(Event.REDEEM)),
    ),
    Mutant(
        "the end of a request is where it was promised", (_wrap(Held, "state_at", _ends_early),)
    ),
    Mutant("recovery revokes the earlier set", (_set(repetitions, "REVOKE_ALL", _NOTHING),)),
    Mutant("who cannot be asked has not said yes", (_wrap(ask, "_answer", _issues_after(Away)),)),
    Mutant("a decision maker's no", (_wrap(ask, "_answer", _issues_after(OAuthError)),)),
    Mutant("a success is told again", (_wrap(ask, "answer_again", _recovers_nothing),)),
    Mutant("recovery is for successes alone", (_wrap(ask, "answer_again", _recovers_anything),)),
    Mutant("every change has its audit row", (_wrap(changes, "_add", _no_audit),)),
    Mutant("a callback that fails is tried again", (_set(callback, "retry", lambda *_: Done()),)),
    Mutant("a message that is claimed is only leased", (_wrap(outbox, "claim", _claims_for_good),)),
    Mutant("a message falls due with the end", (_set(outbox, "fall_due", _not_done),)),
    Mutant(
        "nobody is called before the end",
        (
            _wrap(defer, "callback_row", _due_at_once),
            _wrap(callback, "_is_news", _news_in_any_state),
        ),
    ),
    Mutant(
        "whoever has collected or cancelled is not called",
        (
            _set(outbox, "SUPPRESS", _NOTHING),
            _wrap(callback, "_is_news", _news_in_any_state),
        ),
    ),
    Mutant("a reviewer's narrowing", (_wrap(decide, "_granted", _grants_what_was_asked),)),
    Mutant("a token has what was granted", (_wrap(collect, "mint", _mints_what_was_asked),)),
    Mutant(
        "a recovered token has what was granted", (_wrap(repeat, "mint", _mints_what_was_asked),)
    ),
    Mutant("a vote counts when it is committed", (_wrap(decide, "_apply", _counts_before_commit),)),
    Mutant("a commit is kept", (_wrap(Disk, "transact", _forgets_at_times),)),
    Mutant("a cancellation is written before its answer", (_set(cancel, "_cancel", _not_done),)),
    Mutant("an approval can be cancelled", (_wrap(cancel, "_cancellable", _only_what_waits),)),
    Mutant("a poll sees a denial", (_unseen(Denied),)),
    Mutant("a poll sees that its code was spent", (_unseen(Redeemed),)),
    Mutant("a denial that was counted is applied", (_wrap(decide, "_outcome", _never_decides),)),
    Mutant(
        "a denial is no approval",
        (
            _wrap(decide, "weigh", _denials_are_weak),
            _wrap(decide, "_apply", _notes_what_was_asked),
        ),
    ),
    Mutant("what it takes two to approve takes two", (_wrap(decide, "weigh", _one_is_enough),)),
    Mutant("two votes grant what both allow", (_wrap(decide, "weigh", _takes_the_last),)),
    Mutant(
        "what a host remembers follows the commits",
        (_wrap(SimulatedStore, "find_held", _remembers_for_ever),),
    ),
)
