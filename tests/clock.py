"""A clock that the test moves."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True, eq=False)
class Alarm:
    """Goes off when the clock is moved past it."""

    alarms: list["Alarm"]
    at: float
    call: Callable[[], None]

    def cancel(self) -> None:
        if self in self.alarms:
            self.alarms.remove(self)


class MovableClock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
        self._tick = 1_000.0
        self._alarms: list[Alarm] = []

    def now(self) -> datetime:
        return self._now

    def tick(self) -> float:
        return self._tick

    def move(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._tick += seconds
        for alarm in [each for each in self._alarms if each.at <= self._tick]:
            alarm.cancel()
            alarm.call()

    def after(self, seconds: float, call: Callable[[], None]) -> "Alarm":
        alarm = Alarm(self._alarms, self._tick + seconds, call)
        self._alarms.append(alarm)
        return alarm

    def jump(self, seconds: float) -> None:
        """The wall clock is set; time has not passed."""
        self._now += timedelta(seconds=seconds)
