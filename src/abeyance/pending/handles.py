"""Handles: how an outsider names a pending request (OAUTH-DEFER-07, DTR-RESP-02).

A handle is the home (16 bytes, where everything of one grant lives) and a
secret of 256 bits, base64url: 64 characters without visible meaning. It rests
as SHA-256 over its kind and all 48 bytes, so that no kind is ever found where
another is expected.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NewType

from abeyance.wire.base64url import parse_base64url, render_base64url
from abeyance.wire.secret import Secret

Home = NewType("Home", bytes)

HOME_BYTES: Final = 16
SECRET_BYTES: Final = 32
LENGTH: Final = 64  # characters


class HandleKind(StrEnum):
    """One member for each kind of handle; part of what is hashed."""

    DEFERRAL_CODE = "deferral_code"
    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"
    DEVICE_CODE = "device_code"


@dataclass(frozen=True, slots=True)
class HandleHash:
    """A handle at rest: where to look, and what must be found there."""

    home: Home
    digest: bytes


def mint_handle(kind: HandleKind, home: Home, secret: bytes) -> tuple[Secret, HandleHash]:
    """Make a handle from a home and 32 random bytes."""
    if len(home) != HOME_BYTES or len(secret) != SECRET_BYTES:
        raise ValueError("a handle has 16 bytes of home and 32 bytes of secret")
    raw = home + secret
    return Secret(render_base64url(raw)), _at_rest(kind, raw)


def parse_handle(kind: HandleKind, text: str) -> HandleHash | None:
    """Return what to look for, or `None` for text that no handle can have."""
    if len(text) != LENGTH:
        return None
    try:
        return _at_rest(kind, parse_base64url(text))
    except ValueError:
        return None


def _at_rest(kind: HandleKind, raw: bytes) -> HandleHash:
    return HandleHash(Home(raw[:HOME_BYTES]), hashlib.sha256(kind.encode() + b"\0" + raw).digest())
