"""Which coordinates name a point that may be a public key: what the library does not ask.

The library takes coordinates beyond the field prime, which give one key a second
thumbprint, and Ed25519 keys of small order, under which a constant signature
verifies for every message, so that whoever sends such a key proves nothing.

Source: SEC 1 §3.2.2.1 (P-256); RFC 8032 §5.1.3 (Ed25519); OAUTH-DPOP-03,
SEC-JOSE-14 to -16. Only public values pass through here: nothing is secret, so
nothing has to take constant time.
"""

from typing import Final

_P256: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_P256_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B

_P25519: Final = 2**255 - 19
_D25519: Final = (-121665 * pow(121666, -1, _P25519)) % _P25519
# The y of the points whose order divides eight; the sign bit does not matter.
_Y_OF_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER: Final = frozenset({0, 1, _P25519 - 1, _Y_OF_ORDER_8, _P25519 - _Y_OF_ORDER_8})


def is_p256_point(x: int, y: int) -> bool:
    """Do affine coordinates, reduced, lie on P-256? Its cofactor is one: no more to ask."""
    return 0 <= x < _P256 and 0 <= y < _P256 and (y * y - x * x * x + 3 * x - _P256_B) % _P256 == 0


def is_ed25519_point(encoded: bytes) -> bool:
    """Do 32 bytes encode, in the one way there is, a point that is not of small order?"""
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    if y >= _P25519 or y in _SMALL_ORDER:
        return False
    # On the curve: x^2 = (y^2 - 1) / (d*y^2 + 1) has a root. x = 0 only at y = 1 and y = -1.
    u, v = y * y - 1, _D25519 * y * y + 1
    return pow(u * v, (_P25519 - 1) // 2, _P25519) == 1
