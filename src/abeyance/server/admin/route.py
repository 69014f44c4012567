"""What a resource of the API declares: method, path, scope, what goes in, what comes out."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import msgspec

from abeyance.acts.house import House
from abeyance.parties.person import Person, Role
from abeyance.server.admin.problems import forbidden, malformed
from abeyance.server.settings_parties import Known
from abeyance.wire.strict_json import NotStrictJson, parse_json_object

DEFAULT_LIMIT: Final = 50
MOST: Final = 100
_MAX_QUERY_VALUE: Final = 300


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a request may carry: these members and no others."""


class Told(msgspec.Struct, kw_only=True, omit_defaults=False):
    """What an answer tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, as the token or the local operator says.

    `actor` is how the audit names them, `owner` what an idempotency key belongs to.
    `person`: who stands behind it; administers and decides by their roles.
    """

    actor: str
    owner: str
    scope: frozenset[str]
    client: str | None
    person: Person | None
    is_operator: bool = False

    @property
    def administers(self) -> bool:
        """May they do what concerns others? A client of its own, for what its scopes say."""
        return self.is_operator or self.person is None or Role.ADMINISTRATOR in self.person.roles

    def check_administers(self) -> None:
        if not self.administers:
            raise forbidden("not_an_administrator", "Only administrators may do this.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminRequest:
    """A request after transport checks; `parts` are the variable parts of its path."""

    caller: Caller
    parts: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    if_match: str | None

    def limit(self) -> int:
        text = self.query.get("limit")
        if text is None:
            return DEFAULT_LIMIT
        if not (text.isascii() and text.isdigit() and len(text) < 4 and 0 < int(text) <= MOST):
            raise malformed(f"limit is a number from 1 to {MOST}", "limit")
        return int(text)

    def one_of(self, name: str, values: tuple[str, ...]) -> str | None:
        text = self.query.get(name)
        if text is not None and text not in values:
            raise malformed(f"{name} is one of {', '.join(values)}", name)
        return text

    def text(self, name: str) -> str | None:
        text = self.query.get(name)
        if text is not None and (not text or len(text) > _MAX_QUERY_VALUE):
            raise malformed(f"{name} is empty or too long", name)
        return text


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is a structure, or `None` for an answer without one."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Office:
    """The house, and what clients of it may refer to. `hosted`: a host application signs
    people in.
    """

    house: House
    known: Known
    hosted: bool = False


Handler: TypeAlias = Callable[[Office, AdminRequest], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A parameter of the query."""

    name: str
    summary: str
    values: tuple[str, ...] = ()


CURSOR: Final = Query(name="cursor", summary="Where the next page begins: `next` of the one before")
LIMIT: Final = Query(name="limit", summary=f"How many at most, up to {MOST}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminRoute:
    """`path` is below `/admin`, with `{name}` for a variable part.

    `body` and `told` are the structures that go in and come out; `scope` is what a
    token must have. `is_guarded`: `If-Match` is required.
    """

    method: str
    path: str
    scope: str
    handle: Handler
    summary: str
    body: type[Body] | None = None
    told: Any = None
    status: int = 200
    query: tuple[Query, ...] = ()
    is_guarded: bool = False

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\?\{(\w+)\\?\}", r"(?P<\1>[^/]+)", self.path))


def read_body(request: AdminRequest, kind: type[Any]) -> Any:
    """The body as this structure. Raises `Problem` naming the member."""
    try:
        value = parse_json_object(request.body)
    except NotStrictJson as wrong:
        raise malformed(f"The body is {wrong}") from None
    try:
        return msgspec.convert(dict(value), kind)
    except msgspec.ValidationError as wrong:
        text = str(wrong)
        where = re.search(r"at `\$\.?(.*?)`", text)
        # The library's words name types and members; only the body's own names could be odd.
        raise malformed(_plain(text), where[1] if where else None) from None


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() and each.isascii() else "?" for each in text)[:300]
