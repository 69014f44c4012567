"""`Secret`: a string that does not show itself.

Whoever needs the characters says so (`reveal`), which is easy to find by
search. Equality raises, because comparing secrets with `==` leaks where they
differ (OAUTH-SEC-04, OAUTH-LOG-06).
"""

import hashlib
import hmac
from typing import Final, NoReturn

MASK: Final = "Secret(***)"


class Secret:
    """A confidential string; `repr`, `str` and pickling never show it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the characters, for the one place that must send or hash them."""
        return self._value

    def digest(self) -> bytes:
        """SHA-256 of the UTF-8 characters: how generated secrets rest (OAUTH-SEC-02)."""
        return hashlib.sha256(self._value.encode()).digest()

    def matches(self, digest: bytes) -> bool:
        """Compare with a stored digest in constant time."""
        return hmac.compare_digest(self.digest(), digest)

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("secrets are compared with matches(), in constant time")

    __hash__ = None  # type: ignore[assignment]  # a secret is never a dictionary key

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
