"""Counters of what happens, bound at the start so that counting costs 0.3 us.

A refused stranger is a counter and a log line, never a row: strangers must not
be able to fill the disk.
"""

from datetime import timedelta
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

# People decide in minutes or days, machines answer in milliseconds.
_DECISION_SECONDS: Final = (
    10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 3 * 24 * 3600, 7 * 24 * 3600,
)  # fmt: skip
_TOKEN_SECONDS: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

By = Literal["reviewer", "owner"]


class Counters:
    """The house's counters, in a registry of their own (one for each server, also in tests)."""

    __slots__ = (
        "_decision_seconds",
        "_decisions",
        "authentication_failures",
        "callbacks_delivered",
        "callbacks_given_up",
        "callbacks_retried",
        "cooling",
        "deferred",
        "denied",
        "disposal_failures",
        "disposed",
        "issued",
        "joined",
        "notices_delivered",
        "notices_given_up",
        "pending",
        "recovered",
        "redeemed",
        "registry",
        "reuses",
        "rule_errors",
        "sign_in_failures",
        "slowed",
        "strays",
        "token_seconds",
    )

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        polls = self._counter("abeyance_polls", "Polls by result", "result")
        asked = self._counter("abeyance_requests", "First requests by result", "result")
        self.pending = polls.labels(result="pending")
        self.slowed = polls.labels(result="slowed")
        self.redeemed = polls.labels(result="redeemed")
        self.issued = asked.labels(result="issued")
        self.deferred = asked.labels(result="deferred")
        self.joined = asked.labels(result="joined")
        self.recovered = asked.labels(result="recovered")
        self.cooling = asked.labels(result="cooling")
        self.denied = asked.labels(result="denied")
        callbacks = self._counter("abeyance_callbacks", "Callbacks by result", "result")
        self.callbacks_delivered = callbacks.labels(result="delivered")
        self.callbacks_retried = callbacks.labels(result="retried")
        self.callbacks_given_up = callbacks.labels(result="given_up")
        notices = self._counter("abeyance_notices", "Notices to people by result", "result")
        self.notices_delivered = notices.labels(result="delivered")
        self.notices_given_up = notices.labels(result="given_up")
        self.strays = self._counter(
            "abeyance_stray_parameters", "Originating parameters sent with a poll"
        )
        self.authentication_failures = self._counter(
            "abeyance_client_authentication_failures", "Failed client authentications"
        )
        self.reuses = self._counter(
            "abeyance_credential_reuses", "Codes and refresh tokens shown again after their use"
        )
        self.sign_in_failures = self._counter(
            "abeyance_sign_in_failures", "Failed console sign-ins"
        )
        self.rule_errors = self._counter(
            "abeyance_unanswerable_requests",
            "Requests that nobody could decide, or rules that failed",
        )

        self.disposed = self._counter("abeyance_sweeper_rows", "Rows disposed of, by kind", "kind")
        self.disposal_failures = self._counter(
            "abeyance_sweeper_failures", "Runs of disposal that failed"
        )
        decisions = self._counter(
            "abeyance_decisions", "Decisions of people by outcome, and by whom", "outcome", "by"
        )
        self._decisions = {
            (approved, by): decisions.labels(outcome="approved" if approved else "denied", by=by)
            for approved in (True, False)
            for by in ("reviewer", "owner")
        }
        self._decision_seconds = Histogram(
            "abeyance_decision_seconds",
            "From the first request to the decision of people",
            buckets=_DECISION_SECONDS,
            registry=self.registry,
        )
        # Not of polls that hear "not yet": those touch no disk, and are most of all there is.
        self.token_seconds = Histogram(
            "abeyance_token_seconds",
            "Answering a first request, or a poll that gets a token",
            buckets=_TOKEN_SECONDS,
            registry=self.registry,
        )

    def decided(self, *, approved: bool, by: By, after: timedelta) -> None:
        """People have decided; `after` the request was opened."""
        self._decisions[approved, by].inc()
        self._decision_seconds.observe(after.total_seconds())

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)
