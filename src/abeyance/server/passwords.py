"""Passwords: argon2id, at most four computations at once (OAUTH-SEC-03, SEC-DOS-16).

Each `verify` costs one computation, whoever asks: an unknown person and a
password that is too long are measured against a hash that nobody has, so that
time does not tell who exists (OAUTH-SESS-07). `computations` counts them.
"""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from typing import Final, TypeVar

import argon2

from abeyance.wire.secret import Secret

AT_ONCE: Final = 4
WAITING: Final = 64
MIN_LENGTH: Final = 12  # characters
MAX_BYTES: Final = 1024

# OAUTH-SEC-03: 64 MiB is the default, 19 MiB the least that a stored hash may have used. Above
# the most, one sign-in would take the memory of the server.
MEMORY_KIB: Final = 64 * 1024
LEAST_MEMORY_KIB: Final = 19 * 1024
MOST_MEMORY_KIB: Final = 1024 * 1024

_HASHER: Final = argon2.PasswordHasher(
    time_cost=3, memory_cost=MEMORY_KIB, parallelism=4, hash_len=32, salt_len=16
)
# Of 32 random bytes that were thrown away, with the parameters above.
_NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

_Result = TypeVar("_Result")


class Verdict(Enum):
    """What a password is worth."""

    WRONG = auto()
    RIGHT = auto()
    RIGHT_BUT_OLD = auto()  # computed with other parameters than today's: hash again


class UnfitPassword(ValueError):
    """Too short or too long; the message is a sentence for the person."""


class UnfitHash(ValueError):
    """Not an argon2id hash, or one that is too weak; the message says what it is."""


class Overloaded(Exception):
    """More sign-ins wait than the server will ever serve in time; answered 503."""


class Passwords:
    """Computes in threads of its own. Close it at the end."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="password")
        self._waiting = 0
        self.computations = 0

    async def hash(self, password: Secret) -> str:
        """Return the encoded hash. Raises `UnfitPassword`, `Overloaded`."""
        text = check_fit(password)
        return await self._compute(lambda: _HASHER.hash(text))

    async def verify(self, password: Secret, encoded: str | None) -> Verdict:
        """Compare with a stored hash; `None`: there is no such person or no password yet.

        Raises `Overloaded`.
        """
        text = _normalized(password)
        fits = encoded is not None and len(text) <= MAX_BYTES
        if encoded is None or not fits:
            await self._compute(lambda: _matches(_NOBODY, text[:MAX_BYTES]))
            return Verdict.WRONG
        if not await self._compute(lambda: _matches(encoded, text)):
            return Verdict.WRONG
        return Verdict.RIGHT_BUT_OLD if _HASHER.check_needs_rehash(encoded) else Verdict.RIGHT

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _compute(self, work: Callable[[], _Result]) -> _Result:
        if self._waiting >= WAITING:
            raise Overloaded
        self._waiting += 1
        self.computations += 1
        try:
            # The bound is the number of threads: a caller that goes away does not free one
            # before its computation ends.
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def hash_password_now(password: Secret) -> str:
    """Compute here and now, for the command line. Raises `UnfitPassword`."""
    return _HASHER.hash(check_fit(password))


def check_fit(password: Secret) -> bytes:
    """Return what is hashed, or raise `UnfitPassword`."""
    if len(password.reveal()) < MIN_LENGTH:
        raise UnfitPassword(f"A password needs at least {MIN_LENGTH} characters")
    text = _normalized(password)
    if len(text) > MAX_BYTES:
        raise UnfitPassword(f"A password has at most {MAX_BYTES} bytes")
    return text


def check_encoded(encoded: str) -> None:
    """Raise `UnfitHash` unless this is argon2id with parameters of today."""
    try:
        parameters = argon2.extract_parameters(encoded)
    except argon2.exceptions.InvalidHash:
        raise UnfitHash("is not an encoded argon2 hash") from None
    if parameters.type is not argon2.Type.ID or parameters.version != 19:
        raise UnfitHash("is not an argon2id hash of version 19")
    if parameters.memory_cost < LEAST_MEMORY_KIB or parameters.time_cost < 2:
        raise UnfitHash("was computed with less than 19 MiB or fewer than 2 passes")
    if parameters.memory_cost > MOST_MEMORY_KIB or parameters.time_cost > 20:
        raise UnfitHash("would cost more than 1 GiB or 20 passes at each sign-in")
    if parameters.salt_len < 16 or parameters.hash_len < 32:
        raise UnfitHash("has a salt or hash that is too short")


def _normalized(password: Secret) -> bytes:
    # Two keyboards may type one letter in two ways (NIST SP 800-63B, 3.1.1.2).
    return unicodedata.normalize("NFKC", password.reveal()).encode("utf-8", "surrogatepass")


def _matches(encoded: str, text: bytes) -> bool:
    try:
        return _HASHER.verify(encoded, text)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHash):
        return False
