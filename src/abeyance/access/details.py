"""`authorization_details`: a registry of types (RFC 9396; OAUTH-RAR-01 to -06).

RFC 9396 gives no generic comparison, so nothing here compares two objects by
their members: each type brings its validator, its comparator, its renderer and
what of it a reviewer may take away. Types are usually built with the toolkit in
`members.py`; anything with these attributes will do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from abeyance.access.canonical import canonical_json
from abeyance.wire.errors import InvalidAuthorizationDetails
from abeyance.wire.strict_json import Json, JsonObject, NotStrictJson, parse_json

MAX_LENGTH: Final = 32 * 1024
MAX_OBJECTS: Final = 32
TYPE: Final = "type"

Detail = Mapping[str, Json]  # one validated object, `type` included


class InvalidDetail(ValueError):
    """The validator refuses; the message is a sentence of ours without the client's text."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line that a reviewer reads: what the request asks in one respect.

    `claim` marks text that the client wrote freely: it is shown as the client's,
    after the facts, and decides nothing (SEC-UI-09).
    """

    label: str
    value: str
    claim: bool = False


@dataclass(frozen=True, slots=True)
class Rendering:
    """An object in a reviewer's words: a title and every constraint."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece that a reviewer may leave out; `id` is unique within its object."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A number that a reviewer may lower; `asked` is exact, `unit` is shown beside it."""

    id: str
    label: str
    asked: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Keep:
    """What a reviewer leaves of one object: the parts kept and the limits set."""

    parts: frozenset[str]
    limits: Mapping[str, Decimal]


class DetailsType(Protocol):
    """One registered type. `divisible`: may it be granted in part (EXT-NARROW-03)?

    A type may also have `standing = True`: what it grants is not one act but may
    be done again, so that its approval can be refreshed. With `sensitive = True` it is
    taken from clients only, never from the address that a browser carries.
    """

    @property
    def name(self) -> str: ...
    @property
    def divisible(self) -> bool: ...
    def validate(self, value: JsonObject) -> Detail:
        """Return the object as it will be stored; raise `InvalidDetail`."""
        ...

    def covers(self, granted: Detail, asked: Detail) -> bool:
        """Is everything that `asked` asks allowed by `granted`?"""
        ...

    def render(self, value: Detail) -> Rendering: ...
    def parts(self, value: Detail) -> Sequence[Part]: ...
    def limits(self, value: Detail) -> Sequence[Limit]: ...
    def narrow(self, value: Detail, keep: Keep) -> Detail | None:
        """Return what is left, `None` if nothing is; raise `InvalidDetail` if it would grow."""
        ...


class DetailsTypes:
    """The types that this server knows, by name. Immutable."""

    __slots__ = ("_types",)

    def __init__(self, types: Iterable[DetailsType] = ()) -> None:
        self._types = {each.name: each for each in types}

    def __getitem__(self, name: str) -> DetailsType:
        return self._types[name]

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._types))

    def accepts(self, value: Detail) -> bool:
        """Is this object still one of a known type, by the type as it is now?"""
        name = value.get(TYPE)
        if not isinstance(name, str) or name not in self._types:
            return False
        try:
            self._types[name].validate(value)
        except InvalidDetail:
            return False
        return True

    def is_standing(self, details: Sequence[Detail]) -> bool:
        """May all of this be used again and again, so that it can be refreshed (EXT-BOUND-03)?

        An object names one act unless its type says `standing`.
        """
        return all(
            getattr(self._types.get(str(each[TYPE])), "standing", False) is True for each in details
        )

    def is_sensitive(self, details: Sequence[Detail]) -> bool:
        """Is there one that must not travel through a browser (OAUTH-RAR-11)?"""
        return any(
            getattr(self._types.get(str(each[TYPE])), "sensitive", False) is True
            for each in details
        )

    def parse(self, text: str) -> tuple[Detail, ...]:
        """Parse an `authorization_details` parameter.

        Raises `InvalidAuthorizationDetails` for anything but a non-empty array
        of objects of known types that their validators accept.
        """
        if len(text) > MAX_LENGTH:
            raise InvalidAuthorizationDetails("The authorization_details are too long")
        try:
            value = parse_json(text)
        except NotStrictJson:
            raise InvalidAuthorizationDetails(
                "The authorization_details are not well-formed JSON"
            ) from None
        if not isinstance(value, list) or not value:
            raise InvalidAuthorizationDetails(
                "The authorization_details must be a non-empty array of objects"
            )
        if len(value) > MAX_OBJECTS:
            raise InvalidAuthorizationDetails("The authorization_details have too many objects")
        return tuple(self._validate(each) for each in value)

    def covered(self, granted: Sequence[Detail], asked: Sequence[Detail]) -> bool:
        """Does every granted object fit under an asked one *of its own*?

        Injective, since two equal payments are two payments: one asked object
        never carries two granted ones (EXT-REVISE-08).
        """
        taken: dict[int, int] = {}  # asked index -> granted index

        def place(index: int, tried: set[int]) -> bool:
            for slot, one in enumerate(asked):
                if slot in tried or not self._covers(one, granted[index]):
                    continue
                tried.add(slot)
                if slot not in taken or place(taken[slot], tried):
                    taken[slot] = index
                    return True
            return False

        return all(place(index, set()) for index in range(len(granted)))

    def common(self, some: Sequence[Detail], others: Sequence[Detail]) -> tuple[Detail, ...]:
        """What both allow: of each pair where one covers the other, the narrower."""
        pool = list(others)
        kept: list[Detail] = []
        for one in some:
            for index, other in enumerate(pool):
                if self._covers(other, one) or self._covers(one, other):
                    kept.append(one if self._covers(other, one) else other)
                    del pool[index]
                    break
        return tuple(kept)

    def _covers(self, granted: Detail, asked: Detail) -> bool:
        name = asked[TYPE]
        if granted[TYPE] != name or not isinstance(name, str):
            return False
        if name not in self._types:
            # A type that has left the registry may only stay as it is.
            return canonical_json(granted) == canonical_json(asked)
        kind = self._types[name]
        if not kind.divisible:
            return canonical_json(granted) == canonical_json(asked)
        return kind.covers(granted, asked)

    def _validate(self, value: Json) -> Detail:
        if not isinstance(value, Mapping):
            raise InvalidAuthorizationDetails("Each authorization detail must be an object")
        name = value.get(TYPE)
        if not isinstance(name, str) or name not in self._types:
            raise InvalidAuthorizationDetails("The type of an authorization detail is not known")
        try:
            return self._types[name].validate(value)
        except InvalidDetail as refused:
            raise InvalidAuthorizationDetails(str(refused)) from None
