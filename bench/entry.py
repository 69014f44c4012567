"""The server under the benchmark: the one that `abeyance serve` runs, in one process.

Run as `python -m bench.entry CORE CONFIGURATION [decisions] [paced]`. What differs is
the clock's pace (`bench.clock`), unless it is to be `paced` as shipped, the counters that are
told over standard input and output, and, if asked for, a path by which a cycle gets its decision.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from abeyance.acts.decide import Counted, Vote, decide, review
from abeyance.acts.house import House
from abeyance.parties.person import PersonId
from abeyance.pending.handles import HandleKind, parse_handle
from abeyance.pending.votes import Verdict
from abeyance.server.app import Abeyance
from abeyance.server.http import Endpoint, Receive, Scope, Send
from abeyance.server.launch import reserve, running_server
from abeyance.server.logs import configure_logs
from abeyance.server.settings import load_settings
from bench.clock import HastyClock
from bench.machine import pin
from bench.messages import DECIDE
from bench.population import REVIEWER
from bench.serving import ANYWHERE, answer_questions


def main() -> None:
    core, configuration, *more = sys.argv[1:]
    pin(int(core) if core != "-" else None)
    configure_logs("WARNING")
    settings = load_settings(Path(configuration), environ={})
    with running_server(
        settings,
        listener=reserve(ANYWHERE),
        clock=None if "paced" in more else HastyClock(),
        wrap=_with_decisions if "decisions" in more else lambda app: app,
    ) as running:
        answer_questions(running.address, lambda: _counted(running.house))


def _counted(house: House) -> Mapping[str, float]:
    held = {"held": float(house.limits.held.taken)}
    return held | {
        ":".join([sample.name, *sample.labels.values()]): sample.value
        for metric in house.counters.registry.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


def _with_decisions(abeyance: Abeyance) -> Endpoint:
    """Put a path beside the application by which the reviewer approves one request.

    It looks and votes as the console does, without its pages: `review`, then
    `decide` with the digest and version of what was seen.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if abeyance.house is None or scope["path"] != DECIDE:
            await abeyance(scope, receive, send)
            return
        message = await receive()
        status = 200 if await _approve(abeyance.house, message["body"].decode()) else 409
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


async def _approve(house: House, code: str) -> bool:
    handle = parse_handle(HandleKind.DEFERRAL_CODE, code)
    reviewer = await house.store.find_person(PersonId(REVIEWER))
    held = None if handle is None else await house.store.find_held(handle)
    if held is None or reviewer is None:
        return False
    seen = await review(house, reviewer, held.key)
    if seen is None:
        return False
    vote = Vote(
        verdict=Verdict.APPROVE,
        seen=seen.disclosure.digest,
        version=seen.loaded.held.version,
    )
    return isinstance(await decide(house, reviewer, held.key, vote), Counted)


if __name__ == "__main__":
    main()
