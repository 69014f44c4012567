"""References to pushed authorization requests, and what of a request is kept (OAUTH-PAR).

Source: RFC 9126 §2.1, §2.2.
"""

from collections.abc import Sequence
from typing import Final

from abeyance.wire import names
from abeyance.wire.base64url import render_base64url
from abeyance.wire.form import Form
from abeyance.wire.secret import Secret

REFERENCE_BYTES: Final = 32

_AUTHENTICATION: Final = frozenset(
    {names.CLIENT_SECRET, names.CLIENT_ASSERTION, names.CLIENT_ASSERTION_TYPE}
)


def mint_reference(secret: bytes) -> Secret:
    """The `request_uri` for 32 random bytes; it rests as its SHA-256."""
    if len(secret) != REFERENCE_BYTES:
        raise ValueError("a reference is made of 32 bytes")
    return Secret(names.PUSHED_REQUEST + render_base64url(secret))


def is_reference(request_uri: str) -> bool:
    """Does it name a pushed request, and not something elsewhere that would be fetched?"""
    return request_uri.startswith(names.PUSHED_REQUEST)


def parameters_of(form: Form) -> Sequence[tuple[str, str]]:
    """All but those by which the client has authenticated (OAUTH-PAR-11)."""
    return [pair for pair in form.pairs() if pair[0] not in _AUTHENTICATION]
