"""A person who signs in, and the session and invitation that let them."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NewType

IDLE: Final = timedelta(minutes=30)
ABSOLUTE: Final = timedelta(hours=12)

PersonId = NewType("PersonId", str)

_PERSON_ID = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}", re.ASCII)


_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}", re.ASCII)


def is_email(text: str) -> bool:
    """Could it be an address? Whether it is one, only a message tells."""
    return _EMAIL.fullmatch(text) is not None


def is_person_id(text: str) -> bool:
    """Lower case only, so that no two look alike."""
    return _PERSON_ID.fullmatch(text) is not None


class Role(StrEnum):
    """What a person may do beyond their own affairs: everybody signs in to grant."""

    REVIEWER = "reviewer"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """`id` is the name to sign in with, and the `sub` of tokens; it never changes.

    `password_hash` is argon2id in its encoded form, `None` until a password is set.
    `email` is told to clients that may know it (OpenID Connect); `email_verified`: the operator
    vouches for it. `barred` as of a client.
    """

    id: PersonId
    name: str
    roles: frozenset[Role]
    password_hash: str | None = None
    email: str | None = None
    email_verified: bool = False
    enabled: bool = True
    barred: bool = False
    declared: bool = True


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A signed-in browser; the cookie's value rests as its SHA-256 (OAUTH-SESS-01)."""

    digest: bytes
    person: PersonId
    signed_in_at: datetime
    seen_at: datetime

    def is_over(self, now: datetime) -> bool:
        """Has it run out, whether or not anybody has noticed?"""
        return now - self.seen_at >= IDLE or now - self.signed_in_at >= ABSOLUTE


@dataclass(frozen=True, slots=True)
class Invitation:
    """A one-time link by which a person sets a password (SEC-OPS-03); single use, short."""

    digest: bytes
    person: PersonId
    expires_at: datetime
