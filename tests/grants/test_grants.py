"""What each originating grant makes of a request (OAUTH-TOK-07, -11, OAUTH-AT-05)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from abeyance.grants import GRANTS
from abeyance.grants.grant import Claimed, Presented
from abeyance.parties.client import Client
from abeyance.wire.errors import UnauthorizedClient
from tests.covers import covers
from tests.oauth.examples import client, form
from tests.pending.examples import NOW


def shown(by: Client) -> Presented:
    return Presented(
        client=by, form=form(), key=None, found=None, now=NOW, grace=timedelta(seconds=30)
    )


@covers("OAUTH-TOK-11", "OAUTH-AT-05")
def test_a_client_acting_for_itself_is_its_own_subject_and_spends_nothing() -> None:
    claimed = GRANTS["client_credentials"].claim(shown(client()))
    assert claimed == Claimed(subject="client:batch")
    assert (claimed.spends, claimed.holds, claimed.behind) == ((), (), None)


@covers("OAUTH-AT-05")
@pytest.mark.parametrize("name", ["alice", "client:alice", "", "user:alice", "client:"])
def test_a_client_never_gets_the_subject_of_a_person(name: str) -> None:
    claimed = GRANTS["client_credentials"].claim(shown(client(name=name)))
    assert isinstance(claimed, Claimed)
    assert claimed.subject == f"client:{name}"


@covers("OAUTH-TOK-11", "OAUTH-CLI-01")
def test_a_client_without_a_credential_cannot_act_for_itself() -> None:
    public = replace(client(secrets=()), auth_method="none")
    with pytest.raises(UnauthorizedClient):
        GRANTS["client_credentials"].claim(shown(public))


def test_each_grant_is_registered_under_its_own_name() -> None:
    assert {name: grant.name for name, grant in GRANTS.items()} == {
        name: name
        for name in (
            "authorization_code",
            "client_credentials",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        )
    }


@covers("OAUTH-TOK-07")
@pytest.mark.parametrize(
    "name", ["password", "implicit", "", "Client_Credentials", "client_credentials "]
)
def test_no_other_name_is_a_grant(name: str) -> None:
    assert name not in GRANTS
