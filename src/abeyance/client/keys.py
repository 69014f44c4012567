"""Keys for DPoP: made, and carried over to another process."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from abeyance.proofs.jwk import KeyPair, PrivateMaterial, parse_private_pem


def generate_key() -> KeyPair:
    """Make a new ES256 key, which every DPoP server understands."""
    return parse_private_pem(_pem(ec.generate_private_key(ec.SECP256R1())))


def render_private_pem(key: KeyPair) -> bytes:
    """The private key as unencrypted PKCS #8; only for a file of mode 0600 or a sealed state."""
    return _pem(key.material)


def _pem(private: PrivateMaterial) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
