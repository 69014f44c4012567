"""What plain records of clients, people and consents say by themselves."""

from dataclasses import replace

import pytest
from hypothesis import given

from abeyance.access.access import Access
from abeyance.parties.client import ClientId
from abeyance.parties.consent import Consent, ConsentId, agree
from abeyance.parties.person import PersonId, is_person_id
from tests.access.examples import API, access, account
from tests.access.test_narrowing import ACCESSES
from tests.covers import covers
from tests.oauth.examples import client
from tests.pending.examples import NOW

OTHER_API = "https://other.example"
CONSENT = Consent(
    id=ConsentId("consent-1"),
    person=PersonId("uma"),
    client=ClientId("batch"),
    client_name="Night batch",
    scope=frozenset({"read", "write"}),
    resources=frozenset({API}),
    granted_at=NOW,
    confirmed_at=NOW,
)


@covers("OAUTH-AUTHZ-08")
@pytest.mark.parametrize(
    ("asked", "covered"),
    [
        (access("read write"), True),
        (access("read"), True),
        (access(""), True),
        (access("read", resources=()), True),
        (access("read root"), False),
        (access("READ"), False),
        (access("read", resources=(OTHER_API,)), False),
        (access("read", resources=(API, OTHER_API)), False),
        # Each object names an act of its own, so it is asked each time.
        (access("read", account()), False),
    ],
)
def test_a_consent_covers_what_was_agreed_to_and_no_act(asked: Access, covered: bool) -> None:
    assert CONSENT.covers(asked) is covered


@covers("OAUTH-AUTHZ-08")
@given(ACCESSES, ACCESSES)
def test_what_a_consent_covers_is_never_wider_than_it(agreed: Access, asked: Access) -> None:
    consent = replace(CONSENT, scope=agreed.scope, resources=agreed.resources)
    if consent.covers(asked):
        assert asked.scope <= agreed.scope
        assert asked.resources <= agreed.resources
        assert not asked.details
    assert consent.covers(replace(agreed, details=()))


@covers("OAUTH-AUTHZ-08", "OAUTH-AUTHZ-12")
@given(ACCESSES, ACCESSES, ACCESSES)
def test_two_answers_add_up_to_no_third(one: Access, two: Access, asked: Access) -> None:
    both: Consent | None = None
    for each in (one, two):
        both = agree(
            both,
            each,
            new=ConsentId("consent-1"),
            person=PersonId("uma"),
            client=ClientId("batch"),
            client_name="Night batch",
            at=NOW,
        )
    assert both is not None
    for each in (one, two):
        assert both.covers(replace(each, details=()))
    if both.covers(asked):
        for scope in asked.scope:
            for resource in asked.resources:
                assert any(
                    scope in each.scope and resource in each.resources for each in (one, two)
                )


@covers("OAUTH-RT-04")
@pytest.mark.parametrize(
    ("method", "asks", "bound", "rotates"),
    [
        ("client_secret_basic", False, False, False),
        ("client_secret_basic", True, False, True),
        ("private_key_jwt", True, True, True),
        ("none", False, False, True),
        ("none", False, True, False),
        ("none", True, True, True),
    ],
)
def test_a_token_that_a_thief_could_use_alone_is_always_rotated(
    method: str, asks: bool, bound: bool, rotates: bool
) -> None:
    app = replace(client(), auth_method=method, rotate_refresh_tokens=asks)
    assert app.is_public is (method == "none")
    assert app.rotates(bound=bound) is rotates


@pytest.mark.parametrize("text", ["uma", "u", "0", "uma.k+x@example.org", "a_b-c", "a" * 100])
def test_a_name_to_sign_in_with_is_lower_case_and_short(text: str) -> None:
    assert is_person_id(text)


@pytest.mark.parametrize(
    "text", ["", "Uma", "-uma", ".uma", "@uma", "u ma", "uma\n", "\u00fcma", "u:ma", "a" * 101]
)
def test_a_name_that_could_pass_for_another_is_none(text: str) -> None:
    assert not is_person_id(text)
