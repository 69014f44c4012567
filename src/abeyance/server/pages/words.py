"""Times and spans in the words of the pages. Instants are UTC; a script adds local time."""

from datetime import UTC, datetime, timedelta
from typing import Final

from markupsafe import Markup

_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)


def span(length: timedelta) -> str:
    """An exact span: "1 hour 30 minutes"."""
    return " ".join(_parts(max(0, int(length.total_seconds())))) or "0 seconds"


def about(length: timedelta) -> str:
    """A span for reading at a glance: at most two units, no seconds above ten minutes."""
    seconds = max(0, int(length.total_seconds()))
    if seconds >= 600:
        seconds -= seconds % 60
    return " ".join(_parts(seconds)[:2]) or "0 seconds"


def age(length: timedelta) -> str:
    return "less than a minute" if length < timedelta(minutes=1) else about(length)


def instant(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at.day} {_MONTHS[at.month - 1]} {at:%Y, %H:%M:%S} UTC"


def instant_tag(at: datetime) -> Markup:
    """The absolute instant, machine-readable, for the script that adds local time."""
    return Markup('<time datetime="{}" data-local>{}</time>').format(
        at.astimezone(UTC).isoformat(timespec="seconds"), instant(at)
    )


def countdown_tag(at: datetime, now: datetime) -> Markup:
    """The time that is left; a script keeps it up to date."""
    return Markup('<time class="count" datetime="{}" data-left>{}</time>').format(
        at.astimezone(UTC).isoformat(timespec="seconds"), about(at - now)
    )


def age_tag(since: datetime, now: datetime) -> Markup:
    """The time that has passed; a script keeps it up to date."""
    return Markup('<time datetime="{}" data-passed>{}</time>').format(
        since.astimezone(UTC).isoformat(timespec="seconds"), age(now - since)
    )


def number(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _parts(seconds: int) -> list[str]:
    found = []
    for name, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            found.append(number(count, name))
    return found
