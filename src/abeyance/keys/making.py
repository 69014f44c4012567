"""New keys, from the system's generator, and the one spelling of a signing key's file.

A PEM does not say for which algorithm an RSA key is, and a key has one (RFC 8725
§3.1): a line in front of it does, where RFC 7468 §2 leaves room for text. Without it
an RSA key is for RS256, which every resource server must know (RFC 9068 §2.1).
"""

import re
from typing import Final, Literal, TypeAlias

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from abeyance.proofs.jwk import BadKey, KeyPair, PrivateMaterial, parse_private_pem
from abeyance.wire.base64url import render_base64url
from abeyance.wire.strict_json import JsonObject

Alg: TypeAlias = Literal["ES256", "EdDSA", "RS256", "PS256"]
ALGORITHMS: Final[tuple[Alg, ...]] = ("ES256", "EdDSA", "RS256", "PS256")

_RSA_BITS: Final = 3072
_RSA: Final = ("RS256", "PS256")
_ALG = re.compile(rb"^alg: ([A-Za-z0-9]{1,16})\r?$", re.MULTILINE)
_BEGIN: Final = b"-----BEGIN"


def new_private_pem(alg: Alg = "ES256") -> bytes:
    """A new key in PKCS #8, with a line that names its algorithm where that is needed."""
    pem = _generate(alg).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return b"alg: %s\n%s" % (alg.encode(), pem) if alg in _RSA else pem


def parse_signing_pem(content: bytes) -> KeyPair:
    """Read a key and the algorithm that it is for; raises `BadKey`."""
    said = _ALG.search(content.partition(_BEGIN)[0])
    alg = said[1].decode() if said else None
    try:
        return parse_private_pem(content, alg=alg)
    except BadKey:
        if alg is not None:
            raise
        return parse_private_pem(content, alg="RS256")


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


def _generate(alg: Alg) -> PrivateMaterial:
    match alg:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "RS256" | "PS256":
            return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
