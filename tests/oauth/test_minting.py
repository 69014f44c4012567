"""Access tokens: what they claim, for how long, and never more than was granted (OAUTH-AT)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.access.access import Access
from abeyance.oauth.minting import Minted, mint_access_token, parse_jti
from abeyance.pending.change import TokenRecord
from abeyance.pending.handles import Home
from abeyance.proofs.access_token import verify_access_token
from abeyance.proofs.dpop import ProvenKey
from abeyance.proofs.jwk import KeySet
from abeyance.proofs.jws import BadToken
from abeyance.wire.base64url import parse_base64url, render_base64url
from abeyance.wire.strict_json import JsonObject, parse_json_object
from tests.access.examples import API, access, account, payment
from tests.access.test_narrowing import ACCESSES
from tests.covers import covers
from tests.oauth.examples import ISSUER, SIGNING, client, key_pair

NOW = datetime(2026, 10, 1, 12, 0, 0, 750_000, tzinfo=UTC)
LIFE = timedelta(minutes=5)
HOME = Home(b"h" * 16)
RANDOM = b"r" * 16
INSTANTS = st.floats(0, 4e9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
KEY = ProvenKey("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")


def mint(
    granted: Access | None = None,
    *,
    key: ProvenKey | None = None,
    life: timedelta = LIFE,
    now: datetime = NOW,
) -> Minted:
    return mint_access_token(
        client=client(),
        subject="client:batch",
        access=access("write read") if granted is None else granted,
        key=key,
        home=HOME,
        n=1,
        issuer=ISSUER,
        signing=SIGNING,
        random=RANDOM,
        now=now,
        life=life,
    )


def claims(minted: Minted) -> JsonObject:
    return verify_access_token(
        token(minted), keys=KeySet((SIGNING.public,)), issuer=ISSUER, now=NOW
    )


def token(minted: Minted) -> str:
    value = minted.answer["access_token"]
    assert isinstance(value, str)
    return value


@covers("OAUTH-AT-01", "OAUTH-AT-02", "OAUTH-AT-03", "OAUTH-RES-05")
def test_a_token_claims_this_and_nothing_else() -> None:
    moment = int(NOW.timestamp())
    assert claims(mint()) == {
        "iss": ISSUER,
        "aud": API,
        "sub": "client:batch",
        "client_id": "batch",
        "iat": moment,
        "exp": moment + 300,
        "jti": render_base64url(HOME + RANDOM),
        "scope": "read write",
    }


@covers("OAUTH-AT-01")
def test_a_token_says_what_it_is_and_by_which_key() -> None:
    header = parse_json_object(parse_base64url(token(mint()).split(".")[0]))
    assert header == {"typ": "at+jwt", "alg": "EdDSA", "kid": SIGNING.kid}
    with pytest.raises(BadToken):
        verify_access_token(token(mint()), keys=KeySet((key_pair(9).public,)), issuer=ISSUER)


@covers("DTR-OK-01", "DTR-OK-02", "OAUTH-TOK-03", "OAUTH-TOK-05", "T-098", "T-099")
def test_the_answer_is_a_plain_success_with_the_tokens_own_life() -> None:
    minted = mint()
    assert minted.answer == {
        "access_token": token(minted),
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "read write",
    }


@covers("OAUTH-TOK-06", "OAUTH-TOK-11", "DTR-OK-01")
def test_a_client_acting_for_itself_gets_one_token_and_nothing_beside_it() -> None:
    answer = mint(access("read", payment()), key=KEY).answer
    assert not set(answer) & {"refresh_token", "id_token", "issued_token_type", "deferral_code"}


@covers("DTR-OK-04", "OAUTH-DPOP-13", "T-129", "DTR-INV-03")
def test_a_token_for_a_proven_key_is_bound_to_it_and_is_no_bearer_token() -> None:
    minted = mint(key=KEY)
    assert claims(minted)["cnf"] == {"jkt": KEY.jkt}
    assert minted.answer["token_type"] == "DPoP"


@covers("DTR-OK-04")
def test_a_token_without_a_key_is_bound_to_none() -> None:
    minted = mint()
    assert "cnf" not in claims(minted)
    assert minted.answer["token_type"] == "Bearer"


# --- what was granted


@covers("EXT-NARROW-02", "OAUTH-RAR-08", "T-144")
def test_token_and_answer_tell_what_was_granted() -> None:
    granted = access("read", account("read", ceiling="5"), payment())
    minted = mint(granted)
    for told in (claims(minted), minted.answer):
        assert told["scope"] == "read"
        assert told["authorization_details"] == list(granted.details)


@covers("OAUTH-TOK-05")
def test_what_was_not_granted_is_absent_and_not_empty() -> None:
    minted = mint(access("", payment()))
    for told in (claims(minted), minted.answer):
        assert "scope" not in told
    assert "authorization_details" not in claims(mint())
    assert None not in minted.answer.values()


@covers("DTR-INV-01", "EXT-NARROW-02", "OAUTH-SCOPE-04")
@given(ACCESSES)
def test_a_token_never_claims_more_than_was_granted(granted: Access) -> None:
    told = parse_json_object(parse_base64url(token(mint(granted)).split(".")[1]))
    assert set(str(told.get("scope", "")).split()) == granted.scope
    assert told.get("authorization_details", []) == list(granted.details)
    audience = told["aud"]
    assert {audience} if isinstance(audience, str) else set(audience) == granted.resources  # type: ignore[arg-type]


# --- for how long


@covers("EXT-BOUND-01", "OAUTH-DEFER-10", "DTR-OK-02")
@given(
    INSTANTS,
    st.timedeltas(timedelta(seconds=1), timedelta(days=400)),
)
def test_a_token_never_outlives_what_it_was_given(now: datetime, life: timedelta) -> None:
    minted = mint(now=now, life=life)
    told = parse_json_object(parse_base64url(token(minted).split(".")[1]))
    issued, expires = told["iat"], told["exp"]
    assert type(issued) is int
    assert type(expires) is int
    assert issued <= now.timestamp() < issued + 1
    assert expires <= (now + life).timestamp()
    assert minted.answer["expires_in"] == expires - issued
    # The record is a bound for cleaning up: it never goes before the token does.
    assert expires <= minted.record.expires_at.timestamp() <= (now + life).timestamp()


@covers("OAUTH-DEFER-10")
def test_a_token_is_dated_when_it_is_minted() -> None:
    later = NOW + timedelta(days=3)
    told = parse_json_object(parse_base64url(token(mint(now=later)).split(".")[1]))
    assert told["iat"] == int(later.timestamp())


# --- its record


@covers("OAUTH-AT-06")
def test_the_record_names_the_token_and_does_not_hold_it() -> None:
    minted = mint()
    assert minted.record == TokenRecord(
        jti=HOME + RANDOM,
        n=1,
        client=client().id,
        subject="client:batch",
        issued_at=NOW,
        expires_at=NOW + LIFE,
    )
    assert token(minted) not in repr(minted.record)


@covers("OAUTH-AT-06")
def test_a_jti_leads_back_to_its_home() -> None:
    jti = claims(mint())["jti"]
    assert isinstance(jti, str)
    assert parse_jti(jti) == (HOME, HOME + RANDOM)


@pytest.mark.parametrize(
    "text", ["", "x", "!" * 43, "A" * 42, "A" * 44, "\u00e9" * 43, "A" * 43 + "="]
)
def test_a_jti_of_another_house_is_not_ours(text: str) -> None:
    assert parse_jti(text) is None
