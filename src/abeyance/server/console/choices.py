"""From a form to a vote: every field known, nothing beyond what was shown (SEC-UI-17).

The fields of "approve less" are derived from the disclosure, and only they are read;
so a form cannot name a scope, an amount or a life that the page did not offer. What a
person got wrong comes back as sentences beside their fields.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Final

from abeyance.access.access import Access
from abeyance.access.details import DetailsTypes
from abeyance.access.members import parse_amount
from abeyance.acts.decide import MAX_REASON, Vote
from abeyance.pending.choosing import Choice, ChoiceRefused, choose
from abeyance.pending.interaction import MAX_NOTE
from abeyance.pending.votes import MAX_REMARK, Verdict
from abeyance.server.console.disclosed import Disclosed, Item
from abeyance.server.pages import words
from abeyance.server.pages.forms import Fields
from abeyance.server.pages.refusals import MALFORMED, Refused

# The names of the three forms, as their buttons send them.
APPROVE: Final = "approve"
LESS: Final = "less"
DENY: Final = "deny"

PRESETS: Final[Mapping[str, str]] = {
    "too-much": "This is more than the task needs. Ask for less.",
    "not-expected": "Nobody expected this request.",
    "not-now": "Not at this time. Ask again later.",
    "wrong-place": "This has to be decided elsewhere.",
}
_COMMON: Final = frozenset({"csrf", "seen", "version", "vote"})
_DENIAL: Final = frozenset({"preset", "reason", "share"})
# How long an approval may hold, where that is less than asked.
_SPANS: Final = tuple(
    timedelta(minutes=minutes)
    for minutes in (5, 15, 30, 60, 240, 480, 1_440, 4_320, 10_080, 43_200)
)
_MOST_DIGITS: Final = 9


class Mistaken(ValueError):
    """The person must look again; `mistakes` maps a field's id to a sentence."""

    def __init__(self, mistakes: Mapping[str, str]) -> None:
        super().__init__("the form has mistakes")
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class Seen:
    """Which page the person had before them."""

    digest: str
    version: int


@dataclass(slots=True)
class _Reading:
    """Fields of "approve less", collected, and what is wrong with them."""

    items: set[str] = field(default_factory=set)
    parts: dict[str, frozenset[str]] = field(default_factory=dict)
    limits: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    mistakes: dict[str, str] = field(default_factory=dict)


def spans(asked: timedelta) -> tuple[timedelta, ...]:
    """The lifetimes that the page offers, the one that was asked last."""
    return (*(span for span in _SPANS if span < asked), asked)


def item_field(item: Item) -> str:
    return f"item.{item.id}"


def part_field(item: Item, part: str) -> str:
    return f"part.{item.id}.{part}"


def limit_field(item: Item, limit: str) -> str:
    return f"limit.{item.id}.{limit}"


def choice_fields(shown: Disclosed) -> Iterator[str]:
    """Every field that "approve less" may have."""
    yield "lifetime"
    for item in shown.grants:
        if item.is_choice:
            yield item_field(item)
            yield from (part_field(item, part.id) for part in item.parts)
            yield from (limit_field(item, limit.id) for limit in item.limits)


def read_seen(fields: Fields) -> Seen:
    """Without digest or version nothing was seen, which fits no page (SEC-UI-16)."""
    version = fields.get("version", "")
    fits = version.isascii() and version.isdigit() and len(version) <= _MOST_DIGITS
    return Seen(fields.get("seen", ""), int(version) if fits else 0)


def read_approval(fields: Fields, seen: Seen) -> Vote:
    """Read an approval. Raises `Refused` for a forged form, `Mistaken` for a mistake."""
    _check_known(fields, frozenset({"note"}))
    return approval_of(None, fields, seen)


def approval_of(choice: Choice | None, fields: Fields, seen: Seen) -> Vote:
    """An approval of this, with the note that stays inside. Raises `Mistaken`."""
    note = fields.get("note", "").strip()
    if len(note) > MAX_REASON:
        raise Mistaken({"note": f"A note has at most {MAX_REASON:,} characters."})
    return Vote(
        verdict=Verdict.APPROVE,
        seen=seen.digest,
        version=seen.version,
        choice=choice,
        reason=note or None,
    )


def read_step(fields: Fields) -> tuple[str, str | None]:
    """Read which step is asked for, and what the reviewer adds."""
    _check_known(fields, frozenset({"step", "note"}))
    step, note = fields.get("step"), fields.get("note", "").strip()
    if not step:
        raise Mistaken({"step": "Choose what is to be done."})
    if len(note) > MAX_NOTE:
        raise Mistaken({"step": f"What you add has at most {MAX_NOTE} characters."})
    return step, note or None


def read_denial(fields: Fields, seen: Seen) -> Vote:
    """Read a denial. Raises `Refused` for a forged form, `Mistaken` for a mistake."""
    _check_known(fields, _DENIAL)
    preset, share = fields.get("preset"), fields.get("share")
    if preset not in {None, "own-words", *PRESETS} or share not in {None, "yes"}:
        raise Refused(MALFORMED)
    sentences = (PRESETS.get(preset or ""), fields.get("reason", "").strip())
    reason = " ".join(each for each in sentences if each)
    if not reason:
        raise Mistaken({"reason": "Choose a reason or write one."})
    if len(reason) > MAX_REASON:
        raise Mistaken({"reason": f"A reason has at most {MAX_REASON:,} characters."})
    if share and len(reason) > MAX_REMARK:
        raise Mistaken(
            {
                "reason": f"A reason that is shared has at most {MAX_REMARK} characters; "
                f"this one has {len(reason):,}. Shorten it, or do not share it."
            }
        )
    return Vote(
        verdict=Verdict.DENY,
        seen=seen.digest,
        version=seen.version,
        reason=reason,
        shareable=share is not None,
    )


def read_choice(
    fields: Fields, shown: Disclosed, asked: Access, types: DetailsTypes
) -> tuple[Choice, Access]:
    """Read what is left of the request, and what that grants.

    Raises `Refused` for a forged form, `Mistaken` for a mistake.
    """
    _check_known(fields, frozenset(choice_fields(shown)) | {"confirmed", "note"})
    reading = _Reading()
    for item in shown.grants:
        if item.is_choice:
            _read_item(fields, item, reading)
    if not reading.items and not reading.mistakes:
        reading.mistakes["less"] = "Choose at least one thing to grant, or deny the request."
    lifetime = _read_lifetime(fields, shown, reading)
    if reading.mistakes:
        raise Mistaken(reading.mistakes)
    choice = Choice(
        items=frozenset(reading.items),
        parts=reading.parts,
        limits=reading.limits,
        lifetime=lifetime,
    )
    try:
        granted = choose(asked, choice, types)
    except ChoiceRefused as refused:
        raise Mistaken({"less": f"{refused}."}) from None
    kept = sum(item.startswith("detail:") for item in reading.items)
    if len(granted.details) != kept:
        raise Mistaken(
            {"less": "Of something that you chose nothing would be left: choose more of it."}
        )
    return choice, granted


def _read_item(fields: Fields, item: Item, reading: _Reading) -> None:
    parts = {part.id for part in item.parts if part_field(item, part.id) in fields}
    limits = {limit.id: fields.get(limit_field(item, limit.id)) for limit in item.limits}
    if item_field(item) not in fields:
        # A part without its item grants nothing, which is not what was meant.
        if parts or any(limits.values()):
            reading.mistakes[item_field(item)] = (
                "You chose something of this, but not the thing itself."
            )
        return
    reading.items.add(item.id)
    if item.parts and not parts:
        reading.mistakes[part_field(item, item.parts[0].id)] = (
            "Choose at least one, or leave the whole thing out."
        )
    reading.parts[item.id] = frozenset(parts)
    reading.limits[item.id] = {}
    for limit in item.limits:
        text = (limits[limit.id] or "").strip()
        try:
            amount = parse_amount(text)
        except ValueError:
            amount = Decimal(0)
        if 0 < amount <= limit.asked:
            reading.limits[item.id][limit.id] = amount
        else:
            reading.mistakes[limit_field(item, limit.id)] = (
                f"Write an amount of at most {limit.asked:f} {limit.unit}, such as {limit.asked:f}."
            )


def _read_lifetime(fields: Fields, shown: Disclosed, reading: _Reading) -> timedelta:
    text = fields.get("lifetime", "")
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        lifetime = timedelta(seconds=int(text))
        if timedelta(0) < lifetime <= shown.lifetime:
            return lifetime
        reading.mistakes["lifetime"] = (
            f"An approval of this request holds for at most {words.span(shown.lifetime)}."
        )
    else:
        reading.mistakes["lifetime"] = "Choose for how long the approval holds."
    return shown.lifetime


def _check_known(fields: Fields, known: frozenset[str]) -> None:
    if not fields.keys() <= _COMMON | known:
        raise Refused(MALFORMED)
