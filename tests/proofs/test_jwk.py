"""Keys: which are taken, which thumbprint they have, and what a set may contain."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519

from abeyance.proofs.jwk import (
    BadKey,
    KeyPair,
    KeySet,
    parse_jwks,
    parse_private_jwk,
    parse_private_pem,
    parse_public_jwk,
    render_jwks,
)
from abeyance.wire.base64url import parse_base64url, render_base64url
from abeyance.wire.errors import InvalidDpopProof
from tests.covers import covers
from tests.proofs.forge import (
    ED25519,
    ES256,
    OTHER_ES256,
    PAIRS,
    PROOF,
    PS256,
    RS256,
    bare_jwk,
    encode,
    thumbprint,
)

P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1
P25519 = 2**255 - 19


def refused_everywhere(jwk: Mapping[str, Any]) -> None:
    """At import, in a proof (P), and as the only key of a client (K)."""
    with pytest.raises(BadKey):
        parse_public_jwk(jwk)
    with pytest.raises(BadKey):
        parse_jwks({"keys": [dict(jwk)]})
    with pytest.raises(InvalidDpopProof):
        PROOF.verify(PROOF.token(header={"jwk": dict(jwk)}))


def _int(value: int) -> str:
    return render_base64url(value.to_bytes((value.bit_length() + 7) // 8 or 1, "big"))


EC_JWK = bare_jwk(ES256)
X, Y = (int.from_bytes(parse_base64url(EC_JWK[name]), "big") for name in ("x", "y"))
RSA_JWK = bare_jwk(PS256)
RSA_N = int.from_bytes(parse_base64url(RSA_JWK["n"]), "big")


@pytest.mark.parametrize("key", PAIRS, ids=lambda key: key.alg)
@covers("OAUTH-DPOP-03", "OAUTH-DPOP-13")
def test_a_good_key_has_its_rfc7638_thumbprint(key: KeyPair) -> None:
    assert parse_public_jwk(bare_jwk(key)).jkt == thumbprint(bare_jwk(key)) == key.public.jkt


def test_a_thumbprint_does_not_depend_on_anything_but_the_key() -> None:
    jwk = dict(reversed(EC_JWK.items())) | {"kid": "x", "use": "sig", "alg": "ES256", "ext": True}
    assert parse_public_jwk(jwk).jkt == ES256.public.jkt


def _smallest_point() -> tuple[int, int]:
    """A point of P-256 whose x is so small that x + p still has 32 bytes."""
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    for x in range(1, 100):
        square = (x**3 - 3 * x + b) % P256
        y = pow(square, (P256 + 1) // 4, P256)
        if y * y % P256 == square:
            return x, y
    raise AssertionError


SMALL_X, ITS_Y = _smallest_point()


def _point(x: int, y: int) -> dict[str, Any]:
    x_bytes, y_bytes = x.to_bytes(32, "big"), y.to_bytes(32, "big")
    return EC_JWK | {"x": render_base64url(x_bytes), "y": render_base64url(y_bytes)}


def _secp256k1() -> dict[str, Any]:
    numbers = ec.generate_private_key(ec.SECP256K1()).public_key().public_numbers()
    return _point(numbers.x, numbers.y)


BAD_EC: dict[str, dict[str, Any]] = {
    "zero": EC_JWK | {"x": "A" * 43, "y": "A" * 43},
    "y + 1": _point(X, (Y + 1) % P256),
    "secp256k1 labelled P-256": _secp256k1(),
    "secp256k1": _secp256k1() | {"crv": "secp256k1"},
    "x with a leading zero byte": EC_JWK | {"x": encode(b"\0" + X.to_bytes(32, "big"))},
    "y with a leading zero byte": EC_JWK | {"y": encode(b"\0" + Y.to_bytes(32, "big"))},
    "x of 31 bytes": EC_JWK | {"x": encode(X.to_bytes(32, "big")[1:])},
    "x beyond the prime": _point(SMALL_X + P256, ITS_Y),
    "x = p": _point(P256, Y),
    "x missing": {"kty": "EC", "crv": "P-256", "y": EC_JWK["y"]},
    "x a number": EC_JWK | {"x": 1},
    "x with padding": EC_JWK | {"x": EC_JWK["x"] + "="},
    "P-384": EC_JWK | {"crv": "P-384"},
    "no crv": {name: value for name, value in EC_JWK.items() if name != "crv"},
    "kty in lower case": EC_JWK | {"kty": "ec"},
    "kty a list": EC_JWK | {"kty": ["EC"]},
}


@pytest.mark.parametrize("jwk", BAD_EC.values(), ids=BAD_EC.keys())
@covers("SEC-JOSE-14", "OAUTH-DPOP-03", "OAUTH-JWT-11")
def test_a_point_is_on_the_curve_in_its_one_spelling(jwk: dict[str, Any]) -> None:
    refused_everywhere(jwk)


def test_the_twin_of_the_coordinate_beyond_the_prime_is_a_key() -> None:
    parse_public_jwk(_point(SMALL_X, ITS_Y))


def _okp(encoded: bytes | str, crv: str = "Ed25519") -> dict[str, Any]:
    x = encoded if isinstance(encoded, str) else render_base64url(encoded)
    return {"kty": "OKP", "crv": crv, "x": x}


def _y(value: int, sign: int = 0) -> bytes:
    return (value | sign << 255).to_bytes(32, "little")


SMALL_ORDER = [
    "AQ" + "A" * 41,
    "A" * 43,
    "A" * 41 + "IA",
    "7P_______________________________________38",
    "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
    "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA_o",
    "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
    "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU",
    render_base64url(_y(1, 1)),
    render_base64url(_y(P25519 - 1, 1)),
]
NOT_CANONICAL = [_y(P25519 + k, sign) for k in range(19) for sign in (0, 1)]


@pytest.mark.parametrize("x", SMALL_ORDER)
@covers("SEC-JOSE-15", "OAUTH-DPOP-03")
def test_an_edwards_key_of_small_order_is_refused(x: str) -> None:
    refused_everywhere(_okp(x))


@covers("SEC-JOSE-15")
def test_the_constant_signature_proves_nothing() -> None:
    # Under this key the library takes this signature for every message: a forged proof.
    jwk = _okp("AQ" + "A" * 41)
    constant = b"\x01" + bytes(63)
    key = ed25519.Ed25519PublicKey.from_public_bytes(b"\x01" + bytes(31))
    key.verify(constant, b"any message")
    forged = PROOF.token(header={"alg": "EdDSA", "jwk": jwk}, signature=constant)
    with pytest.raises(InvalidDpopProof):
        PROOF.verify(forged)


@pytest.mark.parametrize("encoded", NOT_CANONICAL, ids=lambda encoded: encoded.hex()[:4])
@covers("SEC-JOSE-16")
def test_an_edwards_key_has_one_spelling(encoded: bytes) -> None:
    with pytest.raises(BadKey):
        parse_public_jwk(_okp(encoded))


@covers("SEC-JOSE-16", "OAUTH-JWT-11")
def test_other_curves_of_the_family_are_refused() -> None:
    good = bare_jwk(ED25519)
    parse_public_jwk(good)
    x25519_key = x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
    ed448_key = ed448.Ed448PrivateKey.generate().public_key().public_bytes_raw()
    for jwk in (
        _okp(x25519_key, "X25519"),
        _okp(ed448_key, "Ed448"),
        _okp(ed448_key),
        _okp(parse_base64url(good["x"]) + b"\0"),
        _okp(parse_base64url(good["x"])[:31]),
    ):
        refused_everywhere(jwk)


def test_about_half_of_all_encodings_are_no_point() -> None:
    taken = 0
    for y in range(2, 402):
        try:
            parse_public_jwk(_okp(_y(y)))
        except BadKey:
            continue
        taken += 1
    assert 150 < taken < 250


BAD_RSA: dict[str, dict[str, Any]] = {
    "1024 bits": RSA_JWK | {"n": _int(2**1024 - 1)},
    "2047 bits": RSA_JWK | {"n": _int(2**2047 - 1)},
    "4097 bits": RSA_JWK | {"n": _int(2**4097 - 1)},
    "16384 bits": RSA_JWK | {"n": _int(2**16384 - 1)},
    "e = 1": RSA_JWK | {"e": "AQ"},
    "e = 3": RSA_JWK | {"e": "Aw"},
    "e with a leading zero": RSA_JWK | {"e": "AAEAAQ"},
    "e of 300 digits": RSA_JWK | {"e": _int(10**300 + 1)},
    "e a number": RSA_JWK | {"e": 65537},
    "even n": RSA_JWK | {"n": _int(RSA_N - 1)},
    "n with a leading zero byte": RSA_JWK | {"n": encode(b"\0" + parse_base64url(RSA_JWK["n"]))},
    "no n": {"kty": "RSA", "e": "AQAB"},
    "n empty": RSA_JWK | {"n": ""},
}


@pytest.mark.parametrize("jwk", BAD_RSA.values(), ids=BAD_RSA.keys())
@covers("SEC-JOSE-17", "OAUTH-DPOP-03", "OAUTH-JWT-11")
def test_an_rsa_key_has_2048_to_4096_bits_and_the_usual_exponent(jwk: dict[str, Any]) -> None:
    refused_everywhere(jwk)


@pytest.mark.parametrize("bits", [2048, 2049, 3072, 4096])
@covers("SEC-JOSE-17")
def test_rsa_sizes_that_are_taken(bits: int) -> None:
    parse_public_jwk(RSA_JWK | {"n": _int(2**bits - 1)})


ODD: dict[str, dict[str, Any]] = {
    "d": EC_JWK | {"d": "AAAA"},
    "d null": EC_JWK | {"d": None},
    "RSA with p": RSA_JWK | {"p": "AAAA"},
    "RSA with oth": RSA_JWK | {"oth": []},
    "k": EC_JWK | {"k": "AAAA"},
    "oct": {"kty": "oct", "k": "AAAA"},
    "use enc": EC_JWK | {"use": "enc"},
    "use null": EC_JWK | {"use": None},
    "use a list": EC_JWK | {"use": ["sig"]},
    "key_ops sign": EC_JWK | {"key_ops": ["sign"]},
    "key_ops empty": EC_JWK | {"key_ops": []},
    "key_ops text": EC_JWK | {"key_ops": "verify"},
    "alg ES384": EC_JWK | {"alg": "ES384"},
    "alg RS256 on EC": EC_JWK | {"alg": "RS256"},
    "alg HS256": EC_JWK | {"alg": "HS256"},
    "alg none": EC_JWK | {"alg": "none"},
    "alg null": EC_JWK | {"alg": None},
    "alg a list": EC_JWK | {"alg": ["ES256"]},
    "kid a number": EC_JWK | {"kid": 1},
    "kid of 1,025 characters": EC_JWK | {"kid": "k" * 1025},
    "empty": {},
}


@pytest.mark.parametrize("jwk", ODD.values(), ids=ODD.keys())
@covers("SEC-JOSE-03", "SEC-JOSE-19", "OAUTH-DPOP-03", "OAUTH-JWT-03")
def test_a_key_is_public_and_for_verifying(jwk: dict[str, Any]) -> None:
    refused_everywhere(jwk)


@covers("SEC-JOSE-19")
def test_fitting_attributes_are_taken() -> None:
    for more in ({"use": "sig"}, {"key_ops": ["verify"]}, {"alg": "ES256"}, {"kid": "k" * 1024}):
        jwk = EC_JWK | more
        assert parse_public_jwk(jwk).algorithms == ("ES256",)
        PROOF.verify(PROOF.token(header={"jwk": jwk}))


@covers("SEC-JOSE-19")
def test_a_member_of_the_key_occurs_once() -> None:
    header = json.dumps(PROOF.header(ES256)).replace('"x":', f'"x":"{EC_JWK["x"]}","x":')
    with pytest.raises(InvalidDpopProof):
        PROOF.verify(PROOF.token(header=header.encode()))


@covers("SEC-JOSE-03")
def test_a_shared_secret_in_a_proof_is_refused() -> None:
    for alg in ("HS256", "ES256"):
        jwk = {"kty": "oct", "k": "AAAA"}
        with pytest.raises(InvalidDpopProof):
            PROOF.verify(PROOF.token(header={"alg": alg, "jwk": jwk}))


@covers("OAUTH-JWT-03")
def test_alg_in_an_rsa_key_narrows_it() -> None:
    assert parse_public_jwk(RSA_JWK).algorithms == ("PS256", "RS256")
    assert parse_public_jwk(RSA_JWK | {"alg": "PS256"}).algorithms == ("PS256",)
    for alg in ("EdDSA", "Ed25519"):
        assert parse_public_jwk(bare_jwk(ED25519) | {"alg": alg}).algorithms == (
            "EdDSA",
            "Ed25519",
        )


GOOD = [dict(key.public.jwk) for key in PAIRS]


@covers("SEC-JOSE-20", "OAUTH-CAUTH-16")
def test_unusable_keys_of_a_set_are_skipped_and_named() -> None:
    unusable: list[Any] = [
        EC_JWK | {"use": "enc"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
        BAD_EC["y + 1"],
        {},
    ]
    keys = parse_jwks({"keys": [*unusable, *GOOD], "more": 1})
    assert [key.jkt for key in keys.keys] == [key.public.jkt for key in PAIRS]
    assert len(keys.skipped) == len(unusable)
    assert bool(keys)


BAD_SETS: dict[str, Any] = {
    "33 keys": {"keys": GOOD[:1] * 33},
    "a secret beside": {"keys": [*GOOD, {"kty": "oct", "k": "AAAA"}]},
    "a secret by its kty": {"keys": [*GOOD, {"kty": "oct"}]},
    "a private key beside": {"keys": [*GOOD, EC_JWK | {"d": "AAAA"}]},
    "a private key of a kind that is not known": {"keys": [*GOOD, {"kty": "AKP", "d": "A"}]},
    "no keys": {},
    "keys null": {"keys": None},
    "keys an object": {"keys": GOOD[0]},
    "a key by itself": GOOD[0],
    "empty": {"keys": []},
    "a key that is text": {"keys": [*GOOD, "x"]},
    "only for encryption": {"keys": [EC_JWK | {"use": "enc"}]},
}


@pytest.mark.parametrize("value", BAD_SETS.values(), ids=BAD_SETS.keys())
@covers("SEC-JOSE-20", "OAUTH-CAUTH-16")
def test_a_bad_set_is_refused(value: Any) -> None:
    with pytest.raises(BadKey):
        parse_jwks(value)


@covers("SEC-JOSE-20")
def test_a_set_of_32_keys_is_taken() -> None:
    assert len(parse_jwks({"keys": GOOD[:1] * 32})) == 32


@covers("OAUTH-JWT-10", "OAUTH-FAPI-20")
def test_keys_are_chosen_by_kid_and_algorithm() -> None:
    keys = KeySet((ES256.public, OTHER_ES256.public, ED25519.public, PS256.public, RS256.public))
    both = (ES256.public, OTHER_ES256.public)
    assert keys.candidates("ES256", "one") == both
    assert keys.candidates("ES256", "two") == ()
    assert keys.candidates("Ed25519", "two") == (ED25519.public,)
    assert keys.candidates("ES256", None) == ()  # two would fit
    assert keys.candidates("EdDSA", None) == (ED25519.public,)
    assert keys.candidates("PS256", None) == (PS256.public,)
    assert keys.candidates("HS256", None) == ()


@covers("OAUTH-JWT-10")
def test_a_key_without_kid_answers_to_its_thumbprint() -> None:
    nameless = parse_public_jwk(EC_JWK)
    keys = KeySet((nameless, ED25519.public))
    assert keys.candidates("ES256", nameless.jkt) == (nameless,)
    assert keys.candidates("ES256", "one") == ()
    assert KeySet((ES256.public,)).candidates("ES256", ES256.public.jkt) == ()


@covers("OAUTH-FAPI-20")
def test_a_rendered_set_is_public_complete_and_reads_back() -> None:
    nameless = parse_public_jwk(EC_JWK)
    keys = KeySet((nameless, ED25519.public, PS256.public))
    document = render_jwks(keys)
    assert parse_jwks(document).keys[1:] == keys.keys[1:]
    shown = document["keys"]
    assert isinstance(shown, list)
    assert [jwk["kid"] for jwk in shown] == [nameless.jkt, "two", "three"]
    assert all(jwk["use"] == "sig" and "d" not in jwk for jwk in shown)


def _private_jwk(key: KeyPair) -> dict[str, Any]:
    match key.material:
        case ec.EllipticCurvePrivateKey() as curve_key:
            value = curve_key.private_numbers().private_value
            return bare_jwk(key) | {"d": render_base64url(value.to_bytes(32, "big"))}
        case ed25519.Ed25519PrivateKey() as edwards_key:
            return bare_jwk(key) | {"d": render_base64url(edwards_key.private_bytes_raw())}
        case rsa_key:
            n = rsa_key.private_numbers()
            members = {"d": n.d, "p": n.p, "q": n.q, "dp": n.dmp1, "dq": n.dmq1, "qi": n.iqmp}
            return bare_jwk(key) | {name: _int(value) for name, value in members.items()}


@pytest.mark.parametrize("key", PAIRS, ids=lambda key: key.alg)
@covers("OAUTH-JWT-03")
def test_a_private_jwk_makes_the_same_pair(key: KeyPair) -> None:
    jwk = _private_jwk(key) | {"kid": key.kid, "alg": key.alg, "key_ops": ["sign"]}
    again = parse_private_jwk(jwk)
    assert (again.alg, again.kid, again.public) == (key.alg, key.kid, key.public)
    PROOF.verify(PROOF.token(key=again))


@pytest.mark.parametrize("key", PAIRS, ids=lambda key: key.alg)
def test_the_halves_of_a_private_jwk_belong_together(key: KeyPair) -> None:
    others: dict[str, Callable[[], Any]] = {
        "EC": lambda: ec.generate_private_key(ec.SECP256R1()),
        "OKP": ed25519.Ed25519PrivateKey.generate,
        "RSA": lambda: rsa.generate_private_key(65537, 2048),
    }
    jwk = _private_jwk(key) | {"alg": key.alg}
    stranger = KeyPair(key.alg, key.public, others[str(jwk["kty"])]())
    mixed = jwk | {"d": _private_jwk(stranger)["d"]}
    with pytest.raises(BadKey) as caught:
        parse_private_jwk(mixed)
    assert mixed["d"] not in str(caught.value)
    for change in ({"d": ""}, {"d": None}, {"d": "AA"}, {"key_ops": ["verify"]}, {"alg": "x"}):
        with pytest.raises(BadKey):
            parse_private_jwk(jwk | change)
    with pytest.raises(BadKey):
        parse_private_jwk({name: value for name, value in jwk.items() if name != "d"})


def test_an_rsa_key_needs_the_name_of_its_algorithm() -> None:
    with pytest.raises(BadKey):
        parse_private_jwk(_private_jwk(PS256))
    assert parse_private_jwk(_private_jwk(PS256) | {"alg": "RS256"}).alg == "RS256"


PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


def test_pem_that_is_no_key_of_ours_is_refused() -> None:
    locked = serialization.BestAvailableEncryption(b"password")
    bare = serialization.NoEncryption()
    for pem in (
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ES256.material.private_bytes(PEM, PKCS8, locked),
        ec.generate_private_key(ec.SECP384R1()).private_bytes(PEM, PKCS8, bare),
        ed448.Ed448PrivateKey.generate().private_bytes(PEM, PKCS8, bare),
        rsa.generate_private_key(3, 2048).private_bytes(PEM, PKCS8, bare),
        ES256.material.public_key().public_bytes(
            PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    ):
        with pytest.raises(BadKey):
            parse_private_pem(pem, alg="RS256" if b"RSA" in pem else None)
    with pytest.raises(BadKey):
        parse_private_pem(ES256.material.private_bytes(PEM, PKCS8, bare), alg="RS256")


@pytest.mark.parametrize("key", PAIRS, ids=lambda key: key.alg)
@covers("OAUTH-LOG-01")
def test_no_private_material_shows(key: KeyPair) -> None:
    shown = f"{key!r} {key} {key.public!r} {dict(key.public.jwk)}"
    private = _private_jwk(key)
    for name in ("d", "p", "q", "dp", "dq", "qi"):
        assert str(private.get(name, "not there")) not in shown
    assert "PrivateKey" not in shown


def test_a_pair_without_kid_names_its_thumbprint() -> None:
    bare = serialization.NoEncryption()
    nameless = parse_private_pem(ES256.material.private_bytes(PEM, PKCS8, bare))
    assert nameless.kid == nameless.public.jkt == ES256.public.jkt
    assert nameless.public.kid is None
