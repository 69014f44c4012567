"""Proofs and assertions, good and forged, spelled by hand down to the bytes.

Nothing here uses the code under test to build a token: a forger does not either.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from abeyance.proofs.client_assertion import VerifiedAssertion, verify_assertion
from abeyance.proofs.dpop import VerifiedProof, verify_proof
from abeyance.proofs.jwk import KeyPair, KeySet, parse_private_pem
from abeyance.proofs.jws import SIGNING_ALGORITHMS, BadToken
from abeyance.wire.base64url import render_base64url
from abeyance.wire.errors import InvalidDpopProof

NOW: Final = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
SECONDS: Final = int(NOW.timestamp())
ISSUER: Final = "https://as.example"
URL: Final = "https://as.example/token"

Material = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
DROP: Final = object()  # as a member's value: leave the member out


def pair(material: Material, alg: str | None = None, kid: str | None = None) -> KeyPair:
    pem = material.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return parse_private_pem(pem, alg=alg, kid=kid)


ES256: Final = pair(ec.generate_private_key(ec.SECP256R1()), kid="one")
OTHER_ES256: Final = pair(ec.generate_private_key(ec.SECP256R1()), kid="one")
ED25519: Final = pair(ed25519.Ed25519PrivateKey.generate(), kid="two")
_RSA: Final = rsa.generate_private_key(65537, 2048)
PS256: Final = pair(_RSA, alg="PS256", kid="three")
RS256: Final = pair(_RSA, alg="RS256", kid="four")
PAIRS: Final = (ES256, ED25519, PS256, RS256)


def bare_jwk(key: KeyPair) -> dict[str, Any]:
    """The public members alone, as a proof shows them."""
    hidden = ("kid", "use", "alg")
    return {name: value for name, value in key.public.jwk.items() if name not in hidden}


def sign(key: KeyPair, message: bytes) -> bytes:
    match key.material:
        case ec.EllipticCurvePrivateKey() as curve_key:
            r, s = decode_dss_signature(curve_key.sign(message, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        case ed25519.Ed25519PrivateKey() as edwards_key:
            return edwards_key.sign(message)
        case rsa.RSAPrivateKey() as rsa_key if key.alg == "PS256":
            mgf = padding.MGF1(hashes.SHA256())
            return rsa_key.sign(message, padding.PSS(mgf, salt_length=32), hashes.SHA256())
        case rsa_key:
            return rsa_key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def encode(value: Any) -> str:
    """Base64url of bytes as they are, or of anything else as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return render_base64url(raw) if raw else ""


@dataclass(frozen=True)
class Entry:
    """One way in, with what a good token of it says: the columns A and P of the catalogue."""

    name: str
    header: Callable[[KeyPair], dict[str, Any]]
    claims: Mapping[str, Any]
    verify: Callable[..., VerifiedAssertion | VerifiedProof]
    refusal: type[Exception]

    def token(
        self,
        *,
        header: Any = None,
        claims: Any = None,
        key: KeyPair = ES256,
        signature: Callable[[bytes], bytes] | bytes | None = None,
    ) -> str:
        """A token; dictionaries change members of the good one, bytes replace the whole part."""
        whole = (_changed(self.header(key), header), _changed(self.claims, claims))
        message = ".".join(encode(part) for part in whole).encode()
        made = sign(key, message) if signature is None else signature
        made = made if isinstance(made, bytes) else made(message)
        return f"{message.decode()}.{encode(made)}"


def _changed(good: Mapping[str, Any], change: Any) -> Any:
    if change is None:
        return good
    if not isinstance(change, dict):
        return change
    return {name: value for name, value in {**good, **change}.items() if value is not DROP}


def judge_assertion(
    compact: str,
    *,
    keys: KeySet | None = None,
    signing_alg: str | None = None,
    legacy_audience: str | None = None,
    now: datetime = NOW,
    client_id: str = "c1",
) -> VerifiedAssertion:
    return verify_assertion(
        compact,
        client_id=client_id,
        keys=KeySet(tuple(each.public for each in PAIRS)) if keys is None else keys,
        algorithms=SIGNING_ALGORITHMS,
        signing_alg=signing_alg,
        issuer=ISSUER,
        legacy_audience=legacy_audience,
        now=now,
    )


def judge_proof(compact: str, *, now: datetime = NOW, url: str = URL) -> VerifiedProof:
    return verify_proof(
        [compact.encode("utf-8", "surrogatepass")],
        method="POST",
        url=url,
        now=now,
        nonces=None,
        require_nonce=False,
    )


ASSERTION: Final = Entry(
    name="assertion",
    header=lambda key: {"typ": "client-authentication+jwt", "alg": key.alg, "kid": key.kid},
    claims={
        "iss": "c1",
        "sub": "c1",
        "aud": ISSUER,
        "iat": SECONDS,
        "exp": SECONDS + 60,
        "jti": "abcdefghijklmnopqrstuv",
    },
    verify=judge_assertion,
    refusal=BadToken,
)
PROOF: Final = Entry(
    name="proof",
    header=lambda key: {"typ": "dpop+jwt", "alg": key.alg, "jwk": bare_jwk(key)},
    claims={"jti": "abcdefghijklmnopqrstuv", "htm": "POST", "htu": URL, "iat": SECONDS},
    verify=judge_proof,
    refusal=InvalidDpopProof,
)


def thumbprint(members: Mapping[str, Any]) -> str:
    """RFC 7638, written a second time."""
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return render_base64url(hashlib.sha256(text.encode()).digest())
