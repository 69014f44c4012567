"""What each originating grant makes of a request (OAUTH-TOK-07, -11, OAUTH-AT-05)."""

import pytest

from abeyance.grants import GRANTS
from abeyance.grants.grant import Claimed
from tests.covers import covers
from tests.oauth.examples import client


@covers("OAUTH-TOK-11", "OAUTH-AT-05")
def test_a_client_acting_for_itself_is_its_own_subject_and_spends_nothing() -> None:
    claimed = GRANTS["client_credentials"].claim(client())
    assert claimed == Claimed(subject="client:batch", requires=())


@covers("OAUTH-AT-05")
@pytest.mark.parametrize("name", ["alice", "client:alice", "", "user:alice", "client:"])
def test_a_client_never_gets_the_subject_of_a_person(name: str) -> None:
    subject = GRANTS["client_credentials"].claim(client(name=name)).subject
    assert subject == f"client:{name}"
    assert subject != name


def test_each_grant_is_registered_under_its_own_name() -> None:
    assert {name: grant.name for name, grant in GRANTS.items()} == {
        "client_credentials": "client_credentials"
    }


@covers("OAUTH-TOK-07")
@pytest.mark.parametrize(
    "name", ["password", "implicit", "", "Client_Credentials", "client_credentials "]
)
def test_no_other_name_is_a_grant(name: str) -> None:
    assert name not in GRANTS
