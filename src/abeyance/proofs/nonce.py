"""DPoP nonces without memory: a MAC over the time slot, so that every process accepts them.

A nonce lives from 150 to 300 seconds: the present slot's and the one before are
accepted. All clients of a slot see the same one; it proves that a proof is
fresh, not whose it is. A resource server's nonces come from another key.

Source: RFC 9449 §8; OAUTH-DPOP-08, -09, -16.
"""

import hmac
from datetime import UTC, datetime, timedelta
from typing import Final

from abeyance.wire.base64url import render_base64url

SLOT: Final = timedelta(seconds=150)
LIFE: Final = 2 * SLOT

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NONCE_BYTES: Final = 24


class Nonces:
    """Mints and recognises nonces under one key, which is used for nothing else (OAUTH-SEC-07)."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("the nonce key needs at least 32 bytes")
        self._key = key

    def mint_nonce(self, now: datetime) -> str:
        """The nonce of the present slot."""
        return self._of_slot((now - _EPOCH) // SLOT)

    def accepts(self, nonce: str, now: datetime) -> datetime | None:
        """Since when this nonce has been given out; `None` for one that is not ours or too old.

        It is accepted until `LIFE` after that.
        """
        present = (now - _EPOCH) // SLOT
        for slot in (present, present - 1):
            # Bytes, because comparing text refuses what is not ASCII.
            if hmac.compare_digest(self._of_slot(slot).encode(), nonce.encode()):
                return _EPOCH + slot * SLOT
        return None

    def _of_slot(self, slot: int) -> str:
        mac = hmac.digest(self._key, b"abeyance dpop nonce %d" % slot, "sha256")
        return render_base64url(mac[:_NONCE_BYTES])
