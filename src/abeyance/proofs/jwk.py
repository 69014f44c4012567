"""Keys as they travel: one JWK, one spelling, one thumbprint.

Decides which keys may verify what (OAUTH-JWT-03, -10, -11; OAUTH-DPOP-03;
SEC-JOSE-14 to -20): P-256, Ed25519, RSA of 2,048 to 4,096 bits. A key that has
a second spelling has a second thumbprint, and a binding to it means less; so
coordinates have their full length, stay below the prime, and moduli have no
leading zero. Points are judged in `curves`; making new keys is `keys`.

Source: RFC 7517, RFC 7518 §6, RFC 7638, RFC 8037 §2.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from abeyance.proofs.curves import is_ed25519_point, is_p256_point
from abeyance.wire.base64url import parse_base64url, render_base64url
from abeyance.wire.reply import render_json
from abeyance.wire.strict_json import Json, JsonObject

EDDSA: Final = ("EdDSA", "Ed25519")  # one algorithm, two names (RFC 8037, RFC 9864)
MAX_KEYS: Final = 32

_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_MAX_KID: Final = 1024
_RSA_BITS: Final = range(2048, 4096 + 1)
_RSA_E: Final = "AQAB"  # 65537

PublicMaterial: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
PrivateMaterial: TypeAlias = (
    ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
)


class BadKey(ValueError):
    """The key may not be used; the message names the reason, never a part of the key."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that was checked. `jkt` is its RFC 7638 thumbprint (SHA-256, base64url).

    `jwk` has the canonical public members, and `kid`, `use`, `alg` as they were given.
    """

    jkt: str
    algorithms: tuple[str, ...]
    kid: str | None
    jwk: JsonObject = field(repr=False, compare=False)
    material: PublicMaterial = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one issuer or client; `skipped` says why others of its set are not among them."""

    keys: tuple[PublicKey, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.keys)

    def candidates(self, alg: str, kid: str | None) -> tuple[PublicKey, ...]:
        """The keys that may have signed a token with this header (OAUTH-JWT-10).

        Without `kid` there must be exactly one that fits. A key that was given
        no `kid` answers to its thumbprint.
        """
        fitting = tuple(key for key in self.keys if alg in key.algorithms)
        if kid is None:
            return fitting if len(fitting) == 1 else ()
        return tuple(key for key in fitting if (key.jkt if key.kid is None else key.kid) == kid)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key with its one algorithm; nothing private shows in its `repr`."""

    alg: str
    public: PublicKey
    material: PrivateMaterial = field(repr=False, compare=False)

    @property
    def kid(self) -> str:
        """What it was named, or else its thumbprint."""
        return self.public.jkt if self.public.kid is None else self.public.kid


def parse_public_jwk(value: JsonObject) -> PublicKey:
    """Read one public key; raises `BadKey` for anything that is not safely one."""
    if not _PRIVATE.isdisjoint(value):
        raise BadKey("the key has private members")
    members, material = _read_material(value)
    algorithms = _algorithms(material, value)
    if value.get("use", "sig") != "sig":
        raise BadKey("the key is not for signatures")
    if "key_ops" in value:
        _check_operations(value["key_ops"], "verify")
    kid = value.get("kid")
    if "kid" in value and not (isinstance(kid, str) and len(kid) <= _MAX_KID):
        raise BadKey("the kid is not a short string")
    return PublicKey(
        jkt=_thumbprint(members),
        algorithms=algorithms,
        kid=kid if isinstance(kid, str) else None,
        jwk=members | {name: value[name] for name in ("kid", "use", "alg") if name in value},
        material=material,
    )


def parse_jwks(value: JsonObject) -> KeySet:
    """Read a key set; its size in bytes is bounded by the caller.

    Keys that we cannot use are skipped (RFC 7517 §5). Raises `BadKey` when
    something in it is secret, since then it is known to others, and when nothing
    in it can be used (OAUTH-CAUTH-16, SEC-JOSE-20).
    """
    items = value.get("keys")
    if not isinstance(items, list) or len(items) > MAX_KEYS:
        raise BadKey("the key set is not a short list of keys")
    keys: list[PublicKey] = []
    skipped: list[str] = []
    for item in items:
        if not isinstance(item, dict):
            raise BadKey("the key set has something that is no key")
        if item.get("kty") == "oct" or not _PRIVATE.isdisjoint(item):
            raise BadKey("the key set has a secret or private key")
        try:
            keys.append(parse_public_jwk(item))
        except BadKey as unusable:
            skipped.append(str(unusable))
    if not keys:
        raise BadKey("the key set has no key that can be used")
    return KeySet(tuple(keys), tuple(skipped))


def render_jwks(keys: KeySet) -> JsonObject:
    """The set as a document, every key with a `kid`."""
    return {"keys": [{"kid": key.jkt, "use": "sig", **key.jwk} for key in keys.keys]}


def parse_private_jwk(value: JsonObject) -> KeyPair:
    """Read a private key from a JWK; raises `BadKey`, also if its two halves differ.

    An RSA key needs `alg`: one key, one algorithm.
    """
    if "key_ops" in value:
        _check_operations(value["key_ops"], "sign")
    shown = parse_public_jwk(
        {name: item for name, item in value.items() if name not in _PRIVATE | {"key_ops"}}
    )
    try:
        private = _read_private(shown.material, value)
    except ValueError:
        raise BadKey("the private members are not valid") from None
    pair = _pair(private, value.get("alg"), shown.kid)
    if pair.public.jkt != shown.jkt:
        raise BadKey("the private members belong to another key")
    return pair


def parse_private_pem(pem: bytes, *, alg: str | None = None, kid: str | None = None) -> KeyPair:
    """Read an unencrypted private key (PKCS #8, SEC 1, PKCS #1); raises `BadKey`."""
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey("not a private key in PEM without a password") from None
    match private:
        case ec.EllipticCurvePrivateKey() | ed25519.Ed25519PrivateKey() | rsa.RSAPrivateKey():
            return _pair(private, alg, kid)
        case _:
            raise BadKey("the kind of key is not supported")


def _read_material(value: JsonObject) -> tuple[dict[str, Json], PublicMaterial]:
    # The members in the order of RFC 7638 §3.3, so that they are hashed as they stand.
    match value.get("kty"), value.get("crv"):
        case "EC", "P-256":
            x, y = (_fixed(value, name) for name in ("x", "y"))
            return (
                {"crv": "P-256", "kty": "EC", "x": value["x"], "y": value["y"]},
                _p256(int.from_bytes(x, "big"), int.from_bytes(y, "big")),
            )
        case "OKP", "Ed25519":
            encoded = _fixed(value, "x")
            if not is_ed25519_point(encoded):
                raise BadKey("the point is not a safe Ed25519 key")
            return (
                {"crv": "Ed25519", "kty": "OKP", "x": value["x"]},
                ed25519.Ed25519PublicKey.from_public_bytes(encoded),
            )
        case "RSA", _:
            return {"e": _RSA_E, "kty": "RSA", "n": value.get("n")}, _rsa(value)
        case _:
            raise BadKey("the kind of key is not supported")


def _fixed(value: JsonObject, name: str) -> bytes:
    octets = _octets(value, name)
    if len(octets) != 32:
        raise BadKey("a coordinate does not have its length")
    return octets


def _octets(value: JsonObject, name: str) -> bytes:
    text = value.get(name)
    # Bounded before it is decoded: 4,096 bits are 683 characters.
    if not isinstance(text, str) or len(text) > 684:
        raise BadKey("a member of the key is missing or has a wrong type")
    try:
        return parse_base64url(text)
    except ValueError:
        raise BadKey("a member of the key is not base64url") from None


def _p256(x: int, y: int) -> ec.EllipticCurvePublicKey:
    if not is_p256_point(x, y):
        raise BadKey("the point is not on the curve")
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def _rsa(value: JsonObject) -> rsa.RSAPublicKey:
    if value.get("e") != _RSA_E:
        raise BadKey("the RSA exponent is not 65537")
    octets = _octets(value, "n")
    n = int.from_bytes(octets, "big")
    if octets[0] == 0 or n.bit_length() not in _RSA_BITS or n % 2 == 0:
        raise BadKey("the RSA modulus is not an odd number of 2048 to 4096 bits")
    return rsa.RSAPublicNumbers(65537, n).public_key()


def _algorithms(material: PublicMaterial, value: JsonObject) -> tuple[str, ...]:
    able: tuple[str, ...]
    match material:
        case ec.EllipticCurvePublicKey():
            able = ("ES256",)
        case ed25519.Ed25519PublicKey():
            able = EDDSA
        case _:
            able = ("PS256", "RS256")
    if "alg" not in value:
        return able
    alg = value["alg"]
    if not isinstance(alg, str) or alg not in able:
        raise BadKey("the key is for an algorithm that does not fit or is not supported")
    return able if able == EDDSA else (alg,)


def _check_operations(operations: Json, wanted: str) -> None:
    if not isinstance(operations, list) or wanted not in operations:
        raise BadKey("the key is for other operations")


def _thumbprint(members: JsonObject) -> str:
    return render_base64url(hashlib.sha256(render_json(members)).digest())


def _read_private(public: PublicMaterial, value: JsonObject) -> PrivateMaterial:
    match public:
        case ec.EllipticCurvePublicKey():
            return ec.derive_private_key(int.from_bytes(_fixed(value, "d"), "big"), ec.SECP256R1())
        case ed25519.Ed25519PublicKey():
            return ed25519.Ed25519PrivateKey.from_private_bytes(_fixed(value, "d"))
        case _:
            d, p, q, dp, dq, qi = (
                int.from_bytes(_octets(value, name), "big")
                for name in ("d", "p", "q", "dp", "dq", "qi")
            )
            return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public.public_numbers()).private_key()


def _pair(private: PrivateMaterial, alg: Json, kid: str | None) -> KeyPair:
    members: dict[str, Json] = {} if kid is None else {"kid": kid}
    match private:
        case ec.EllipticCurvePrivateKey():
            point = private.public_key().public_numbers()
            if not isinstance(point.curve, ec.SECP256R1):
                raise BadKey("the curve is not supported")
            alg = "ES256" if alg is None else alg
            x, y = (render_base64url(each.to_bytes(32, "big")) for each in (point.x, point.y))
            members |= {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        case ed25519.Ed25519PrivateKey():
            alg = "EdDSA" if alg is None else alg
            x = render_base64url(private.public_key().public_bytes_raw())
            members |= {"kty": "OKP", "crv": "Ed25519", "x": x}
        case _:
            numbers = private.public_key().public_numbers()
            if numbers.e != 65537:
                raise BadKey("the RSA exponent is not 65537")
            n = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
            members |= {"kty": "RSA", "e": _RSA_E, "n": render_base64url(n)}
    if not isinstance(alg, str):
        raise BadKey("the key needs the name of its algorithm")
    public = parse_public_jwk(members | {"use": "sig", "alg": alg})
    return KeyPair(alg, public, private)
