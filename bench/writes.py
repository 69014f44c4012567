"""What writes: first requests that are deferred, and whole cycles up to the token."""

import itertools
from collections.abc import Mapping
from typing import Final

from abeyance.wire import names
from bench import answer_times, messages
from bench import plan as plans
from bench.ground import Case, Ground, Pair, drive
from bench.load import LoadFailed
from bench.population import Caller, make_callers
from bench.talking import Answer, record

_DEFERRED: Final = "abeyance_requests_total:deferred"


class FirstRequestCase(Case):
    """First requests that are deferred: rule, code, one durable write, answer."""

    name = plans.FIRST_REQUEST

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._callers = make_callers(names.CLIENT_SECRET_BASIC, ground.plan.clients)
        self._file = ground.folder / f"{self.name}.messages"

    def prepare(self) -> None:
        ground = self._ground
        self._server = ground.open_server(self.name, self._callers)
        answer = record(self._server.port, messages.first_request(self._callers[0]))
        if b'"deferral_code"' not in answer.body:
            raise LoadFailed(f"{self.name} is answered {answer.body!r}")
        self._bare = ground.open_bare([answer])
        messages.write_messages(
            self._file, (messages.first_request(each) for each in self._callers * 10)
        )
        ground.load.turn(self._server.port, self._file, 1, expected='"deferral_code"')

    def measure(self) -> Pair:
        load, plan = self._ground.load, self._ground.plan
        bare = drive(self._bare, lambda: load.turn(self._bare.port, self._file, plan.bare_seconds))
        ours = drive(
            self._server, lambda: load.turn(self._server.port, self._file, plan.case_seconds)
        )
        opened = ours.counted[_DEFERRED]
        if not 0 <= opened - ours.told.requests <= plan.connections:
            raise LoadFailed(f"{ours.told.requests} first requests opened {opened:.0f}")
        return Pair(bare, ours)

    def answer_times(self) -> Mapping[str, float]:
        """How long answers take that must not tell more by their time than by their words."""
        caller, stranger = self._callers[:2]
        return answer_times.measure(
            self._server.port, caller, stranger, self._ground.plan.answer_turns
        )


class FullCycleCase(Case):
    """First request, pending poll, decision, token: four requests, counted as one."""

    name = plans.FULL_CYCLE

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._callers = make_callers(names.CLIENT_SECRET_BASIC, ground.plan.clients)
        self._file = ground.folder / f"{self.name}.messages"
        self._bare_file = ground.folder / f"{self.name}.bare.messages"

    def prepare(self) -> None:
        ground = self._ground
        self._server = ground.open_server(self.name, self._callers, decisions=True)
        messages.write_messages(
            self._file,
            itertools.chain.from_iterable(
                (
                    messages.first_request(caller),
                    messages.poll_without_code(caller),
                    messages.decide_without_code(),
                    messages.poll_without_code(caller),
                )
                for caller in self._callers
            ),
        )
        asked, answers = self._once(self._callers[0])
        self._bare = ground.open_bare(answers)
        messages.write_messages(self._bare_file, asked)
        ground.load.cycle(self._server.port, self._file, 1)

    def measure(self) -> Pair:
        load, plan = self._ground.load, self._ground.plan
        bare = drive(
            self._bare,
            lambda: load.turn(self._bare.port, self._bare_file, plan.bare_seconds),
            each=4,
        )
        ours = drive(
            self._server, lambda: load.cycle(self._server.port, self._file, plan.case_seconds)
        )
        return Pair(bare, ours)

    def _once(self, caller: Caller) -> tuple[list[bytes], list[Answer]]:
        """Go through one cycle; return what was sent and what came."""
        port = self._server.port
        asked = [messages.first_request(caller)]
        answers = [record(port, asked[0])]
        found = answers[0].body.partition(b'"deferral_code":"')[2].partition(b'"')[0]
        poll = messages.poll(caller, found.decode())
        for message in (poll, messages.decide_without_code() + found, poll):
            asked.append(message)
            answers.append(record(port, message))
        if [each.status for each in answers] != [400, 400, 200, 200]:
            raise LoadFailed(f"a cycle is answered {[each.body for each in answers]}")
        return asked, answers
