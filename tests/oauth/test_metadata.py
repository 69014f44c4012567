"""The metadata document: only what is so, and all that is (OAUTH-META)."""

import json
from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from abeyance.faces.deferral import DEFERRAL
from abeyance.grants import GRANTS
from abeyance.oauth.client_authentication import read_credentials, verify_credentials
from abeyance.oauth.metadata import AUTH_METHODS, Endpoints, server_metadata
from abeyance.parties.client import Client
from abeyance.proofs.client_assertion import make_assertion
from abeyance.proofs.dpop import make_proof, verify_proof
from abeyance.proofs.jwk import KeyPair, KeySet, parse_private_pem
from abeyance.wire import names
from abeyance.wire.errors import InvalidClient
from abeyance.wire.form import Form
from abeyance.wire.strict_json import Json, JsonObject
from tests.access.examples import TYPES
from tests.covers import covers
from tests.oauth.examples import ISSUER, SECRET, TOKEN_ENDPOINT, client, form, key_pair
from tests.oauth.keys import pem_for

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
ENDPOINTS = Endpoints(ISSUER)
# Those that nobody may use before the operator has said so are listed by the wiring.
SERVED = GRANTS.keys() - {
    names.GRANT_TOKEN_EXCHANGE,
    names.GRANT_JWT_BEARER,
    names.GRANT_DEVICE_CODE,
}
ALGORITHMS = ["ES256", "Ed25519", "EdDSA", "PS256", "RS256"]


def document(
    *,
    scopes: Iterable[str] = ("write", "read"),
    details_types: Iterable[str] = TYPES.names(),
    endpoints: Endpoints = ENDPOINTS,
    profiles: Iterable[str] = ("wait", "interact"),
) -> JsonObject:
    return server_metadata(
        endpoints,
        scopes=scopes,
        details_types=details_types,
        grant_types={*SERVED, DEFERRAL.grant_type},
        profiles=profiles,
    )


@covers("EXT-META-01", "OAUTH-META-02")
def test_where_no_profile_is_on_none_is_listed() -> None:
    assert "deferred_token_response_profiles_supported" not in document(profiles=())


@covers(
    "OAUTH-META-02", "OAUTH-META-03", "DTR-OPT-04", "DTR-CANC-08", "DTR-RD-17", "T-204", "T-205"
)
def test_the_whole_document_is_this() -> None:
    assert document() == {
        "issuer": "https://as.example",
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": "https://as.example/token",
        "pushed_authorization_request_endpoint": "https://as.example/par",
        "require_pushed_authorization_requests": False,
        "jwks_uri": "https://as.example/jwks",
        "revocation_endpoint": "https://as.example/revoke",
        "introspection_endpoint": "https://as.example/introspect",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": True,
        "request_object_signing_alg_values_supported": ALGORITHMS,
        "require_signed_request_object": False,
        "request_uri_parameter_supported": False,
        "grant_types_supported": [
            "authorization_code",
            "client_credentials",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:deferred",
        ],
        "scopes_supported": ["read", "write"],
        "authorization_details_types_supported": ["account", "folders", "payment"],
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
            "none",
        ],
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
            "none",
        ],
        "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ],
        "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "dpop_signing_alg_values_supported": ALGORITHMS,
        "deferred_token_response_supported": True,
        "deferred_token_response_profiles_supported": ["interact", "wait"],
        "revocation_endpoint_token_type_values_supported": [
            "access_token",
            "refresh_token",
            "urn:ietf:params:oauth:token-type:deferral-code",
        ],
    }


@covers("OAUTH-META-02")
def test_what_is_switched_off_is_absent_and_nothing_is_null() -> None:
    bare = document(scopes=(), details_types=())
    assert "scopes_supported" not in bare
    assert "authorization_details_types_supported" not in bare
    assert None not in bare.values()
    assert [] not in bare.values()


@covers("OAUTH-META-03")
@pytest.mark.parametrize(
    "name",
    [
        "grant_types_supported",
        "token_endpoint_auth_methods_supported",
        "revocation_endpoint_auth_methods_supported",
        "response_types_supported",
    ],
)
def test_a_member_whose_absence_means_something_is_never_absent(name: str) -> None:
    assert name in document(scopes=(), details_types=())


@covers("OAUTH-META-02")
def test_nothing_that_this_server_does_not_have_is_named() -> None:
    text = json.dumps(document())
    for absent in (
        "registration_endpoint",
        "device",
        "ciba",
        "token-exchange",
        "mtls",
        "userinfo",
        "interaction",
    ):
        assert absent not in text


@covers("DTR-OPT-04", "T-204")
def test_support_is_said_by_a_boolean() -> None:
    assert document()["deferred_token_response_supported"] is True


@covers("OAUTH-META-04", "OAUTH-CAUTH-18")
def test_no_list_of_algorithms_has_none_or_a_shared_secret() -> None:
    for name, value in document().items():
        if "alg_values" in name:
            assert not [alg for alg in words(value) if alg == "none" or alg.startswith("HS")]


@pytest.mark.parametrize(
    ("issuer", "well_known"),
    [
        ("https://as.example", "/.well-known/oauth-authorization-server"),
        ("https://as.example:8443", "/.well-known/oauth-authorization-server"),
        ("https://as.example/a/b", "/.well-known/oauth-authorization-server/a/b"),
    ],
)
def test_the_document_is_served_before_the_issuers_path(issuer: str, well_known: str) -> None:
    endpoints = Endpoints(issuer)
    assert endpoints.well_known == well_known
    assert document(endpoints=endpoints)["issuer"] == issuer
    for name in (
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "revocation_endpoint",
        "introspection_endpoint",
    ):
        url = document(endpoints=endpoints)[name]
        assert isinstance(url, str)
        assert url.startswith(issuer + "/")


# --- what is advertised is what is enforced


@covers("OAUTH-META-05", "OAUTH-CAUTH-03")
@pytest.mark.parametrize("method", AUTH_METHODS)
def test_every_advertised_method_authenticates(method: str) -> None:
    assert method in words(document()["token_endpoint_auth_methods_supported"])
    known = client(method=method, keys=KeySet((key_pair().public,)))
    assert authenticates(known, *shown(method))


@covers("OAUTH-META-05", "OAUTH-CAUTH-18")
@pytest.mark.parametrize(
    "method", ["client_secret_jwt", "tls_client_auth", "self_signed_tls_client_auth"]
)
def test_no_other_method_authenticates(method: str) -> None:
    assert method not in words(document()["token_endpoint_auth_methods_supported"])
    known = client(method=method, keys=KeySet((key_pair().public,)))
    assert not any(authenticates(known, *shown(each)) for each in AUTH_METHODS)


@covers("OAUTH-META-05", "OAUTH-CLI-01", "OAUTH-CAUTH-03")
def test_a_name_alone_lets_in_a_public_client_and_nobody_else() -> None:
    named = (None, form(client_id="batch"))
    assert "none" in words(document()["token_endpoint_auth_methods_supported"])
    assert "none" not in words(document()["introspection_endpoint_auth_methods_supported"])
    assert authenticates(client(method="none", secrets=()), *named)
    for method in AUTH_METHODS:
        assert not authenticates(client(method=method, keys=KeySet((key_pair().public,))), *named)
    for method in AUTH_METHODS:
        assert not authenticates(client(method="none", secrets=()), *shown(method))


@covers("OAUTH-META-05")
def test_every_advertised_algorithm_is_accepted_in_assertions_and_proofs() -> None:
    published = document()
    for name in (
        "token_endpoint_auth_signing_alg_values_supported",
        "revocation_endpoint_auth_signing_alg_values_supported",
        "dpop_signing_alg_values_supported",
    ):
        for alg in words(published[name]):
            pair = parse_private_pem(pem_for(alg), alg=alg)
            assert pair.alg == alg
            known = client(
                method="private_key_jwt",
                secrets=(),
                keys=KeySet((pair.public,)),
                assertion_alg=alg,
            )
            assert authenticates(known, None, assertion(pair))
            assert proof_key(pair) == pair.public.jkt


@covers("OAUTH-META-05", "DTR-RD-17")
def test_every_advertised_grant_is_served_by_a_grant_or_a_face() -> None:
    served = {*SERVED, DEFERRAL.grant_type}
    assert set(words(document()["grant_types_supported"])) == served


def words(value: Json) -> list[str]:
    assert isinstance(value, list)
    return [str(each) for each in value]


def shown(method: str) -> tuple[bytes | None, Form]:
    match method:
        case "client_secret_basic":
            return b"Basic " + b64encode(f"batch:{SECRET}".encode()), form()
        case "client_secret_post":
            return None, form(client_id="batch", client_secret=SECRET)
        case _:
            return None, assertion(key_pair())


def assertion(pair: KeyPair) -> Form:
    token = make_assertion(pair, client_id="batch", audience=ISSUER, now=NOW, jti="j")
    return form(
        client_assertion=token,
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    )


def authenticates(known: Client, header: bytes | None, body: Form) -> bool:
    credentials = read_credentials([] if header is None else [header], body, issuer=ISSUER)
    try:
        verify_credentials(
            credentials,
            known,
            body,
            issuer=ISSUER,
            token_endpoint=TOKEN_ENDPOINT,
            now=NOW,
        )
    except InvalidClient:
        return False
    return True


def proof_key(pair: KeyPair) -> str:
    proof = make_proof(pair, method="POST", url=TOKEN_ENDPOINT, now=NOW, jti="j" * 16)
    jkt = verify_proof(
        [proof.encode()],
        method="POST",
        url=TOKEN_ENDPOINT,
        now=NOW,
        nonces=None,
        require_nonce=False,
    ).key.jkt
    assert jkt is not None
    return jkt
