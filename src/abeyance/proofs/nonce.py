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
    """Mints nonces under the first key and recognises those of all (one, but while one follows
    another); the keys are used for nothing else (OAUTH-SEC-07).
    """

    __slots__ = ("_keys",)

    def __init__(self, *keys: bytes) -> None:
        self.turn(*keys)

    def turn(self, *keys: bytes) -> None:
        """From now on by these keys. Raises `ValueError` for one of fewer than 32 bytes."""
        if not keys or any(len(key) < 32 for key in keys):
            raise ValueError("a nonce key needs at least 32 bytes")
        self._keys = keys

    def mint_nonce(self, now: datetime) -> str:
        """The nonce of the present slot."""
        return _of_slot(self._keys[0], (now - _EPOCH) // SLOT)

    def accepts(self, nonce: str, now: datetime) -> datetime | None:
        """Since when this nonce has been given out; `None` for one that is not ours or too old.

        It is accepted until `LIFE` after that.
        """
        present = (now - _EPOCH) // SLOT
        for slot in (present, present - 1):
            for key in self._keys:
                # Bytes, because comparing text refuses what is not ASCII.
                if hmac.compare_digest(_of_slot(key, slot).encode(), nonce.encode()):
                    return _EPOCH + slot * SLOT
        return None


def _of_slot(key: bytes, slot: int) -> str:
    mac = hmac.digest(key, b"abeyance dpop nonce %d" % slot, "sha256")
    return render_base64url(mac[:_NONCE_BYTES])
