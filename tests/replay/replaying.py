"""A recorded file, sent to a server, and where its answers are others than they were."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tests.answer import Answer
from tests.replay.exchanges import Exchange, Seen
from tests.replay.references import Known
from tests.served import Served

RECORDED: Final = Path(__file__).parent / "recorded.jsonl"


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` of the answer to exchange `number` was, and is."""

    number: int
    request: str
    what: str
    was: Any
    now: Any


async def replay(served: Served, exchanges: Iterable[Exchange]) -> list[Difference]:
    """Send them in order, at the time of each, until one cannot be made any more."""
    known, began_at = Known.to(served), served.clock.tick()
    found: list[Difference] = []
    for number, each in enumerate(exchanges):
        served.clock.move(began_at + each.at - served.clock.tick())
        request = f"{each.method} {'/'.join(str(part) for part in each.path)}"
        try:
            target, fields, body = each.target(known), each.fields(known), each.content(known)
        except KeyError as missing:
            found.append(Difference(number, request, "what it needs", str(missing), "was not sent"))
            break
        answer = await served.send(each.method, target, body=body, headers=fields)
        known.learn(number, answer)
        found += compare(number, request, each.seen, answer)
    return found


def compare(number: int, request: str, was: Seen, answer: Answer) -> list[Difference]:
    """What of this answer is not as it was."""
    before, after = asdict(was), asdict(Seen.of(answer))
    return [
        Difference(number, request, what, before[what], after[what])
        for what in before
        if before[what] != after[what]
    ]
