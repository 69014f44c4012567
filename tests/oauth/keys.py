"""A private key for each algorithm, made once: RSA keys take a while."""

from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa


@cache
def pem_for(alg: str) -> bytes:
    """A key that can sign with `alg`, as PEM."""
    match alg:
        case "ES256":
            return _pem(ec.generate_private_key(ec.SECP256R1()))
        case "EdDSA" | "Ed25519":
            return _pem(ed25519.Ed25519PrivateKey.generate())
        case "PS256" | "RS256":
            return _rsa()
        case _:
            raise ValueError(f"no key for {alg}")


@cache
def _rsa() -> bytes:
    return _pem(rsa.generate_private_key(65537, 2048))


def _pem(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey,
) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
