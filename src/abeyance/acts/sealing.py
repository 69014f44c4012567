"""What rests sealed, under keys that are not in the store (OAUTH-SEC-05).

Sealed is by the present root, opened by any that is known, so that one can follow another.
"""

from abeyance.acts.house import House
from abeyance.pending.request import Key
from abeyance.proofs.sealing import NONCE_BYTES, seal, unseal
from abeyance.wire.secret import Secret


def seal_now(house: House, value: Secret, place: bytes) -> bytes:
    """Seal what belongs to `place`, and opens nowhere else."""
    key = house.keys.derived.seal_key
    return seal(value, key, about=place, nonce=house.random(NONCE_BYTES))


def open_sealed(house: House, sealed: bytes, place: bytes) -> Secret | None:
    """The value, or `None` if no root of ours has sealed it for this place."""
    for keys in house.keys.known:
        if (value := unseal(sealed, keys.seal_key, about=place)) is not None:
            return value
    return None


def handle_place(key: Key) -> bytes:
    """Where the copy of a request's handle belongs."""
    return b"deferral_code\0" + key.home + key.n.to_bytes(4, "big")


def callback_place(key: Key) -> bytes:
    """Where what a callback takes belongs."""
    return b"callback\0" + key.home + key.n.to_bytes(4, "big")
