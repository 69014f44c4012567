"""What a log must never show. Imports nothing of the server: it knows what outsiders know.

`check` judges one log (`faults.log`) and names what was broken by the promise, R1 to R12 of
`docs/reliability.md`. Unknown outcomes are outcomes: whoever lost an answer may have been
served. Orders are judged by `faults.order`; what is about tokens, authority, callbacks and ends
is judged here, one rule a function.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from faults.log import Event
from faults.order import LOST, Operation, explains

RECOVERIES: Final = 3  # so often a success is told again
LEASE: Final = 60.0  # for so long a callback that was begun may still be under way
_VOTES: Final = ("approve", "deny")
_VOTED: Final = ("counted", "noted")
_DECIDED: Final = ("approved", "denied", "redeemed")


@dataclass(frozen=True, slots=True)
class Violation:
    """`promise` is broken for this deferral; `says` how."""

    promise: str
    deferral: str
    says: str


@dataclass(slots=True)
class Call:
    began: int
    call: Event
    ended: int | None = None
    answer: Event | None = None  # None with an end: lost


@dataclass(slots=True)
class Story:
    """What a log says of one deferral; `int`s are places in the log."""

    name: str
    opened: Event | None = None
    calls: list[Call] = field(default_factory=list)
    callbacks: list[tuple[int, Event]] = field(default_factory=list)
    granted: list[Event] = field(default_factory=list)
    final: tuple[int, Event] | None = None

    def called(self, *ops: str) -> Iterator[Call]:
        return (each for each in self.calls if each.call["op"] in ops)

    def answered(self, what: str, *ops: str) -> list[tuple[Call, Event]]:
        return [
            (each, each.answer)
            for each in self.called(*ops)
            if each.answer is not None and each.answer["what"] == what
        ]


def check(events: Sequence[Event]) -> list[Violation]:
    """Everything that this log breaks. Raises `ValueError` if it is no log."""
    found: list[Violation] = []
    for story in _stories(events):
        for promise, rule in _RULES:
            found += [Violation(promise, story.name, says) for says in rule(story)]
    return found


def _stories(events: Sequence[Event]) -> list[Story]:
    stories: dict[str, Story] = {}
    calls: dict[int, Call] = {}
    for place, event in enumerate(events):
        kind = event["event"]
        if kind in ("answer", "lost"):
            call = calls.get(event["id"])
            if call is None or call.ended is not None:
                raise ValueError(f"line {place + 1} ends a call that is not under way")
            call.ended, call.answer = place, event if kind == "answer" else None
            continue
        story = stories.setdefault(event["deferral"], Story(event["deferral"]))
        match kind:
            case "opened":
                story.opened = event
            case "call":
                calls[event["id"]] = call = Call(place, event)
                story.calls.append(call)
            case "callback":
                story.callbacks.append((place, event))
            case "granted":
                story.granted.append(event)
            case "final":
                story.final = (place, event)
            case _:
                raise ValueError(f"line {place + 1} is no event of this log")
    return list(stories.values())


# --- one rule a promise; each yields what is wrong


def one_token(story: Story) -> Iterator[str]:
    """R1: one poll wins, and of all that was handed out at most one set is alive."""
    won = story.answered("token", "poll")
    if len(won) > 1:
        yield f"{len(won)} polls were answered with a token"
    handed = [answer["token"] for _, answer in story.answered("token", "poll", "repeat")]
    if len(handed) != len(set(handed)):
        yield "the same token was handed out twice"
    if story.final is not None and len(story.final[1]["live"]) > 1:
        yield f"{len(story.final[1]['live'])} sets of tokens are alive"


def kept_decision(story: Story) -> Iterator[str]:
    """R2, R6: what was acknowledged stands at the end, and the audit knows of it."""
    counted = story.answered("counted", "approve", "deny")
    if len(counted) > 1:
        yield f"{len(counted)} decisions were acknowledged"
    if story.final is None:
        return
    stage = story.final[1]["stage"]
    kept = {"approve": ("approved", "redeemed", "cancelled", "expired"), "deny": ("denied",)}
    votes = story.final[1].get("votes")
    for call, _ in [*counted, *story.answered("noted", "approve")]:
        if votes is not None and call.call["by"] not in votes:
            yield f"a vote of {call.call['by']} was acknowledged and is not there"
    for call, _ in counted:
        if stage not in kept[call.call["op"]]:
            yield f"an acknowledged {call.call['op']} has become {stage}"
    if stage in _DECIDED and not story.final[1]["decided"]:
        yield f"{stage}, and the audit knows of no decision"


def one_order(story: Story) -> Iterator[str]:
    """R3: all answers are true in one order, so that no token follows an acknowledged end."""
    history = [_operation(story, each) for each in story.calls if each.call["op"] != "first"]
    if story.final is not None:
        place, final = story.final
        history.append(Operation("final", final["stage"], place, place + 0.5))
    if not explains(history):
        said = ", ".join(f"{each.op}: {each.what}" for each in history)
        yield f"no order explains the answers ({said})"


def no_more_authority(story: Story) -> Iterator[str]:
    """R4: nothing that was not asked for, and nothing that nobody decided."""
    given = [set(each["scope"]) for each in story.granted]
    for _, answer in story.answered("token", "first"):
        if set(answer["scope"]) not in given:
            yield f"a token has {answer['scope']} at once, and nobody granted it"
            continue
        given.remove(set(answer["scope"]))
    for call, answer in story.answered("token", "poll", "repeat"):
        scope, allowed = set(answer["scope"]), dict[str, bool]()
        for number, each in enumerate(story.called("approve")):
            refused = each.answer is not None and each.answer["what"] not in _VOTED
            if not refused and each.began < (call.ended or each.began):
                who = each.call.get("by", str(number))
                allowed[who] = allowed.get(who, False) or scope <= set(each.call["scope"])
        needs = 1 if story.opened is None else story.opened.get("needs", 1)
        if story.opened is not None and not scope <= set(story.opened["asked"]):
            yield f"a token has {sorted(scope)}, which is more than was asked"
        if sum(allowed.values()) < needs:
            yield f"a token has {sorted(scope)}, which fewer than {needs} approved"


def called_back(story: Story) -> Iterator[str]:
    """R5: at least once after the end, never before, never after it was suppressed."""
    ends = [each.began for each in story.called("approve", "deny", "cancel")]
    for place, _ in story.callbacks:
        if not any(each < place for each in ends):
            yield "a callback came before anybody decided"
    if story.opened is None:
        return
    if not story.opened["calls"]:
        if story.callbacks:
            yield "a callback came that nobody wanted"
        return
    stage = None if story.final is None else story.final[1]["stage"]
    if stage in ("approved", "denied") and not any(e["heard"] for _, e in story.callbacks):
        yield f"{stage}, and no callback was ever heard"
    quiet = [answer["at"] for _, answer in story.answered("token", "poll")]
    if stage == "cancelled":
        quiet += [answer["at"] for _, answer in story.answered("done", "cancel")]
    for _, event in story.callbacks:
        if quiet and event["at"] > min(quiet) + LEASE:
            yield "a callback came long after it was suppressed"


def had_again(story: Story) -> Iterator[str]:
    """R11: whoever lost the answer to a success can have it again, up to so many times."""
    for call, _ in story.answered("spent", "repeat"):
        served = [
            each
            for each in story.called("repeat")
            if each is not call
            and each.began < (call.ended or each.began)
            and (each.answer is None or each.answer["what"] == "token")
        ]
        if len(served) < RECOVERIES:
            yield f"a success was not told again, and {len(served)} may have heard it before"


def in_time(story: Story) -> Iterator[str]:
    """R8: nothing expires early and nothing lives on, by more than clocks may differ."""
    if story.opened is None:
        return
    expires, skew = story.opened["expires"], story.opened["skew"]
    for _, answer in story.answered("expired", "poll", "repeat"):
        if answer["at"] < expires - skew:
            yield "a request expired early"
    late = (("poll", "token"), ("approve", "counted"), ("approve", "noted"), ("deny", "counted"))
    for op, what in late:
        for call, _ in story.answered(what, op):
            if call.call["at"] > expires + skew:
                yield f"{op} was answered with {what} after the request had expired"


def every_end(story: Story) -> Iterator[str]:
    """R12: every call is answered or given up, and every request comes to an end."""
    for each in story.calls:
        if each.ended is None:
            yield f"a {each.call['op']} was never answered"
    if story.opened is not None and story.final is None:
        yield "nobody looked how it ended"
    if story.final is not None and story.final[1]["stage"] in ("pending", "awaiting_interaction"):
        yield "the request still waits"


def _operation(story: Story, call: Call) -> Operation:
    """With its place in real time; `late` if any clock may have called the request expired."""
    what = LOST if call.answer is None else call.answer["what"]
    ended = float("inf") if call.answer is None else float(call.ended or 0)
    # Nobody knows when an answer was made that did not arrive, nor of what was never opened.
    late = call.answer is None or story.opened is None
    if call.answer is not None and story.opened is not None:
        ends = story.opened["decides" if call.call["op"] in _VOTES else "expires"]
        late = call.answer["at"] >= ends - story.opened["skew"]
    return Operation(call.call["op"], what, call.began, ended, late)


_RULES: Final = (
    ("R1", one_token),
    ("R2", kept_decision),
    ("R3", one_order),
    ("R4", no_more_authority),
    ("R5", called_back),
    ("R8", in_time),
    ("R11", had_again),
    ("R12", every_end),
)


def by_promise(found: Sequence[Violation]) -> dict[str, list[Violation]]:
    """The same, sorted by what was promised."""
    sorted_: defaultdict[str, list[Violation]] = defaultdict(list)
    for each in found:
        sorted_[each.promise].append(each)
    return dict(sorted_)
