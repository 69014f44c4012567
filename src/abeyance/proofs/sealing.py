"""Authenticated encryption of what must be sent again (OAUTH-SEC-05): AES-256-GCM.

`about` is what the sealed value belongs to; at another place it does not open.
A nonce is 96 random bits: a key here seals far less than the 2^32 values that
those are good for.
"""

import hashlib
import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from abeyance.wire.secret import Secret

NONCE_BYTES: Final = 12


def seal(value: Secret, key: bytes, *, about: bytes, nonce: bytes) -> bytes:
    """Seal under a key of 32 bytes; `nonce` is 12 random bytes."""
    return nonce + AESGCM(key).encrypt(nonce, value.reveal().encode(), about)


def unseal(sealed: bytes, key: bytes, *, about: bytes) -> Secret | None:
    """The value, or `None` if the key or the place is another one, or a bit was changed."""
    try:
        opened = AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about)
    except (InvalidTag, ValueError):
        return None
    return Secret(opened.decode())


def key_of(secret: Secret, purpose: str) -> bytes:
    """A sealing key that only the holder of `secret` (256 random bits or more) can derive."""
    return hmac.digest(secret.reveal().encode(), purpose.encode(), hashlib.sha256)
