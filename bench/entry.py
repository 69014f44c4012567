"""The server under the benchmark: the shipped application and protocol, in one process.

Run as `python -m bench.entry CORE CONFIGURATION [decisions]`. What differs from
`abeyance serve` is the clock's pace (`bench.clock`), the counters that are told
over standard input and output, and, if asked for, a path by which a cycle gets
its decision.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvloop

from abeyance.acts.decide import Counted, Vote, decide, review
from abeyance.acts.house import House
from abeyance.parties.person import PersonId
from abeyance.pending.handles import HandleKind, parse_handle
from abeyance.pending.votes import Verdict
from abeyance.server.app import Abeyance
from abeyance.server.logs import configure_logs
from abeyance.server.protocol import StrictHttp
from abeyance.server.settings import load_settings
from bench.clock import HastyClock
from bench.machine import pin
from bench.messages import DECIDE
from bench.population import REVIEWER
from bench.serving import App, serve


def main() -> None:
    core, configuration, *more = sys.argv[1:]
    pin(int(core) if core != "-" else None)
    configure_logs("WARNING")
    uvloop.run(_run(Path(configuration), decisions="decisions" in more))


async def _run(configuration: Path, *, decisions: bool) -> None:
    abeyance = Abeyance(load_settings(configuration, environ={}), clock=HastyClock())
    async with abeyance.running() as house:
        app: App = _with_decisions(abeyance, house) if decisions else abeyance
        await serve(app, StrictHttp, lambda: _counted(house))


def _counted(house: House) -> Mapping[str, float]:
    return {
        ":".join([sample.name, *sample.labels.values()]): sample.value
        for metric in house.counters.registry.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


def _with_decisions(abeyance: App, house: House) -> App:
    """Put a path beside the application by which the reviewer approves one request.

    It looks and votes as the console does, without its pages: `review`, then
    `decide` with the digest and version of what was seen.
    """

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != DECIDE:
            await abeyance(scope, receive, send)
            return
        message = await receive()
        status = 200 if await _approve(house, message["body"].decode()) else 409
        body = b"{}"
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

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
