"""What writes: first requests that are deferred, and whole cycles up to the token."""

import itertools
from collections.abc import Mapping
from typing import Final

from abeyance.wire import names
from bench import answer_times, messages
from bench import plan as plans
from bench.ground import Case, Fleet, Ground, Pair, Run, drive
from bench.load import Load, LoadFailed, Told
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

    def __init__(self, ground: Ground, name: str = plans.FULL_CYCLE, on_postgres: int = 0) -> None:
        """`on_postgres`: with so many processes there; else one, over SQLite."""
        self.name = name
        self._processes = on_postgres
        self._ground = ground
        self._callers = make_callers(names.CLIENT_SECRET_BASIC, ground.plan.clients)
        self._file = ground.folder / f"{self.name}.messages"
        self._bare_file = ground.folder / f"{self.name}.bare.messages"

    def prepare(self) -> None:
        ground = self._ground
        if self._processes:
            self._fleet = ground.open_fleet(
                self.name, self._callers, self._processes, decisions=True
            )
        else:
            self._fleet = Fleet([ground.open_server(self.name, self._callers, decisions=True)])
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
        self._cycle(ground.plan.case_seconds)  # long enough for one, on a slow disk

    def measure(self) -> Pair:
        load, plan = self._ground.load, self._ground.plan
        bare = drive(
            self._bare,
            lambda: load.turn(self._bare.port, self._bare_file, plan.bare_seconds),
            each=4,
        )
        return Pair(bare, self._cycle(plan.case_seconds))

    def _cycle(self, seconds: int) -> Run:
        def cycle(load: Load, _number: int, port: int) -> Told:
            return load.cycle(port, self._file, seconds)

        return drive(self._fleet, lambda: self._ground.load.on_each(self._fleet.ports, cycle))

    def _once(self, caller: Caller) -> tuple[list[bytes], list[Answer]]:
        """Go through one cycle; return what was sent and what came."""
        port = self._fleet.ports[0]
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
