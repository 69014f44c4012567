"""The address of an interaction: made anew for each answer, never stored (DTR-IURI).

It names its place and proves by a keyed hash that we made it. It is alive while
its number is the one that is awaited; a later interaction has another address
(EXT-INTERACT-14). The hash comes first, so that no part of it looks like the
deferral code, whose home it shares (EXT-INTERACT-03).

Source: DTR-IURI-01 to -03, EXT-INTERACT-03, -07, -14.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Final

from abeyance.pending.handles import HOME_BYTES, Home
from abeyance.pending.request import Key
from abeyance.wire.base64url import parse_base64url, render_base64url
from abeyance.wire.secret import Secret

_PLACE: Final = struct.Struct(f">{HOME_BYTES}sIH")
_MAC_BYTES: Final = 32
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an interaction belongs."""

    key: Key
    number: int


def mint_interaction(place: Place, key: bytes) -> Secret:
    """The last segment of the interaction URI, the same each time it is shown."""
    packed = _pack(place)
    return Secret(render_base64url(_mac(packed, key) + packed))


def parse_interaction(text: str, key: bytes) -> Place | None:
    """The place that this segment names, or `None` for one that we did not make."""
    try:
        raw = parse_base64url(text)
    except ValueError:
        return None
    packed = raw[_MAC_BYTES:]
    if len(packed) != _PLACE.size or not hmac.compare_digest(raw[:_MAC_BYTES], _mac(packed, key)):
        return None
    home, n, number = _PLACE.unpack(packed)
    return Place(Key(Home(home), n), number)


def comparison_code(place: Place, key: bytes) -> str:
    """A short code that client and page show, so that a person sees that one belongs to the
    other. Never more than that: 40 bits, in Crockford's alphabet (EXT-INTERACT-09).
    """
    bits = int.from_bytes(
        hmac.digest(key, b"comparison\0" + _pack(place), hashlib.sha256)[:5], "big"
    )
    symbols = "".join(_CROCKFORD[bits >> shift & 31] for shift in range(35, -1, -5))
    return f"{symbols[:4]}-{symbols[4:]}"


def _pack(place: Place) -> bytes:
    return _PLACE.pack(place.key.home, place.key.n, place.number)


def _mac(packed: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"interaction\0" + packed, hashlib.sha256)
