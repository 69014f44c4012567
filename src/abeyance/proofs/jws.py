"""The one JOSE wrapper: compact signatures, made and verified.

Decides what is a JWS at all and whether its signature holds (OAUTH-JWT-01 to -08,
-13); what the claims must say is each purpose's own file. The library below does
the arithmetic only: what it would read by itself is read here, strictly, because
every JOSE library that was tried takes something of SEC-JOSE-06 to -18 as it comes.

Nothing is taken from the token but what the caller allows: algorithms and kinds
are arguments, keys come from the caller's set.

Source: RFC 7515 §3.1, §4.1, §5.2; RFC 7518 §3; RFC 8725; RFC 9864.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from abeyance.proofs.jwk import KeyPair, KeySet, PublicKey
from abeyance.wire.base64url import parse_base64url, render_base64url
from abeyance.wire.reply import render_json
from abeyance.wire.strict_json import MAX_INTEGER, Json, JsonObject, parse_json_object

SIGNING_ALGORITHMS: Final = frozenset({"ES256", "EdDSA", "Ed25519", "PS256", "RS256"})
FAPI_ALGORITHMS: Final = SIGNING_ALGORITHMS - {"RS256"}  # FAPI 2.0 Security Profile §5.4
MAX_TOKEN: Final = 16 * 1024  # characters
MAX_JTI: Final = 256
EXPIRY_SKEW: Final = timedelta(seconds=5)
FUTURE_SKEW: Final = timedelta(seconds=10)

# Members that change what is signed or how it is read; we understand none, so
# their mere presence refuses, also `crit: []` (RFC 7515 §4.1.11) and `b64: true`.
_NOT_UNDERSTOOD: Final = frozenset({"crit", "b64", "zip"})
_KEY_SOURCES: Final = frozenset({"jwk", "jku", "x5c", "x5u"})

_SHA256: Final = hashes.SHA256()
_ECDSA: Final = ec.ECDSA(_SHA256)
_RSA_PADDING: Final = {
    "PS256": padding.PSS(padding.MGF1(_SHA256), salt_length=32),
    "RS256": padding.PKCS1v15(),
}


class BadToken(ValueError):
    """The token proves nothing; the message names the reason, never a part of the token."""


class UnknownSigner(BadToken):
    """None of the keys could have signed it; there may be newer ones."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The three parts as they came; `signed` is what the signature is over."""

    header: str
    claims: str
    signature: str

    @property
    def signed(self) -> bytes:
        return f"{self.header}.{self.claims}".encode("ascii")


def split_compact(compact: str) -> Parts:
    """Take the serialization apart; raises `BadToken`. Nothing is decoded yet (SEC-JOSE-27)."""
    if len(compact) > MAX_TOKEN or not compact.isascii():
        raise BadToken("the token is too long or not ASCII")
    parts = compact.split(".", 3)
    if len(parts) != 3:
        raise BadToken("the token does not have three parts")
    return Parts(*parts)


def read_header(part: str, *, own_key: bool = False) -> JsonObject:
    """Decode a protected header; raises `BadToken` for members that we must not ignore.

    `own_key`: the header may bring its key as `jwk`, which only a DPoP proof does.
    """
    header = read_object(part)
    if not _NOT_UNDERSTOOD.isdisjoint(header):
        raise BadToken("the header asks for something that is not understood")
    if not _KEY_SOURCES.isdisjoint(header.keys() - {"jwk"} if own_key else header):
        raise BadToken("the header brings its own key")
    return header


def read_object(part: str) -> JsonObject:
    """Decode a part that must be a JSON object; raises `BadToken`."""
    try:
        return parse_json_object(parse_base64url(part))
    except ValueError:
        raise BadToken("a part of the token is not a JSON object in base64url") from None


def read_typ(header: JsonObject) -> str | None:
    """The kind of token, `None` if absent: without the prefix, in lower case (OAUTH-JWT-06)."""
    typ = header.get("typ")
    if "typ" not in header:
        return None
    # ASCII first: lower case also maps a foreign letter (the Kelvin sign) onto one of ours.
    if not isinstance(typ, str) or not typ.isascii():
        raise BadToken("the typ is not a string")
    return typ.lower().removeprefix("application/")


def is_signed_by(key: PublicKey, alg: str, signed: bytes, signature: bytes) -> bool:
    """Does the signature hold under this key and algorithm, which must fit each other?"""
    if alg not in key.algorithms:
        return False
    try:
        match key.material:
            case ec.EllipticCurvePublicKey() as curve_key:
                if len(signature) != 64:
                    return False
                r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
                curve_key.verify(encode_dss_signature(r, s), signed, _ECDSA)
            case ed25519.Ed25519PublicKey() as edwards_key:
                edwards_key.verify(signature, signed)
            case rsa.RSAPublicKey() as rsa_key:
                rsa_key.verify(signature, signed, _RSA_PADDING[alg], _SHA256)
            case never:
                assert_never(never)
    except InvalidSignature:
        return False
    return True


def verify_jws(
    compact: str, *, algorithms: frozenset[str], typ: frozenset[str | None], keys: KeySet
) -> JsonObject:
    """Return the claims of a token that one of `keys` has signed; raises `BadToken`.

    `typ` lists the kinds in lower case without prefix; `None` in it allows a
    token without. Issuer, audience and times are left to the purpose.

    Source: OAUTH-JWT-01 to -06, -09, -10.
    """
    parts = split_compact(compact)
    header = read_header(parts.header)
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in algorithms:
        raise BadToken("the algorithm is not allowed")
    if read_typ(header) not in typ:
        raise BadToken("the token is of another kind")
    kid = header.get("kid")
    if "kid" in header and not isinstance(kid, str):
        raise BadToken("the kid is not a string")
    claims = read_object(parts.claims)
    signature, signed = read_signature(parts), parts.signed
    candidates = keys.candidates(alg, kid if isinstance(kid, str) else None)
    if not candidates:
        raise UnknownSigner("no key of the signer verifies the signature")
    if not any(is_signed_by(key, alg, signed, signature) for key in candidates):
        raise BadToken("no key of the signer verifies the signature")
    return claims


def read_signature(parts: Parts) -> bytes:
    """Decode the third part; raises `BadToken`."""
    try:
        return parse_base64url(parts.signature)
    except ValueError:
        raise BadToken("the signature is not base64url") from None


def sign_jws(
    claims: JsonObject, key: KeyPair, *, typ: str, header: JsonObject | None = None
) -> str:
    """Sign claims; `header` has what goes beside `typ` and `alg`, by default the `kid`."""
    more = {"kid": key.kid} if header is None else header
    protected = render_base64url(render_json({"typ": typ, "alg": key.alg, **more}))
    signed = f"{protected}.{render_base64url(render_json(claims))}"
    return f"{signed}.{render_base64url(_sign(key, signed.encode('ascii')))}"


def numeric_date(claims: JsonObject, name: str) -> float | None:
    """A time claim in seconds, `None` if absent; raises `BadToken` (OAUTH-JWT-07).

    Compared as a number and never turned into a date: 10^18 must not overflow one.
    """
    if name not in claims:
        return None
    value = claims[name]
    # A bool is an int in Python, but `exp: true` is no time.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadToken("a time is not a number")
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise BadToken("a time is out of range")
    return value


def check_times(claims: JsonObject, now: datetime) -> None:
    """Refuse a token whose `exp` is past or whose `nbf` is to come, if it has them."""
    present = now.timestamp()
    expires, begins = numeric_date(claims, "exp"), numeric_date(claims, "nbf")
    if expires is not None and present >= expires + EXPIRY_SKEW.total_seconds():
        raise BadToken("the token has expired")
    if begins is not None and begins > present + FUTURE_SKEW.total_seconds():
        raise BadToken("the token is not valid yet")


def read_jti(claims: JsonObject) -> str:
    """The identifier that makes a token usable once; raises `BadToken`."""
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= MAX_JTI:
        raise BadToken("the jti is not a string of 1 to 256 characters")
    return jti


def is_audience(claims: JsonObject, allowed: Iterable[str]) -> bool:
    """Is `aud` one allowed string, alone or as the only member of an array (OAUTH-CAUTH-14)?"""
    audience: Json = claims.get("aud")
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    return isinstance(audience, str) and audience in tuple(allowed)


def _sign(key: KeyPair, message: bytes) -> bytes:
    match key.material:
        case ec.EllipticCurvePrivateKey() as curve_key:
            r, s = decode_dss_signature(curve_key.sign(message, _ECDSA))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        case ed25519.Ed25519PrivateKey() as edwards_key:
            return edwards_key.sign(message)
        case rsa.RSAPrivateKey() as rsa_key:
            return rsa_key.sign(message, _RSA_PADDING[key.alg], _SHA256)
        case never:
            assert_never(never)
