"""PKCE with S256, the only method: made and verified (OAUTH-PKCE-02 to -05).

Source: RFC 7636 §4.1, §4.2, §4.6; OAuth 2.1 §7.5.
"""

import hashlib
import hmac
import re
from typing import Final

from abeyance.wire.base64url import render_base64url
from abeyance.wire.secret import Secret

VERIFIER_BYTES: Final = 32
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}", re.ASCII)


def is_challenge(text: str) -> bool:
    """Is this what S256 makes: 43 characters of base64url?"""
    return _CHALLENGE.fullmatch(text) is not None


def make_verifier(random: bytes) -> Secret:
    """A verifier of 32 random bytes."""
    if len(random) != VERIFIER_BYTES:
        raise ValueError("a verifier is made of 32 random bytes")
    return Secret(render_base64url(random))


def challenge_of(verifier: Secret) -> str:
    """`code_challenge` for this verifier."""
    return render_base64url(hashlib.sha256(verifier.reveal().encode("ascii")).digest())


def verifies(verifier: str, challenge: str) -> bool:
    """Does the verifier belong to the challenge? Compared in constant time."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    return hmac.compare_digest(challenge_of(Secret(verifier)).encode(), challenge.encode())
