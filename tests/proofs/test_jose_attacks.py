"""What is refused of any token, at both ways in: assertion (A) and proof (P)."""

import hashlib
import hmac
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from abeyance.proofs.dpop import verify_proof
from abeyance.proofs.jwk import KeyPair
from abeyance.proofs.jws import MAX_TOKEN, BadToken, is_signed_by, read_typ
from abeyance.wire.base64url import parse_base64url, render_base64url
from tests.covers import covers
from tests.proofs.forge import (
    ASSERTION,
    DROP,
    ED25519,
    ES256,
    NOW,
    PAIRS,
    PROOF,
    PS256,
    RS256,
    URL,
    Entry,
    encode,
    sign,
)

both = pytest.mark.parametrize("entry", [ASSERTION, PROOF], ids=lambda entry: entry.name)


def refused(entry: Entry, compact: str) -> None:
    with pytest.raises(entry.refusal) as caught:
        entry.verify(compact)
    # A fixed sentence: nothing of the token comes back (OAUTH-PARAM-08).
    assert str(caught.value).isascii()
    assert not compact or compact not in str(caught.value)


@both
@pytest.mark.parametrize("key", PAIRS, ids=lambda key: key.alg)
@covers("OAUTH-JWT-11", "OAUTH-DPOP-07", "OAUTH-CAUTH-12")
def test_a_good_token_of_each_algorithm_is_accepted(entry: Entry, key: KeyPair) -> None:
    entry.verify(entry.token(key=key))


@both
@covers("OAUTH-JWT-11")
def test_both_names_of_the_edwards_algorithm_are_accepted(entry: Entry) -> None:
    entry.verify(entry.token(key=ED25519, header={"alg": "Ed25519"}))
    entry.verify(entry.token(key=ED25519, header={"alg": "EdDSA"}))
    refused(entry, entry.token(key=ED25519, header={"alg": "Ed448"}))


@both
@pytest.mark.parametrize("signature", [None, b""], ids=["signed", "unsigned"])
@pytest.mark.parametrize(
    "alg", ["none", "nOnE", "NONE", "none ", "", None, ["ES256"], "es256", DROP, {}, 1]
)
@covers("SEC-JOSE-01", "OAUTH-JWT-03")
def test_no_spelling_of_none_is_an_algorithm(
    entry: Entry, alg: object, signature: bytes | None
) -> None:
    refused(entry, entry.token(header={"alg": alg}, signature=signature))


@covers("SEC-JOSE-01")
def test_the_catalogued_none_headers_are_refused() -> None:
    claims = encode(dict(ASSERTION.claims))
    for header in ("eyJhbGciOiJub25lIn0", "eyJhbGciOiJuT25FIn0"):
        refused(ASSERTION, f"{header}.{claims}.")
        refused(PROOF, f"{header}.{claims}.")


def _secrets_that_are_public(key: KeyPair) -> dict[str, bytes]:
    public = key.material.public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    found = {
        "pem": public.public_bytes(serialization.Encoding.PEM, form),
        "der": public.public_bytes(serialization.Encoding.DER, form),
        "jwk": json.dumps(dict(key.public.jwk)).encode(),
        "empty": b"",
    }
    if isinstance(public, rsa.RSAPublicKey):
        found["n"] = public.public_numbers().n.to_bytes(256, "big")
    return found


@both
@pytest.mark.parametrize("key", [ES256, PS256], ids=lambda key: key.alg)
@covers("SEC-JOSE-02", "OAUTH-JWT-03", "OAUTH-CAUTH-18")
def test_a_public_key_is_never_a_shared_secret(entry: Entry, key: KeyPair) -> None:
    for secret in _secrets_that_are_public(key).values():
        for alg in ("HS256", key.alg):

            def mac(message: bytes, secret: bytes = secret) -> bytes:
                return hmac.digest(secret, message, "sha256")

            refused(entry, entry.token(key=key, header={"alg": alg}, signature=mac))


@both
@pytest.mark.parametrize("crit", [["exp"], ["x"], [], "b64", ["b64"], None, {}])
@covers("SEC-JOSE-06", "OAUTH-JWT-04")
def test_any_crit_is_refused(entry: Entry, crit: object) -> None:
    refused(entry, entry.token(header={"crit": crit, "x": 1}))
    entry.verify(entry.token(header={"x": 1}))


@both
@covers("SEC-JOSE-07", "OAUTH-JWT-04")
def test_unencoded_payloads_are_refused(entry: Entry) -> None:
    refused(entry, entry.token(header={"b64": False}))
    refused(entry, entry.token(header={"b64": True}))
    refused(entry, entry.token(header={"b64": False, "crit": ["b64"]}))
    header = "eyJhbGciOiJFUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19"
    payload = json.dumps(dict(entry.claims))
    signature = encode(sign(ES256, f"{header}.{payload}".encode()))
    refused(entry, f"{header}.{payload}.{signature}")


@both
@covers("SEC-JOSE-08", "OAUTH-JWT-04")
def test_a_header_member_occurs_once(entry: Entry) -> None:
    good = json.dumps(entry.header(ES256))[1:-1]
    entry.verify(entry.token(header=f"{{{good}}}".encode()))
    for again in (
        '"alg":"none"',
        '"alg":"ES256"',
        '"a\\u006cg":"ES256"',
        '"typ":"dpop+jwt"',
        '"jwk":{},"jwk":{}',
    ):
        refused(entry, entry.token(header=f"{{{good},{again}}}".encode()))
        refused(entry, entry.token(header=f"{{{again},{good}}}".encode()))
    refused(entry, f"eyJhbGciOiJFUzI1NiIsImFsZyI6Im5vbmUifQ.{encode(dict(entry.claims))}.AA")


@both
@pytest.mark.parametrize("name", ["aud", "exp", "jti", "iat", "htu"])
@covers("SEC-JOSE-08")
def test_a_claim_occurs_once(entry: Entry, name: str) -> None:
    value = json.dumps(entry.claims.get(name, 1))
    good = json.dumps(dict(entry.claims) | {name: entry.claims.get(name, 4_000_000_000)})[1:-1]
    refused(entry, entry.token(claims=f'{{{good},"{name}":{value}}}'.encode()))
    refused(entry, entry.token(claims=f'{{"{name}":{value},{good}}}'.encode()))
    escaped = f"\\u{ord(name[0]):04x}{name[1:]}"
    refused(entry, entry.token(claims=f'{{{good},"{escaped}":{value}}}'.encode()))


@both
@covers("SEC-JOSE-09", "OAUTH-JWT-02", "OAUTH-JWT-04", "OAUTH-JWT-13")
def test_nothing_encrypted_or_compressed_is_read(entry: Entry) -> None:
    refused(entry, entry.token(header={"zip": "DEF"}))
    parts = ["", "A" * 16, "A" * 22, "A" * 22]
    for header in (
        {"alg": "dir", "enc": "A256GCM"},
        {"alg": "dir", "enc": "A256GCM", "zip": "DEF"},
        {"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 2147483647, "p2s": "AAAA"},
        {"alg": "RSA1_5", "enc": "A256GCM"},
    ):
        refused(entry, ".".join([encode(entry.header(ES256) | header), *parts]))
        refused(entry, entry.token(header=header))


@both
@covers("SEC-JOSE-10", "OAUTH-JWT-02")
def test_only_the_compact_serialization_is_read(entry: Entry) -> None:
    protected, payload, signature = entry.token().split(".")
    one = {"protected": protected, "signature": signature}
    flattened: dict[str, Any] = {"payload": payload, **one}
    refused(entry, json.dumps(flattened))
    refused(entry, json.dumps({"payload": payload, "signatures": [one]}))
    refused(entry, json.dumps({"payload": payload, "signatures": [one, one]}))


def _spoil(part: int, change: Callable[[str], str]) -> Callable[[str], str]:
    def spoiled(compact: str) -> str:
        parts = compact.split(".")
        parts[part] = change(parts[part])
        return ".".join(parts)

    return spoiled


def _with_trailing_bits(part: str) -> str:
    """The same bytes, spelled with the unused bits of the last character set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(part) % 4
    return part[:-1] + alphabet[alphabet.index(part[-1]) | 1]


@both
@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "claims", "signature"])
@pytest.mark.parametrize(
    "change",
    [
        lambda part: part + "=",
        lambda part: part + "=" * (-len(part) % 4),
        lambda part: part[:9] + "+" + part[10:],
        lambda part: part[:9] + "/" + part[10:],
        lambda part: " " + part,
        lambda part: part + " ",
        lambda part: part + "\n",
        lambda part: part[:8] + "\r\n" + part[8:],
        lambda part: part[:8] + "!" + part[8:],
        lambda part: part[:8] + "é" + part[8:],
        lambda part: part[:8] + "\x00" + part[8:],
        lambda part: "",
        lambda part: "." + part,
        lambda part: part + "A" * (1 if len(part) % 4 == 0 else 5 - len(part) % 4),
    ],
)
@covers("SEC-JOSE-11", "OAUTH-JWT-02")
def test_a_part_is_canonical_base64url(
    entry: Entry, part: int, change: Callable[[str], str]
) -> None:
    good = entry.token()
    entry.verify(good)
    spoiled = _spoil(part, change)(good)
    if spoiled != good:  # padding of a part that needs none
        refused(entry, spoiled)


@both
@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "claims", "signature"])
@covers("SEC-JOSE-11")
def test_unused_bits_are_zero(entry: Entry, part: int) -> None:
    # Blanks, until the part's length leaves bits over.
    length = len(json.dumps(entry.header(ES256) if part == 0 else dict(entry.claims)))
    blanks = " " * ((1 - length) % 3)
    raw = (json.dumps(entry.header(ES256)) + (blanks if part == 0 else "")).encode()
    text = (json.dumps(dict(entry.claims)) + (blanks if part == 1 else "")).encode()
    good = entry.token(header=raw, claims=text)
    entry.verify(good)
    refused(entry, _spoil(part, _with_trailing_bits)(good))


@both
@covers("SEC-JOSE-11")
def test_there_are_three_parts(entry: Entry) -> None:
    good = entry.token()
    for compact in ("", ".", "..", "...", good + ".", "." + good, good + ".AA", good[:20]):
        refused(entry, compact)
    refused(entry, good.rpartition(".")[0])
    refused(entry, good.rpartition(".")[0] + ".")


NOT_OBJECTS: dict[str, Callable[[bytes], bytes]] = {
    "byte order mark": lambda good: b"\xef\xbb\xbf" + good,
    "array": lambda good: b"[" + good + b"]",
    "string": lambda _: b'"x"',
    "null": lambda _: b"null",
    "number": lambda _: b"1",
    "deep": lambda good: good[:-1] + b',"deep":' + b"[" * 1001 + b"]" * 1001 + b"}",
    "deep object": lambda good: good[:-1] + b',"d":' + b'{"d":' * 1001 + b"1" + b"}" * 1002,
    "trailing garbage": lambda good: good + b"x",
    "two values": lambda good: good + b"{}",
    "invalid UTF-8": lambda good: good[:-1] + b',"x":"\xff"}',
    "overlong UTF-8": lambda good: good[:-1] + b',"x":"\xc0\x80"}',
    "surrogate": lambda good: good[:-1] + b',"x":"\\ud800"}',
    "UTF-16": lambda good: good.decode().encode("utf-16"),
    "UTF-16 without mark": lambda good: good.decode().encode("utf-16-le"),
    "NaN": lambda good: good[:-1] + b',"x":NaN}',
    "infinity": lambda good: good[:-1] + b',"x":-Infinity}',
    "comment": lambda good: good[:-1] + b",/**/}",
    "NUL": lambda good: good + b"\x00",
}


@both
@pytest.mark.parametrize("spoil", NOT_OBJECTS.values(), ids=NOT_OBJECTS.keys())
@covers("SEC-JOSE-12", "OAUTH-PARAM-09")
def test_header_and_claims_are_strict_json_objects(
    entry: Entry, spoil: Callable[[bytes], bytes]
) -> None:
    header = json.dumps(entry.header(ES256)).encode()
    claims = json.dumps(dict(entry.claims)).encode()
    entry.verify(entry.token(header=header, claims=claims))
    entry.verify(entry.token(header=header[:-1] + b',"x":[{"y":1}]}'))
    refused(entry, entry.token(header=spoil(header)))
    refused(entry, entry.token(claims=spoil(claims)))


N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _halves(message: bytes) -> tuple[int, int]:
    made = sign(ES256, message)
    return int.from_bytes(made[:32], "big"), int.from_bytes(made[32:], "big")


def _raw(r: int, s: int, width: int = 32) -> bytes:
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def _r_of_33_bytes(message: bytes) -> bytes:
    r, s = _halves(message)
    return (r + N).to_bytes(33, "big") + s.to_bytes(32, "big")


def _s_of_33_bytes(message: bytes) -> bytes:
    r, s = _halves(message)
    return r.to_bytes(32, "big") + s.to_bytes(33, "big")


def _der(message: bytes) -> bytes:
    return encode_dss_signature(*_halves(message))


BAD_ECDSA: dict[str, Callable[[bytes], bytes]] = {
    "r = s = 0": lambda _: bytes(64),
    "r = 0, s = 1": lambda _: _raw(0, 1),
    "r = 1, s = 0": lambda _: _raw(1, 0),
    "r = n": lambda message: _raw(N, _halves(message)[1]),
    "s = n": lambda message: _raw(_halves(message)[0], N),
    "r + n in 33 bytes": _r_of_33_bytes,
    "s with a leading zero byte": _s_of_33_bytes,
    "a byte more": lambda message: sign(ES256, message) + b"\0",
    "two of 33 bytes": lambda message: _raw(*_halves(message), width=33),
    "DER": _der,
    "63 bytes": lambda message: sign(ES256, message)[:63],
    "96 bytes": lambda message: _raw(*_halves(message), width=48),
    "empty": lambda _: b"",
}


@both
@pytest.mark.parametrize("forged", BAD_ECDSA.values(), ids=BAD_ECDSA.keys())
@covers("SEC-JOSE-13")
def test_a_bad_ecdsa_signature_is_refused(entry: Entry, forged: Callable[[bytes], bytes]) -> None:
    refused(entry, entry.token(signature=forged))


@both
@covers("SEC-JOSE-13", "SEC-JOSE-34", "OAUTH-DPOP-12")
def test_the_other_spelling_of_a_signature_is_the_same_use(entry: Entry) -> None:
    good = entry.token()
    signed, _, last = good.rpartition(".")
    signature = parse_base64url(last)
    r, s = signature[:32], int.from_bytes(signature[32:], "big")
    twin = f"{signed}.{render_base64url(r + (N - s).to_bytes(32, 'big'))}"
    assert twin != good
    assert entry.verify(twin).mark == entry.verify(good).mark


@both
@covers("SEC-JOSE-16")
def test_an_edwards_signature_is_reduced(entry: Entry) -> None:
    order = 2**252 + 27742317777372353535851937790883648493

    def unreduced(message: bytes) -> bytes:
        made = sign(ED25519, message)
        return made[:32] + (int.from_bytes(made[32:], "little") + order).to_bytes(32, "little")

    entry.verify(entry.token(key=ED25519))
    refused(entry, entry.token(key=ED25519, signature=unreduced))


def _rsa_signer(scheme: padding.AsymmetricPadding) -> Callable[[bytes], bytes]:
    material = PS256.material
    assert isinstance(material, rsa.RSAPrivateKey)
    return lambda message: material.sign(message, scheme, hashes.SHA256())


def _modified_padding(message: bytes) -> bytes:
    """PKCS #1 v1.5 with one padding byte changed, signed with the right key."""
    material = RS256.material
    assert isinstance(material, rsa.RSAPrivateKey)
    prefix = bytes.fromhex("3031300d060960864801650304020105000420")
    digest = prefix + hashlib.sha256(message).digest()
    block = b"\x00\x01" + b"\xff" * (256 - 4 - len(digest)) + b"\xfe\x00" + digest
    numbers = material.private_numbers()
    n = numbers.public_numbers.n
    return pow(int.from_bytes(block, "big"), numbers.d, n).to_bytes(256, "big")


@both
@covers("SEC-JOSE-18")
def test_rsa_padding_is_exact(entry: Entry) -> None:
    sha256, sha1 = hashes.SHA256(), hashes.SHA1()
    right = padding.PSS(padding.MGF1(sha256), salt_length=32)
    entry.verify(entry.token(key=PS256, signature=_rsa_signer(right)))
    for wrong in (
        padding.PSS(padding.MGF1(sha256), salt_length=0),
        padding.PSS(padding.MGF1(sha256), salt_length=31),
        padding.PSS(padding.MGF1(sha256), salt_length=padding.PSS.MAX_LENGTH),
        padding.PSS(padding.MGF1(sha1), salt_length=32),
    ):
        refused(entry, entry.token(key=PS256, signature=_rsa_signer(wrong)))
    entry.verify(entry.token(key=RS256, signature=_rsa_signer(padding.PKCS1v15())))
    refused(entry, entry.token(key=RS256, signature=_modified_padding))
    refused(entry, entry.token(key=RS256, signature=_rsa_signer(right)))
    refused(entry, entry.token(key=PS256, signature=_rsa_signer(padding.PKCS1v15())))


@both
@covers("OAUTH-JWT-03")
def test_a_key_verifies_its_own_algorithm_alone(entry: Entry) -> None:
    for key in PAIRS:
        for alg in ("ES256", "EdDSA", "Ed25519", "PS256", "RS256", "ES384", "RS512", "ES256K"):
            fits = alg == key.alg or {alg, key.alg} == {"EdDSA", "Ed25519"}
            if not fits:
                refused(entry, entry.token(key=key, header={"alg": alg}))


@covers("OAUTH-JWT-03")
def test_a_signature_holds_only_under_an_algorithm_of_its_key() -> None:
    for key in PAIRS:
        signature = sign(key, b"message")
        assert is_signed_by(key.public, key.alg, b"message", signature)
        for alg in {"ES256", "EdDSA", "PS256", "RS256", "none", ""} - {key.alg}:
            assert not is_signed_by(key.public, alg, b"message", signature)


def _of_length(entry: Entry, length: int) -> str:
    """A good token of this many characters, or one to three fewer."""
    pad = (length - len(entry.token(claims={"pad": ""}))) * 3 // 4
    made = entry.token(claims={"pad": "x" * pad})
    while len(made) > length:
        pad -= 1
        made = entry.token(claims={"pad": "x" * pad})
    return made


@both
@covers("SEC-JOSE-27", "OAUTH-JWT-04")
def test_a_token_has_at_most_16_kib(entry: Entry) -> None:
    longest = _of_length(entry, MAX_TOKEN)
    assert len(longest) > MAX_TOKEN - 4
    entry.verify(longest)
    over = _of_length(entry, MAX_TOKEN + 4)
    assert len(over) > MAX_TOKEN
    refused(entry, over)


@both
@covers("SEC-JOSE-27")
def test_what_is_too_long_is_refused_before_it_is_decoded(entry: Entry) -> None:
    compact = "A" * 10_000_000 + ".AA.AA"
    field = compact.encode()  # a proof arrives as bytes

    def judge() -> object:
        if entry is ASSERTION:
            return entry.verify(compact)
        return verify_proof(
            [field], method="POST", url=URL, now=NOW, nonces=None, require_nonce=False
        )

    tracemalloc.start()
    try:
        with pytest.raises(entry.refusal):
            judge()
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()


@covers("OAUTH-JWT-06")
def test_a_kind_is_compared_in_lower_case_of_ascii_alone() -> None:
    assert read_typ({}) is None
    assert read_typ({"typ": "application/AT+JWT"}) == "at+jwt"
    with pytest.raises(BadToken):
        read_typ({"typ": "\u212awt"})


@both
@covers("SEC-JOSE-04", "OAUTH-JWT-05", "OAUTH-CAUTH-16")
def test_the_header_names_no_other_source_of_keys(entry: Entry) -> None:
    for more in (
        {"jku": "https://canary.example/keys"},
        {"x5u": "https://canary.example/cert"},
        {"x5c": ["MIIB"]},
    ):
        refused(entry, entry.token(header=more))
