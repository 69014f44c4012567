"""Every part of a code must be right, and only then is it spent, or was (OAUTH-CODE)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

import pytest

from abeyance.grants import GRANTS
from abeyance.grants.grant import Behind, Claimed, Found, Presented, Reused
from abeyance.parties.client import Client, ClientId
from abeyance.pending.change import SpendCode
from abeyance.pending.credentials import Code, FoundCode, FoundRefresh, UserGrant
from abeyance.pending.request import Success
from abeyance.proofs.dpop import ProvenKey
from abeyance.wire.errors import InvalidGrant
from tests.access.examples import access
from tests.covers import covers
from tests.oauth.examples import client, form
from tests.pending.credentials import (
    CODE_HANDLE,
    CODE_LIFE,
    CODE_TEXT,
    CONSENT,
    REDIRECT_URI,
    SESSION,
    UMA,
    VERIFIER,
    code,
    family,
    refresh_token,
    user_grant,
)
from tests.pending.examples import HOME, KEY, NOW, OTHER_KEY

TICK = timedelta(microseconds=1)
SPENT = NOW + timedelta(seconds=3)
APP = replace(client(), grant_types=frozenset({"authorization_code"}))


def ends(shown: Claimed | Reused) -> bool:
    """Was it reuse, which ends all that came of the home?"""
    return isinstance(shown, Reused) and shown.home == HOME and shown.ends


def found(what: Code | None = None, grant: UserGrant | None = None) -> FoundCode:
    return FoundCode(HOME, what or code(), grant or user_grant())


def show(
    what: Found | None,
    *,
    by: Client = APP,
    key: ProvenKey | None = None,
    now: datetime = NOW,
    members: Mapping[str, str | None] = MappingProxyType({}),
) -> Claimed | Reused:
    """Show the code with its verifier, and `members` instead of what is usual."""
    sent = {"code": CODE_TEXT.reveal(), "code_verifier": VERIFIER, **members}
    return GRANTS["authorization_code"].claim(
        Presented(
            client=by,
            form=form(*((name, text) for name, text in sent.items() if text is not None)),
            key=key,
            found=what,
            now=now,
            grace=timedelta(seconds=30),
        )
    )


def wrong_ways(spent_at: datetime | None) -> list[tuple[str, Found | None, dict[str, str | None]]]:
    here = found(code(spent_at=spent_at))
    return [
        ("unknown", None, {}),
        ("another kind", FoundRefresh(HOME, refresh_token(1), family(), user_grant(), 1), {}),
        ("another client's", replace(here, grant=user_grant(client=ClientId("other"))), {}),
        ("without its ground", replace(here, grant=user_grant(ended_at=NOW)), {}),
        ("another address", here, {"redirect_uri": REDIRECT_URI + "/"}),
        ("no verifier", here, {"code_verifier": None}),
        ("a wrong verifier", here, {"code_verifier": VERIFIER[:-1] + "A"}),
        ("the challenge itself", here, {"code_verifier": here.code.challenge}),
        ("no key", found(code(dpop_jkt=KEY.jkt, spent_at=spent_at)), {}),
        ("another key", found(code(dpop_jkt=OTHER_KEY.jkt, spent_at=spent_at)), {}),
    ]


@covers("OAUTH-CODE-01", "OAUTH-CODE-04", "EXT-GRANT-01")
def test_a_right_code_stands_for_its_person_and_is_spent_either_way() -> None:
    spend = SpendCode(CODE_HANDLE.digest, NOW)
    assert show(found()) == Claimed(
        subject=UMA,
        behind=Behind(person=UMA, session=SESSION, consent=CONSENT, auth_time=NOW),
        home=HOME,
        spends=(spend,),
        holds=(spend,),
        ceiling=access("read write"),
        success=Success.ACCESS_TOKEN,
    )


@covers("OAUTH-TOK-06")
def test_a_family_begins_only_for_a_client_that_may_refresh() -> None:
    both = replace(APP, grant_types=APP.grant_types | {"refresh_token"})
    claimed = show(found(), by=both)
    assert isinstance(claimed, Claimed)
    assert claimed.success is Success.NEW_FAMILY


@covers("DTR-HINT-03")
@pytest.mark.parametrize("hinted", [True, False])
def test_a_code_remembers_whether_deferral_was_welcome(hinted: bool) -> None:
    claimed = show(found(code(hinted=hinted)))
    assert isinstance(claimed, Claimed)
    assert claimed.hinted is hinted


@covers("OAUTH-CODE-03", "OAUTH-RURI-02")
def test_the_redirect_uri_may_be_left_out_or_repeated_exactly() -> None:
    assert show(found(), members={"redirect_uri": REDIRECT_URI}) == show(found())


@covers("OAUTH-CODE-03", "OAUTH-PKCE-01")
def test_a_code_without_a_challenge_is_held_to_where_it_was_sent() -> None:
    bare, verifier = found(replace(code(), challenge=None)), {"code_verifier": None}
    there = show(bare, members={**verifier, "redirect_uri": REDIRECT_URI})
    assert isinstance(there, Claimed)
    for uri in (None, REDIRECT_URI + "/"):
        with pytest.raises(InvalidGrant):
            show(bare, members={**verifier, "redirect_uri": uri})
    nowhere = found(replace(code(), challenge=None, redirect_uri=""))
    assert isinstance(show(nowhere, members=verifier), Claimed), "no browser carried it"


@covers("OAUTH-CODE-10")
def test_a_promised_key_opens_the_code_and_none_is_needed_without_a_promise() -> None:
    bound = show(found(code(dpop_jkt=KEY.jkt)), key=KEY)
    assert isinstance(bound, Claimed)
    assert show(found(), key=OTHER_KEY) == show(found())


@covers("OAUTH-CODE-02", "OAUTH-CODE-03")
def test_a_code_lives_until_its_end_and_not_at_it() -> None:
    assert isinstance(show(found(), now=NOW + CODE_LIFE - TICK), Claimed)
    with pytest.raises(InvalidGrant):
        show(found(), now=NOW + CODE_LIFE)


@covers("OAUTH-CODE-05", "OAUTH-CODE-07")
@pytest.mark.parametrize("later", [timedelta(0), CODE_LIFE, timedelta(days=80)])
def test_a_spent_code_that_is_right_in_every_part_is_reuse_however_late(later: timedelta) -> None:
    assert ends(show(found(code(spent_at=SPENT)), now=SPENT + later))


@covers(
    "OAUTH-CODE-03", "OAUTH-CODE-06", "OAUTH-CODE-08", "OAUTH-CODE-09", "OAUTH-CODE-10",
    "OAUTH-PKCE-05",
)  # fmt: skip
@pytest.mark.parametrize("spent_at", [None, SPENT], ids=["live", "spent"])
@pytest.mark.parametrize("case", range(len(wrong_ways(None))))
def test_any_wrong_part_is_refused_with_one_text_and_ends_nothing(
    spent_at: datetime | None, case: int
) -> None:
    name, what, said = wrong_ways(spent_at)[case]
    with pytest.raises(InvalidGrant) as told:
        show(what, key=None if name == "no key" else KEY, members=said)
    assert told.value.description == "The code is not valid for this request", name
