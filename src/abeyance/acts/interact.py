"""Interactions: a reviewer asks for a step, somebody takes it, the request goes on.

Opening an address decides nothing (DTR-IURI-02). Who may act is the person whom
the request is about, and whoever the policy names besides; anybody else learns
nothing but that there is nothing for them.

Source: EXT-INTERACT-03 to -08, -14; DTR-IURI-01 to -03, DTR-ERR-03.
"""

from dataclasses import dataclass
from typing import Final

from abeyance.acts.decide import NotCounted, Obstacle, review
from abeyance.acts.house import House
from abeyance.parties.person import Person
from abeyance.pending.change import (
    Advance,
    Applied,
    AuditEvent,
    Change,
    NoteArrival,
    RecordInteraction,
    Superseded,
)
from abeyance.pending.interaction import CONSENT, MAX_NOTE, Interaction, Invitation, Step
from abeyance.pending.interaction_uri import (
    Place,
    comparison_code,
    mint_interaction,
    parse_interaction,
)
from abeyance.pending.judging import InteractionRequired
from abeyance.pending.opening import end_of
from abeyance.pending.request import Held, Key, Loaded
from abeyance.pending.states import (
    OPEN,
    AwaitingInteraction,
    Denied,
    Event,
    Expired,
    Outcome,
    Pending,
    State,
    stage_of,
)

MOST_LAPSES: Final = 3
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Visited:
    """What an eligible person finds at an address.

    `step` is `None` once nothing is to be done there: then `done` is what was
    recorded, or the request ended or was asked for something else meanwhile.
    """

    loaded: Loaded
    place: Place
    code: str  # what the client shows as well, if it can (EXT-INTERACT-09)
    step: Step | None
    note: str | None
    done: Interaction | None


def address(house: House, key: Key, number: int) -> str:
    """The interaction URI, the same each time while this number is awaited (DTR-IURI-01)."""
    segment = mint_interaction(Place(key, number), house.keys.derived.interaction_key)
    return f"{house.endpoints.interaction}/{segment.reveal()}"


def invite(house: House, required: InteractionRequired) -> Invitation:
    """What a client is told of a step that somebody must take.

    `until` is only there for clients that can present an address (reading 27).
    """
    place, keys = Place(required.key, required.number), house.keys.derived
    uri = address(house, required.key, required.number)
    if required.until is None:
        return Invitation(uri=uri)
    left = (required.until - house.clock.now()).total_seconds()
    return Invitation(
        uri=uri,
        code=comparison_code(place, keys.interaction_key),
        expires_in=max(1, int(left)),
        arrived=required.arrived,
    )


async def lapse(house: House, held: Held) -> Held:
    """Nobody used an address while it lived: give out another one, so many times, and then
    close the request as abandoned (EXT-INTERACT-16). Returns what stands in the end.
    """
    now, state = house.clock.now(), held.state
    if not isinstance(state, AwaitingInteraction) or state.until is None or now < state.until:
        return held
    if state.lapses < MOST_LAPSES:
        life = house.terms.interaction
        fresh: State = AwaitingInteraction(
            state.number + 1,
            state.step,
            state.note,
            min(now + life, held.expires_at),
            state.lapses + 1,
        )
        event, said = Event.INTERACTION_ASKED, "interaction_lapsed"
    else:
        event, fresh, said = Event.STALE, Denied(Outcome.ABANDONED), "abandoned"
    step = Advance(held.key.n, event, fresh, alive_at=now, version=held.version)
    note = AuditEvent(n=held.key.n, at=now, event=said, actor="system", detail={})
    result = await house.store.apply(Change(held.key.home, (step,), (note,)))
    return result.current or held


async def arrive(house: House, visited: Visited) -> None:
    """Somebody who may act has opened the page: say so to clients that asked (EXT-INTERACT-04)."""
    held, state = visited.loaded.held, visited.loaded.held.state
    if (
        visited.step is None
        or not isinstance(state, AwaitingInteraction)
        or state.until is None
        or state.arrived
    ):
        return
    arrival = NoteArrival(held.key.n, state, house.clock.now())
    await house.store.apply(Change(held.key.home, (arrival,)))


async def visit(house: House, person: Person, segment: str) -> Visited | None:
    """What stands at this address for this person; `None`: nothing, or not for them."""
    for keys in house.keys.known:
        place = parse_interaction(segment, keys.interaction_key)
        if place is None:
            continue
        loaded = await house.store.find_loaded(place.key)
        if loaded is None or not may_act(person, loaded):
            return None
        # By the key of this address: its client was shown a code of the same.
        return _look(house, loaded, place, comparison_code(place, keys.interaction_key))
    return None


async def take(
    house: House,
    person: Person,
    segment: str,
    answers: tuple[tuple[str, str], ...],
    *,
    vouched: bool,
) -> Visited | None:
    """Record that the step was taken; the request waits for a decision again.

    Once: whoever comes second finds what was recorded (EXT-INTERACT-07). A vote
    in between raises the version; then it is read again, for what was asked of
    the person has not changed. `None` as in `visit`.
    """
    found = None
    for _ in range(_ATTEMPTS):
        found = await visit(house, person, segment)
        if found is None or found.step is None or found.step.id == CONSENT.id:
            return found
        change = _done(house, person, found, found.step, answers, vouched)
        result = await house.store.apply(change)
        if isinstance(result, Applied):
            if found.loaded.snapshot.way_back is not None:
                # The browser comes back to a client that then wants to know (EXT-WAIT-06).
                house.clocks.earn(found.loaded.held.handle.digest)
            break
    return await visit(house, person, segment)


async def ask_for(
    house: House, reviewer: Person, key: Key, step: str, note: str | None
) -> NotCounted | None:
    """Let whoever may act take a step before anybody decides; `None`: it is asked.

    Only a reviewer who could decide may ask, and only for what the policy
    offers. A new interaction ends the address of the one before (EXT-INTERACT-14).
    """
    for _ in range(_ATTEMPTS):
        seen = await review(house, reviewer, key)
        if seen is None:
            return NotCounted(Obstacle.UNKNOWN)
        if seen.own:
            return NotCounted(Obstacle.OWN_REQUEST)
        if not seen.decidable:
            return NotCounted(Obstacle.CLOSED)
        offered = seen.loaded.snapshot.interaction.offered
        if step not in offered or step not in house.steps or len(note or "") > MAX_NOTE:
            return NotCounted(Obstacle.INVALID, "This step is not offered for this request")
        change = _asked(house, seen.loaded, step, note, f"person:{reviewer.id}")
        result = await house.store.apply(change)
        match result:
            case Applied():
                return None
            case Superseded(current=current) if not _is_open(house, current):
                return NotCounted(Obstacle.CLOSED)
    return NotCounted(Obstacle.CHANGED)


def may_act(person: Person, loaded: Loaded) -> bool:
    """Is it theirs to take the step? By identifier, never by address or name
    (EXT-INTERACT-06).
    """
    snapshot = loaded.snapshot
    return person.enabled and (
        person.id == snapshot.person or person.id in snapshot.interaction.people
    )


def _look(house: House, loaded: Loaded, place: Place, code: str) -> Visited:
    step = note = None
    state = loaded.held.state_at(house.clock.now())
    if (
        isinstance(state, AwaitingInteraction)
        and state.number == place.number
        and (state.until is None or house.clock.now() < state.until)
    ):
        step = CONSENT if state.step == CONSENT.id else house.steps.get(state.step)
        note = state.note
    done = next((each for each in loaded.interactions if each.number == place.number), None)
    return Visited(loaded=loaded, place=place, code=code, step=step, note=note, done=done)


def _done(
    house: House,
    person: Person,
    found: Visited,
    step: Step,
    answers: tuple[tuple[str, str], ...],
    vouched: bool,
) -> Change:
    now, held = house.clock.now(), found.loaded.held
    record = Interaction(
        number=found.place.number,
        step=step.id,
        title=step.title,
        note=found.note,
        person=person.id,
        person_name=person.name,
        answers=answers,
        vouched=vouched,
        at=now,
    )
    done = Advance(
        held.key.n, Event.INTERACTION_DONE, Pending(), alive_at=now, version=held.version
    )
    event = AuditEvent(
        n=held.key.n,
        at=now,
        event="interaction_done",
        actor=f"person:{person.id}",
        detail={"number": record.number, "step": step.id},
    )
    return Change(held.key.home, (done, RecordInteraction(held.key.n, record)), (event,))


def _asked(house: House, loaded: Loaded, step: str, note: str | None, actor: str) -> Change:
    now, held = house.clock.now(), loaded.held
    number = _next_number(loaded)
    until = end_of(loaded.snapshot, house.terms.interaction, now, held.expires_at)
    awaiting = AwaitingInteraction(number, step, note, until)
    asked = Advance(
        held.key.n, Event.INTERACTION_ASKED, awaiting, alive_at=now, version=held.version
    )
    event = AuditEvent(
        n=held.key.n,
        at=now,
        event="interaction_asked",
        actor=actor,
        detail={"number": number, "step": step},
    )
    return Change(held.key.home, (asked,), (event,))


def _next_number(loaded: Loaded) -> int:
    numbers = [each.number for each in loaded.interactions]
    if isinstance(loaded.held.state, AwaitingInteraction):
        numbers.append(loaded.held.state.number)
    return max(numbers, default=0) + 1


def _is_open(house: House, held: Held | None) -> bool:
    if held is None:
        return False
    state = held.state_at(house.clock.now())
    return not isinstance(state, Expired) and stage_of(state) in OPEN
