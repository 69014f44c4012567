"""The disclosure object, drawn: a function of the object and of the template that it names.

Whoever keeps the object and this package can redraw what was on the screen
(EXT-EVID-06). Nothing else of a request reaches these templates: what is not in
the object was not shown, and what is in it is shown in full (SEC-UI-09, -11).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from markupsafe import Markup

from abeyance.access.canonical import canonical_json
from abeyance.server.pages.drawing import Pages
from abeyance.wire.strict_json import Json, JsonObject

# By the object's own template member. An old version stays as long as votes name it.
_TEMPLATES: Final = {
    ("review", "1"): "disclosure-review-1.html",
    ("review", "2"): "disclosure-review-2.html",
    ("review", "3"): "disclosure-review-3.html",
}


class NotDrawable(ValueError):
    """The object names a template that this version does not have."""


@dataclass(frozen=True, slots=True)
class Part:
    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Limit:
    id: str
    label: str
    asked: Decimal
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that would be granted, as the object tells it."""

    id: str
    kind: str
    title: str
    value: str | None
    known: bool
    divisible: bool
    facts: tuple[tuple[str, str], ...]
    claims: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    limits: tuple[Limit, ...]

    @property
    def is_choice(self) -> bool:
        """May it be left out? Without its resource a token is useless."""
        return self.kind != "resource" and self.known


@dataclass(frozen=True, slots=True)
class Owner:
    """The resource owner behind the request."""

    id: str
    name: str
    authenticated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A step that somebody took."""

    title: str
    note: str | None
    person_id: str
    person_name: str
    vouched: bool
    answers: tuple[tuple[str, str], ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosed:
    """The object, typed."""

    object: JsonObject
    grant_type: str
    opened_at: datetime
    decide_by: datetime
    expires_at: datetime
    client_id: str
    client_name: str
    subject: str
    key: str | None
    items: tuple[Item, ...]
    lifetime: timedelta
    person: Owner | None
    interactions: tuple[Taken, ...]
    asserted_by: str | None
    actors: tuple[str, ...]
    target: str | None
    refused_before: int
    remembered: bool

    @property
    def grants(self) -> tuple[Item, ...]:
        """What would be granted: details and scopes, without the places of use."""
        return tuple(item for item in self.items if item.kind != "resource")

    @property
    def title(self) -> str:
        """What stands above the page: the first thing that would be granted."""
        return self.grants[0].title if self.grants else "Nothing in particular"

    @property
    def resources(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.kind == "resource")

    @property
    def is_for_itself(self) -> bool:
        """Does the client ask for itself, with no person behind the request?"""
        return self.subject in (self.client_id, f"client:{self.client_id}")

    @property
    def claims(self) -> tuple[tuple[str, str], ...]:
        """The client's own words, of all items."""
        return tuple(claim for item in self.items for claim in item.claims)

    @property
    def is_known(self) -> bool:
        """Can all of it be shown? Otherwise it cannot be approved as asked."""
        return all(item.known for item in self.items)

    @property
    def canonical(self) -> str:
        return canonical_json(self.object).decode()


def read_object(shown: JsonObject) -> Disclosed:
    """Type a disclosure object of ours; raises `NotDrawable` for another version's."""
    _template_of(shown)
    request, client = _map(shown["request"]), _map(shown["client"])
    return Disclosed(
        object=shown,
        grant_type=str(request["grant_type"]),
        opened_at=datetime.fromisoformat(str(request["opened_at"])),
        decide_by=datetime.fromisoformat(str(request["decide_by"])),
        expires_at=datetime.fromisoformat(str(request["expires_at"])),
        client_id=str(client["id"]),
        client_name=str(client["name"]),
        subject=str(shown["subject"]),
        key=None if shown["key"] is None else str(shown["key"]),
        items=tuple(_read_item(_map(item)) for item in _list(shown["items"])),
        lifetime=timedelta(seconds=int(str(shown["lifetime"]))),
        # Version 1 knew neither, version 2 nothing of who acts and who says so.
        person=_read_owner(shown.get("person")),
        interactions=tuple(
            _read_taken(_map(each)) for each in _list(shown.get("interactions", []))
        ),
        asserted_by=_read_text(shown.get("asserted_by")),
        actors=tuple(_read_actor(_map(each)) for each in _list(shown.get("actors", []))),
        target=_read_text(shown.get("target")),
        refused_before=int(str(shown.get("refused_before", 0))),
        remembered=shown.get("remembered") is True,
    )


def read_items(shown: JsonObject) -> tuple[Item, ...]:
    """The items of any object that has them, such as what a person is asked to agree to."""
    return tuple(_read_item(_map(item)) for item in _list(shown["items"]))


def draw(pages: Pages, disclosed: Disclosed) -> Markup:
    """Draw the object with the template that it names."""
    return pages.draw(_template_of(disclosed.object), {"shown": disclosed})


def _template_of(shown: JsonObject) -> str:
    template = _map(shown["template"])
    try:
        return _TEMPLATES[str(template["id"]), str(template["version"])]
    except KeyError:
        raise NotDrawable("this version cannot draw what was shown then") from None


def _read_owner(value: Json) -> Owner | None:
    if value is None:
        return None
    person = _map(value)
    at = person["authenticated_at"]
    return Owner(
        id=str(person["id"]),
        name=str(person["name"]),
        authenticated_at=None if at is None else datetime.fromisoformat(str(at)),
    )


def _read_actor(actor: JsonObject) -> str:
    more = [str(actor[part]) for part in ("client_id", "iss") if part in actor]
    return " ".join([str(actor["sub"]), *(f"({each})" for each in more)])


def _read_text(value: Json) -> str | None:
    return None if value is None else str(value)


def _read_taken(step: JsonObject) -> Taken:
    person = _map(step["person"])
    return Taken(
        title=str(step["title"]),
        note=None if step["note"] is None else str(step["note"]),
        person_id=str(person["id"]),
        person_name=str(person["name"]),
        vouched=step["vouched"] is True,
        answers=_pairs(step["answers"]),
        at=datetime.fromisoformat(str(step["at"])),
    )


def _read_item(item: JsonObject) -> Item:
    return Item(
        id=str(item["id"]),
        kind=str(item["kind"]),
        title=str(item["title"]),
        value=str(item["value"]) if "value" in item else None,
        known=item.get("known", True) is True,
        divisible=item.get("divisible", False) is True,
        facts=_pairs(item.get("facts", [])),
        claims=_pairs(item.get("claims", [])),
        parts=tuple(Part(*pair) for pair in _pairs(item.get("parts", []))),
        limits=tuple(
            Limit(str(id_), str(label), Decimal(str(asked)), str(unit))
            for id_, label, asked, unit in map(_list, _list(item.get("limits", [])))
        ),
    )


def _pairs(value: Json) -> tuple[tuple[str, str], ...]:
    return tuple((str(one), str(other)) for one, other in map(_list, _list(value)))


def _map(value: Json) -> JsonObject:
    if not isinstance(value, Mapping):
        raise TypeError("not a disclosure object")
    return value


def _list(value: Json) -> Sequence[Json]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError("not a disclosure object")
    return value
