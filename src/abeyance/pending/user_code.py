"""User codes: what a person types from one screen into another (RFC 8628 §6.1; DEV-UC-01, -03).

Eight consonants out of twenty, 34.5 bits, so that no word is ever spelled. A code rests as a
keyed hash of its normal form alone.
"""

import hashlib
import hmac
import unicodedata
from typing import Final

ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH: Final = 8
DRAWN_BYTES: Final = 32  # of which eight are below the bound but for one draw in 10^14
_BOUND: Final = 256 - 256 % len(ALPHABET)  # above it, some letters would be likelier
_GROUP: Final = 4


def draw_user_code(chance: bytes) -> str | None:
    """A code in normal form, of `DRAWN_BYTES` random bytes; `None`: draw again."""
    letters = [ALPHABET[each % len(ALPHABET)] for each in chance if each < _BOUND]
    return "".join(letters[:LENGTH]) if len(letters) >= LENGTH else None


def normalize_user_code(text: str) -> str | None:
    """What somebody typed in normal form; `None` if it cannot be a code.

    Look-alikes are not guessed at: only compatibility forms and case are folded, and what is
    no letter of the set is left out.
    """
    # Without `str.upper`, which makes I of the dotless one and SS of the sharp one.
    plain = unicodedata.normalize("NFKC", text)
    letters = [chr(ord(each) - 32) if "a" <= each <= "z" else each for each in plain]
    code = "".join(each for each in letters if each in ALPHABET)
    return code if len(code) == LENGTH else None


def show_user_code(code: str) -> str:
    """As devices and pages show it."""
    return f"{code[:_GROUP]}-{code[_GROUP:]}"


def hash_user_code(code: str, key: bytes) -> bytes:
    """As it rests: 34.5 bits are found by trying, unless a key is missing."""
    return hmac.digest(key, b"user_code\0" + code.encode(), hashlib.sha256)
