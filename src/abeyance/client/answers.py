"""What the token endpoint said.

Classified by the member `error` and the presence of `deferral_code`, never by
the HTTP status (EXT-NOTE-09, reading 16): servers, proxies and drafts disagree
about the status, and both mistakes were seen in the field, clients that give up
on every 400 and clients that wait on every 400. Unknown members are ignored
(DTR-RESP-07). An answer that says yes and no at once is taken for neither.
"""

import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeAlias

from abeyance.client.access import Detail
from abeyance.client.exchange import Received
from abeyance.client.progress import Waiting
from abeyance.wire import names
from abeyance.wire.secret import Secret

log: Final = logging.getLogger("abeyance.client")

MAX_TEXT: Final = 240
_LONGEST: Final = timedelta(days=3650)  # what is told beyond this is read as this

_PENDING: Final[Mapping[str, Waiting]] = {
    names.AUTHORIZATION_PENDING: Waiting.PENDING,
    names.INTERACTION_REQUIRED: Waiting.INTERACTION_REQUIRED,
    # Not yet in the draft; accepted always (reading 26).
    names.INTERACTION_PENDING: Waiting.INTERACTION_PENDING,
}
_PASSING: Final = frozenset({names.SERVER_ERROR, names.TEMPORARILY_UNAVAILABLE})

_VISIBLE: Final = re.compile(r"[\x20-\x7e]+", re.ASCII)
_SCHEME: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,256}", re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_NONCE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,1024}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A success response. `scope` and `details` are `None` where the server did not tell them."""

    access_token: Secret
    token_type: str
    expires_in: timedelta | None
    scope: tuple[str, ...] | None
    details: tuple[Detail, ...] | None
    refresh_token: Secret | None
    other: Mapping[str, Any] = field(repr=False)
    names_a_code: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """The deferred response; `interval` and `expires_in` are `None` if missing or bad."""

    code: Secret
    waiting: Waiting
    interval: timedelta | None
    expires_in: timedelta | None
    description: str | None
    interaction_uri: Secret | None = None
    interaction_code: str | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending state without a code: what polls get. `error` is its wire name.

    `interaction_uri` as the server sent it: where it leads is the caller's to check.
    """

    error: str
    waiting: Waiting
    description: str | None
    interaction_uri: Secret | None = None
    interaction_code: str | None = None


@dataclass(frozen=True, slots=True)
class TooFast:
    """`slow_down`."""

    description: str | None


@dataclass(frozen=True, slots=True)
class NonceWanted:
    """`use_dpop_nonce`."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Any other error code, raw; whether it ends something is the caller's to judge."""

    error: str
    description: str | None
    remark: str | None = None
    outcome: str | None = None
    next_action: str | None = None
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Passing:
    """The server cannot answer at the moment; `worded` if it said so with an error code."""

    reason: str
    worded: bool = False


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Well-formed, but it must not be acted upon."""

    reason: str


Answer: TypeAlias = (
    Granted | Deferred | Pending | TooFast | NonceWanted | Refusal | Passing | Contradiction
)


def read_answer(received: Received, *, polling: bool) -> Answer:
    """Classify a response of the token endpoint. Never raises.

    To a poll, a `deferral_code` is a member without meaning: the code that was
    handed out stays the code.
    """
    members = parse_members(received.body)
    if members is None:
        return Passing("the response is not JSON")
    error = members.get(names.ERROR)
    token = members.get(names.ACCESS_TOKEN)
    if error is None and token is None:
        return Passing("the response is not one of a token endpoint")
    if error is not None and token is not None:
        return Contradiction("The response has both an error and a token")
    if error is None:
        return _granted(members)
    if not isinstance(error, str) or not error:
        return Passing("the response has no readable error code", worded=True)
    return _refused(error, members, polling)


def note_status(received: Received, answer: Answer) -> None:
    """Report a status that does not fit the answer; it decides nothing (T-229)."""
    expected = {Granted: (200,), Passing: range(600)}.get(type(answer), (400, 401))
    if received.status not in expected:
        log.warning("the status %d does not fit the answer, which counts", received.status)


def parse_members(body: bytes) -> Mapping[str, Any] | None:
    """Decode a JSON object, or `None`.

    Forgiving about what we do not read (any depth and any number), strict about
    names: a member that occurs twice makes the document unreadable.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_once,
            parse_int=_any_integer,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def retry_after(received: Received, now: datetime) -> timedelta | None:
    """`Retry-After` in either form, or `None`; a date counts by the server's own clock."""
    text = received.headers.get(names.HEADER_RETRY_AFTER.lower(), "").strip()
    if not text:
        return None
    if _SECONDS.fullmatch(text):
        return _bounded(int(text))
    until = _http_date(text)
    if until is None:
        return None
    told = _http_date(received.headers.get("date", ""))
    return max(timedelta(), min(until - (told or now), _LONGEST))


def fresh_nonce(received: Received) -> str | None:
    """The DPoP nonce that came with the response, if it can be used (RFC 9449 §8.1)."""
    nonce = received.headers.get(names.HEADER_DPOP_NONCE.lower())
    return nonce if nonce is not None and _NONCE.fullmatch(nonce) else None


def legible(value: Any) -> str | None:
    """Text from outside, made safe to print: no control or direction characters, not long."""
    if not isinstance(value, str):
        return None
    return "".join(char for char in value[: 4 * MAX_TEXT] if char.isprintable())[:MAX_TEXT]


def _refused(error: str, members: Mapping[str, Any], polling: bool) -> Answer:
    description = legible(members.get(names.ERROR_DESCRIPTION))
    waiting = _PENDING.get(error)
    if waiting is not None:
        if polling or names.DEFERRAL_CODE not in members:
            code = legible(members.get(names.INTERACTION_CODE))
            return Pending(error, waiting, description, _address(members), code)
        code = members[names.DEFERRAL_CODE]
        if not isinstance(code, str) or not _VISIBLE.fullmatch(code):
            return Contradiction("The deferral code cannot be used")
        return Deferred(
            code=Secret(code),
            waiting=waiting,
            interval=_positive_seconds(members.get(names.INTERVAL)),
            expires_in=_positive_seconds(members.get(names.EXPIRES_IN)),
            description=description,
            interaction_uri=_address(members),
            interaction_code=legible(members.get(names.INTERACTION_CODE)),
        )
    if error == names.SLOW_DOWN:
        return TooFast(description)
    if error == names.USE_DPOP_NONCE:
        return NonceWanted()
    if error in _PASSING:
        return Passing("the server cannot answer at the moment", worded=True)
    return Refusal(
        error,
        description,
        remark=legible(members.get(names.DEFERRAL_REMARK)),
        outcome=legible(members.get(names.DEFERRAL_OUTCOME)),
        next_action=legible(members.get(names.NEXT_ACTION)),
        retry_after=_positive_seconds(members.get(names.RETRY_AFTER)),
    )


_READ: Final = frozenset(
    {
        names.ACCESS_TOKEN,
        names.TOKEN_TYPE,
        names.EXPIRES_IN,
        names.SCOPE,
        names.AUTHORIZATION_DETAILS,
        "refresh_token",
        names.DEFERRAL_CODE,
    }
)


def _granted(members: Mapping[str, Any]) -> Answer:
    token, kind = members[names.ACCESS_TOKEN], members.get(names.TOKEN_TYPE)
    if not isinstance(token, str) or not _VISIBLE.fullmatch(token):
        return Contradiction("The access token is not text")
    if not isinstance(kind, str) or not _SCHEME.fullmatch(kind):
        return Contradiction("The token type is missing")
    if members.get("issued_token_type") == names.TOKEN_TYPE_DEFERRAL_CODE:
        return Contradiction("The token is a deferral code of an early draft")
    scope = members.get(names.SCOPE)
    if scope is not None and not isinstance(scope, str):
        return Contradiction("The granted scope cannot be read")
    details = members.get(names.AUTHORIZATION_DETAILS)
    if details is not None and not (
        isinstance(details, list) and all(isinstance(each, dict) for each in details)
    ):
        return Contradiction("The granted authorization_details cannot be read")
    refresh = members.get("refresh_token")
    return Granted(
        access_token=Secret(token),
        token_type=kind,
        expires_in=_positive_seconds(members.get(names.EXPIRES_IN)),
        scope=None if scope is None else tuple(scope.split()),
        details=None if details is None else tuple(details),
        refresh_token=Secret(refresh) if isinstance(refresh, str) and refresh else None,
        other={name: value for name, value in members.items() if name not in _READ},
        names_a_code=names.DEFERRAL_CODE in members,
    )


def _address(members: Mapping[str, Any]) -> Secret | None:
    value = members.get(names.INTERACTION_URI)
    return Secret(value) if isinstance(value, str) and value else None


def _positive_seconds(value: Any) -> timedelta | None:
    # `bool` is an `int` to Python, not to JSON; 5.0 and "5" are not integers to JSON either.
    if type(value) is not int or value <= 0:
        return None
    return _bounded(value)


def _bounded(seconds: int) -> timedelta:
    return timedelta(seconds=min(seconds, int(_LONGEST.total_seconds())))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a member name occurs twice")
    return value


def _any_integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 1000 else math.inf


def _refuse(_name: str) -> float:
    raise ValueError("not a JSON number")


def _http_date(text: str) -> datetime | None:
    try:
        value = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return value if value.tzinfo is not None else None
