"""Base64url without padding, strict: one text for one value (RFC 4648 §5).

Python's own decoder skips foreign characters and accepts non-zero trailing
bits; both give one value several spellings, so both are refused here.
"""

import base64
import binascii
import re

_ALPHABET = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def render_base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def parse_base64url(text: str) -> bytes:
    """Decode, or raise `ValueError` for anything but the one canonical spelling."""
    if not _ALPHABET.fullmatch(text):
        raise ValueError("not base64url")
    try:
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("not base64url") from None
    # Four characters are three bytes exactly; other lengths have bits to spare.
    if len(text) % 4 and render_base64url(value) != text:
        raise ValueError("not canonical base64url")
    return value
