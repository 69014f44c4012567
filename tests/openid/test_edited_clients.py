"""A client's registration changes while its request waits: what that means, field by field (T-147).

The same table stands in `docs/grants.md`; nothing that is changed makes the result any wider.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from abeyance.parties.client import PROFILES, Client, ClientId
from abeyance.server.settings_file import ClientTable
from abeyance.wire import names
from tests.answer import Answer
from tests.covers import covers
from tests.openid.house import LEDGER, header_of, id_claims, open_provider
from tests.people.house import Flow, web
from tests.served import Served

DOCS: Final = Path(__file__).parents[2] / "docs" / "grants.md"
HEADING: Final = "## When a registration changes meanwhile"
MORE: Final = "https://more.example"
# What only the configuration file has: where secrets and keys are.
_FILES: Final = {"id", "secret_file", "secret_sha256", "jwks_file"}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_provider(tmp_path) as running:
        yield running


@pytest.fixture
def flow(served: Served) -> Flow:
    return Flow(web(served, "rp"))


async def edit(served: Served, **changes: Any) -> Client:
    """Change the registration; returns it as it was."""
    before = await served.house.store.find_client(ClientId("rp"))
    assert before is not None
    assert await served.house.store.replace_client(before, replace(before, **changes))
    return before


async def approved(flow: Flow) -> str:
    code = await flow.deferred(scope="openid read", nonce="n-1", resource=LEDGER)
    await flow.client.served.approve(code)
    return code


def reach(answer: Answer) -> tuple[Any, ...]:
    """What the token lets its holder do, and for how long."""
    claims = answer.claims()
    names_of = ("sub", "aud", "scope", "client_id", "auth_time", "cnf", "authorization_details")
    return (*(claims.get(each) for each in names_of), claims["exp"] - claims["iat"])


NOTHING: Final[dict[str, dict[str, Any]]] = {
    "client_name": {"name": "Another name"},
    "owner": {"owner": "vic"},
    "redirect_uris": {"redirect_uris": ("https://rp.example/moved",)},
    "interaction_redirect_uris": {"interaction_redirect_uris": ("https://rp.example/i",)},
    "application_type": {"native": True},
    "allowed_origins": {"allowed_origins": frozenset({"https://rp.example"})},
    "scope": {"scope": frozenset({"openid", "profile", "email", "read", "write", "now"})},
    "default_scope": {"default_scope": frozenset({"read", "now"})},
    "resources": {"resources": frozenset({LEDGER, MORE, "https://as.example/userinfo"})},
    "authorization_details_types": {"details_types": frozenset({"payment"})},
    "introspects": {"introspects": frozenset({LEDGER})},
    "rotate_refresh_tokens": {"rotate_refresh_tokens": True},
    "default_max_age": {"default_max_age": timedelta(seconds=1)},
    "require_pushed_authorization_requests": {"require_pushed": True},
    "require_signed_request_object": {"require_signed": True},
    "request_object_signing_alg": {"request_object_alg": "EdDSA"},
    "token_endpoint_auth_signing_alg": {"assertion_alg": "EdDSA"},
    "first_party": {"first_party": True},
    "pushes_redirect_uris": {"pushes_redirect_uris": True},
    "pkce_optional": {"pkce_optional": True},
    "legacy_assertion_audience": {"legacy_assertion_audience": True},
    "deferred_token_response_profiles": {"profiles": frozenset(PROFILES)},
    "deferred_client_notification_endpoint": {"notification_endpoint": "https://rp.example/n"},
    "grant_types": {"grant_types": frozenset({"authorization_code", "client_credentials"})},
}


@covers("T-147", "DTR-RD-09", "DTR-INV-01", "OAUTH-DEFER-06")
@pytest.mark.parametrize("field", NOTHING)
async def test_what_changes_nothing_changes_nothing(served: Served, flow: Flow, field: str) -> None:
    usual = await flow.client.poll(await approved(flow))
    code = await approved(flow)
    await edit(served, **NOTHING[field])
    token = await flow.client.poll(code)
    assert token.status == 200, token.body
    assert reach(token) == reach(usual)
    told = await id_claims(served, token)
    assert (told["nonce"], told["aud"], told["auth_time"]) == (
        "n-1",
        "rp",
        token.claims()["auth_time"],
    )


@covers("T-147", "T-145", "DTR-RD-09", "OAUTH-DEFER-06")
@pytest.mark.parametrize(
    "changes",
    [
        {"scope": frozenset({"openid", "now"})},
        {"scope": frozenset({"read", "now"})},
        {"resources": frozenset({MORE})},
        {"grant_types": frozenset({names.GRANT_CLIENT_CREDENTIALS})},
    ],
    ids=["not read", "not openid", "another resource", "another grant"],  # a set has no order
)
async def test_what_the_client_may_no_longer_have_is_refused_for_good(
    served: Served, flow: Flow, changes: dict[str, Any]
) -> None:
    code = await approved(flow)
    before = await edit(served, **changes)
    assert (await flow.client.poll(code)).error == "access_denied"
    await served.house.store.put_client(before)
    assert (await flow.client.poll(code)).error == "access_denied"


@covers("T-147", "SEC-TOK-27", "OAUTH-CLI-07")
@pytest.mark.parametrize(
    "changes",
    [
        {"auth_method": names.CLIENT_SECRET_POST},
        {"auth_method": names.PRIVATE_KEY_JWT},
        {"secret_digests": (sha256(b"another").digest(),)},
    ],
    ids=str,
)
async def test_a_poll_authenticates_as_is_registered_now_and_what_waits_stays(
    served: Served, flow: Flow, changes: dict[str, Any]
) -> None:
    code = await approved(flow)
    before = await edit(served, **changes)
    assert (await flow.client.poll(code)).error == "invalid_client"
    await served.house.store.put_client(before)
    assert (await flow.client.poll(code)).status == 200


@covers("T-147", "DTR-BIND-01")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"dpop_bound_access_tokens": True}, "invalid_dpop_proof"),
        ({"certificate_bound": True}, "invalid_grant"),
    ],
    ids=str,
)
async def test_a_binding_that_is_demanded_now_is_demanded_of_what_waits(
    served: Served, flow: Flow, changes: dict[str, Any], error: str
) -> None:
    code = await approved(flow)
    before = await edit(served, **changes)
    assert (await flow.client.poll(code)).error == error
    await served.house.store.put_client(before)
    assert (await flow.client.poll(code)).status == 200, "and it was not used up"


@covers("T-147", "DTR-POLL-04")
async def test_no_binding_is_lost_because_none_is_demanded_any_more(
    served: Served, flow: Flow
) -> None:
    before = await edit(served, dpop_bound_access_tokens=True)
    flow.client.dpop = served.keys["d1"]
    code = await approved(flow)
    await served.house.store.put_client(before)
    unproven = await flow.client.without_proof().poll(code)
    assert unproven.error == "invalid_dpop_proof"
    token = await flow.client.poll(code)
    assert token.json["token_type"] == "DPoP"
    assert "jkt" in token.claims()["cnf"]


@covers("T-147", "OAUTH-OIDC-03")
async def test_the_id_token_is_signed_as_is_registered_now(served: Served, flow: Flow) -> None:
    usual = await flow.client.poll(await approved(flow))
    code = await approved(flow)
    await edit(served, id_token_alg="EdDSA")
    token = await flow.client.poll(code)
    assert header_of(token.json["id_token"])["alg"] == "EdDSA"
    assert reach(token) == reach(usual)


@covers("T-147")
def test_every_field_of_a_registration_is_in_the_table() -> None:
    _, _, section = DOCS.read_text().partition(HEADING)
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    named = {each for row in rows for each in re.findall(r"`([a-z_]+)`", row.split("|")[1])}
    fields = {*ClientTable.__struct_fields__} - _FILES - {"name"} | {"client_name"}
    assert named == fields | {"client_secret"}
