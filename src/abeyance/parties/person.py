"""A person who signs in to the console, and the session and invitation that let them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

PersonId = NewType("PersonId", str)


class Role(StrEnum):
    """What a person may do in the console. Reading what waits for them needs `REVIEWER`."""

    REVIEWER = "reviewer"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """`id` is the name to sign in with; it is kept in votes and audit, so it never changes.

    `password_hash` is argon2id in its encoded form, `None` until a password is set.
    """

    id: PersonId
    name: str
    roles: frozenset[Role]
    password_hash: str | None = None
    enabled: bool = True
    declared: bool = True


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A signed-in browser; the cookie's value rests as its SHA-256 (OAUTH-SESS-01)."""

    digest: bytes
    person: PersonId
    signed_in_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """A one-time link by which a person sets a password (SEC-OPS-03); single use, short."""

    digest: bytes
    person: PersonId
    expires_at: datetime
