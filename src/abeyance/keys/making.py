"""New keys, from the system's generator."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from abeyance.wire.base64url import render_base64url
from abeyance.wire.strict_json import JsonObject


def new_private_pem() -> bytes:
    """A new P-256 key in PKCS #8, for ES256."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def new_private_jwk() -> JsonObject:
    """A new P-256 key as a JWK, for a client that signs assertions with ES256."""
    numbers = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    point = numbers.public_numbers
    return {
        "kty": "EC",
        "crv": "P-256",
        "alg": "ES256",
        "use": "sig",
        "x": render_base64url(point.x.to_bytes(32, "big")),
        "y": render_base64url(point.y.to_bytes(32, "big")),
        "d": render_base64url(numbers.private_value.to_bytes(32, "big")),
    }
