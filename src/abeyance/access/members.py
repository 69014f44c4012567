"""A toolkit for `authorization_details` types: members with a meaning, put together.

    PAYMENT = declare(
        "payment_initiation",
        title="Pay {amount} to {creditor}",
        members={
            "amount": Money(),
            "creditor": Text(max_length=70),
            "reason": Claim(optional=True),
        },
    )

A type is divisible if one of its members can be given in part (`SetOf`,
`AtMost`); the others must then be granted as asked. What the toolkit cannot
say is written as a class with the attributes of `DetailsType`.

Source: RFC 9396 §2, §6; OAUTH-RAR-02 to -06, EXT-NARROW-03, EXT-REVISE-08, -09.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from abeyance.access.details import (
    TYPE,
    Detail,
    Fact,
    InvalidDetail,
    Keep,
    Limit,
    Part,
    Rendering,
)
from abeyance.wire.strict_json import Json, JsonObject

_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,4})?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_PLACEHOLDER = re.compile(r"\{([^}]*)\}")


def parse_amount(text: str) -> Decimal:
    """Parse an exact amount such as `120` or `120.50`; raise `ValueError` otherwise.

    No sign, exponent, grouping or leading zero: one text for one look, so that
    a reviewer never reads `1.000` as a thousand (SEC-UI-11).
    """
    if not _AMOUNT.fullmatch(text):
        raise ValueError("not an amount")
    return Decimal(text)


class Member(Protocol):
    """One member of an object: its syntax, its words, and how it may shrink."""

    @property
    def optional(self) -> bool: ...
    def check(self, value: Json) -> None:
        """Raise `ValueError` for a value that this member cannot have."""
        ...

    def covers(self, granted: Json, asked: Json) -> bool: ...
    def words(self, value: Json) -> str: ...


@dataclass(frozen=True, slots=True)
class Text:
    """A string that must be granted as asked; `choices` makes it an enumeration."""

    max_length: int = 200
    choices: frozenset[str] | None = None
    optional: bool = False
    label: str | None = None

    def check(self, value: Json) -> None:
        if not isinstance(value, str) or not 0 < len(value) <= self.max_length:
            raise ValueError("a string of bounded length")
        if self.choices is not None and value not in self.choices:
            raise ValueError("one of the known values")

    def covers(self, granted: Json, asked: Json) -> bool:
        return granted == asked

    def words(self, value: Json) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class Claim(Text):
    """Free text of the client: shown as the client's words, never a fact."""

    max_length: int = 1000


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number that must be granted as asked."""

    at_least: int = 0
    at_most: int = 2**53 - 1  # the last that canonical JSON can write
    optional: bool = False
    label: str | None = None

    def check(self, value: Json) -> None:
        if type(value) is not int or not self.at_least <= value <= self.at_most:
            raise ValueError("a whole number in its range")

    def covers(self, granted: Json, asked: Json) -> bool:
        return granted == asked

    def words(self, value: Json) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class Money:
    """`{"amount": "120.50", "currency": "EUR"}`, exact, granted as asked."""

    optional: bool = False
    label: str | None = None

    def check(self, value: Json) -> None:
        if not isinstance(value, Mapping) or set(value) != {"amount", "currency"}:
            raise ValueError("an object of amount and currency")
        amount, currency = value["amount"], value["currency"]
        if not isinstance(amount, str) or not isinstance(currency, str):
            raise ValueError("strings for amount and currency")
        parse_amount(amount)
        if not _CURRENCY.fullmatch(currency):
            raise ValueError("a currency of three capital letters")

    def covers(self, granted: Json, asked: Json) -> bool:
        return granted == asked

    def words(self, value: Json) -> str:
        amount, currency = _money(value)
        return f"{amount} {currency}"


@dataclass(frozen=True, slots=True)
class AtMost(Money):
    """Money as a ceiling: a reviewer may lower it within its currency."""

    def covers(self, granted: Json, asked: Json) -> bool:
        (ceiling, currency), (amount, same) = _money(granted), _money(asked)
        return currency == same and parse_amount(amount) <= parse_amount(ceiling)

    def words(self, value: Json) -> str:
        return f"at most {Money.words(self, value)}"


@dataclass(frozen=True, slots=True)
class SetOf:
    """An array of distinct strings from `choices` (or free ones); parts may be left out."""

    choices: frozenset[str] | None = None
    max_items: int = 32
    max_length: int = 200
    optional: bool = False
    label: str | None = None

    def check(self, value: Json) -> None:
        if not isinstance(value, list) or not 0 < len(value) <= self.max_items:
            raise ValueError("a non-empty array of bounded length")
        for item in value:
            if not isinstance(item, str) or not 0 < len(item) <= self.max_length:
                raise ValueError("an array of strings")
            if self.choices is not None and item not in self.choices:
                raise ValueError("known values only")
        if len(set(value)) != len(value):
            raise ValueError("distinct values")

    def covers(self, granted: Json, asked: Json) -> bool:
        return set(_items(asked)) <= set(_items(granted))

    def words(self, value: Json) -> str:
        return ", ".join(str(item) for item in _items(value))


@dataclass(frozen=True, slots=True)
class DeclaredType:
    """A type made of members; see `declare`."""

    name: str
    title: str
    members: Mapping[str, Member]
    divisible: bool
    standing: bool = False
    sensitive: bool = False

    def validate(self, value: JsonObject) -> Detail:
        for name in value:
            if name != TYPE and name not in self.members:
                raise InvalidDetail("An authorization detail has a member that its type lacks")
        for name, member in self.members.items():
            if name not in value:
                if member.optional:
                    continue
                raise InvalidDetail(f"The member {name} of an authorization detail is missing")
            try:
                member.check(value[name])
            except ValueError:
                raise InvalidDetail(
                    f"The member {name} of an authorization detail is not valid"
                ) from None
        return dict(value)

    def covers(self, granted: Detail, asked: Detail) -> bool:
        for name, member in self.members.items():
            # Present on one side only: what that means is the type's to say, and
            # ours says that it is another request (OAUTH-RAR-05).
            if (name in granted) != (name in asked):
                return False
            if name in granted and not member.covers(granted[name], asked[name]):
                return False
        return True

    def render(self, value: Detail) -> Rendering:
        words = {
            name: member.words(value[name])
            for name, member in self.members.items()
            if name in value
        }
        facts = tuple(
            Fact(
                label=getattr(member, "label", None) or name.replace("_", " ").capitalize(),
                value=words[name],
                claim=isinstance(member, Claim),
            )
            for name, member in self.members.items()
            if name in words
        )
        return Rendering(title=self._fill_title(words), facts=facts)

    def parts(self, value: Detail) -> Sequence[Part]:
        return tuple(
            Part(id=f"{name}:{index}", label=str(item))
            for name, member in self.members.items()
            if isinstance(member, SetOf) and name in value
            for index, item in enumerate(_items(value[name]))
        )

    def limits(self, value: Detail) -> Sequence[Limit]:
        found: list[Limit] = []
        for name, member in self.members.items():
            if isinstance(member, AtMost) and name in value:
                amount, currency = _money(value[name])
                label = member.label or name.replace("_", " ").capitalize()
                found.append(Limit(name, label, asked=parse_amount(amount), unit=currency))
        return tuple(found)

    def narrow(self, value: Detail, keep: Keep) -> Detail | None:
        known = {part.id for part in self.parts(value)}
        if not keep.parts <= known or not set(keep.limits) <= {
            limit.id for limit in self.limits(value)
        }:
            raise InvalidDetail("The decision names a part that was not asked")
        left: dict[str, Json] = dict(value)
        for name, member in self.members.items():
            if name not in value:
                continue
            if isinstance(member, SetOf):
                kept = [
                    item
                    for index, item in enumerate(_items(value[name]))
                    if f"{name}:{index}" in keep.parts
                ]
                if not kept:
                    return None
                left[name] = kept
            elif isinstance(member, AtMost) and name in keep.limits:
                amount, currency = _money(value[name])
                lowered = keep.limits[name]
                if not lowered.is_finite() or lowered > parse_amount(amount):
                    raise InvalidDetail("The decision raises a limit")
                left[name] = {"amount": f"{lowered:f}", "currency": currency}
        return self.validate(left)

    def _fill_title(self, words: Mapping[str, str]) -> str:
        return _PLACEHOLDER.sub(lambda found: words[found[1]], self.title)


def declare(
    name: str,
    *,
    title: str,
    members: Mapping[str, Member],
    standing: bool = False,
    sensitive: bool = False,
) -> DeclaredType:
    """Make a type from its members. `standing`: it grants no single act, so it may be refreshed.
    `sensitive`: it must not stand in the address of a page (OAUTH-RAR-11).

    `title` is what a reviewer reads first; `{member}` in it is replaced by the
    member's words. Raises `ValueError` for a title that names a `Claim` or an
    unknown member: free text never stands in a heading.
    """
    for word in _PLACEHOLDER.findall(title):
        if word not in members or isinstance(members[word], Claim) or members[word].optional:
            raise ValueError(f"the title of {name} names {word}, which is not a required fact")
    divisible = any(isinstance(member, SetOf | AtMost) for member in members.values())
    return DeclaredType(
        name=name,
        title=title,
        members=dict(members),
        divisible=divisible,
        standing=standing,
        sensitive=sensitive,
    )


def _items(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else ()


def _money(value: Json) -> tuple[str, str]:
    """The amount and currency of a value that `Money.check` has accepted."""
    if not isinstance(value, Mapping):
        raise TypeError("not a validated amount of money")
    return str(value["amount"]), str(value["currency"])
