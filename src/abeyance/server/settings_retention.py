"""How long things are kept that nobody is owed any more (reading 21)."""

from datetime import timedelta
from typing import Final

from abeyance.policy.decider import Decider, Defer
from abeyance.policy.rules import Rules
from abeyance.server.settings_file import File
from abeyance.server.settings_policy import Lifetimes
from abeyance.server.settings_values import ConfigurationError, parse_bounded, render_duration
from abeyance.store.ports import Retention

# A request that is sent again is known for a day behind the end of its code (EXT-IDEMP).
LEAST_DETAILS: Final = timedelta(days=1)
MOST_DETAILS: Final = timedelta(days=400)
LEAST_AUDIT: Final = timedelta(days=30)
MOST_AUDIT: Final = timedelta(days=3650)


def read_retention(told: File, lifetimes: Lifetimes, decider: Decider) -> Retention:
    details = parse_bounded(
        "retention.details", told.retention.details, at_least=LEAST_DETAILS, at_most=MOST_DETAILS
    )
    longest = _longest_approval(lifetimes, decider)
    if details < longest:
        raise ConfigurationError(
            "retention.details",
            f"{render_duration(details)} is less than an approval may hold"
            f" ({render_duration(longest)})",
            "What was asked must be known for as long as it is allowed: keep it longer.",
        )
    return Retention(
        details=details,
        tombstone=parse_bounded(
            "retention.tombstone",
            told.retention.tombstone,
            at_least=timedelta(hours=1),
            at_most=timedelta(days=30),
        ),
        audit=parse_bounded(
            "retention.audit", told.retention.audit, at_least=LEAST_AUDIT, at_most=MOST_AUDIT
        ),
    )


def _longest_approval(lifetimes: Lifetimes, decider: Decider) -> timedelta:
    rules = decider.rules if isinstance(decider, Rules) else ()
    verdicts = [rule.verdict for rule in rules]
    return max(
        [
            lifetimes.approval,
            *(each.approval_lifetime for each in verdicts if isinstance(each, Defer)),
        ]
    )
