"""A refresh token by its generation: live, in its grace, or reused (OAUTH-RT)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest

from abeyance.grants import GRANTS
from abeyance.grants.grant import Behind, Claimed, Found, Presented, Reused
from abeyance.oauth.success import SUCCESSOR
from abeyance.parties.client import Client, ClientId
from abeyance.pending.change import HoldFamily
from abeyance.pending.credentials import Family, FoundCode, FoundRefresh, RefreshToken, UserGrant
from abeyance.pending.handles import Home
from abeyance.pending.identity import Identity
from abeyance.pending.request import Success
from abeyance.proofs.dpop import ProvenKey
from abeyance.proofs.sealing import key_of, seal
from abeyance.wire.errors import InvalidGrant
from abeyance.wire.secret import Secret
from tests.access.examples import access
from tests.covers import covers
from tests.oauth.examples import client, form
from tests.pending.credentials import (
    IDLE,
    MOST,
    REFRESH_HANDLE,
    REFRESH_TEXT,
    UMA,
    code,
    family,
    refresh_token,
    user_grant,
)
from tests.pending.examples import HOME, KEY, NOW, OTHER_KEY

TICK = timedelta(microseconds=1)
GRACE: Final = timedelta(seconds=30)
NEXT = Secret("the-next-refresh-token")
NEXT_DIGEST = NEXT.digest()
APP = replace(client(), grant_types=frozenset({"authorization_code", "refresh_token"}))


def ends(shown: Claimed | Reused) -> bool:
    """Was it reuse, which ends all that came of the home?"""
    return isinstance(shown, Reused) and shown.home == HOME and shown.ends


def found(
    token: RefreshToken | None = None,
    of: Family | None = None,
    grant: UserGrant | None = None,
) -> FoundRefresh:
    """The live token of a family of one, unless told otherwise."""
    return FoundRefresh(HOME, token or refresh_token(1), of or family(), grant or user_grant(), 3)


def spent(generation: int = 1, *, now_at: int = 2, successor: bytes | None = None) -> FoundRefresh:
    """A token that was spent now, of a family that has come to generation `now_at`."""
    token = refresh_token(generation, spent_at=NOW, successor=successor)
    return found(token, family(generation=now_at, head=NEXT_DIGEST))


def sealed(about: Home = HOME, presented: Secret = REFRESH_TEXT) -> bytes:
    return seal(NEXT, key_of(presented, SUCCESSOR), about=about, nonce=bytes(12))


def show(
    what: Found | None,
    *,
    by: Client = APP,
    key: ProvenKey | None = None,
    now: datetime = NOW,
    grace: timedelta = GRACE,
) -> Claimed | Reused:
    return GRANTS["refresh_token"].claim(
        Presented(
            client=by,
            form=form(refresh_token=REFRESH_TEXT.reveal()),
            key=key,
            found=what,
            now=now,
            grace=grace,
        )
    )


def refused(what: Found | None, key: ProvenKey | None = None, now: datetime = NOW) -> None:
    with pytest.raises(InvalidGrant) as told:
        show(what, key=key, now=now)
    assert told.value.description == "The refresh token is not valid for this request"


@covers("OAUTH-RT-01", "OAUTH-RT-11", "EXT-GRANT-02")
def test_a_live_token_stands_for_its_person_and_spends_nothing_by_itself() -> None:
    claimed = show(found())
    assert isinstance(claimed, Claimed)
    refreshing = claimed.refreshing
    assert refreshing is not None
    assert (refreshing.family, refreshing.again) == (family(), None)
    assert refreshing.presented.matches(REFRESH_TEXT.digest())
    assert replace(claimed, refreshing=None) == Claimed(
        subject=UMA,
        behind=Behind.of(user_grant()),
        home=HOME,
        n=3,
        holds=(HoldFamily(NOW),),
        ceiling=access("read write"),
        success=Success.FAMILY_HEAD,
        joins=True,
    )


@covers("OAUTH-OIDC-12")
def test_only_who_signed_in_here_is_told_of_again_and_only_with_openid() -> None:
    openid = replace(found(), family=replace(family(), granted=access("openid read")))
    for what, identity in (
        (openid, Identity()),
        (found(), None),
        (replace(openid, grant=replace(user_grant(), session=None)), None),
    ):
        claimed = show(what)
        assert isinstance(claimed, Claimed)
        assert claimed.identity == identity


@covers("OAUTH-RT-02", "OAUTH-RT-06", "OAUTH-CODE-09")
@pytest.mark.parametrize(
    "of", [found(), spent(), spent(1, now_at=9)], ids=["live", "in grace", "spent"]
)
def test_a_stranger_is_refused_and_ends_nothing(of: FoundRefresh) -> None:
    refused(None)
    refused(FoundCode(HOME, code(), user_grant()))
    refused(replace(of, grant=user_grant(client=ClientId("other"))))
    refused(replace(of, grant=user_grant(ended_at=NOW)))
    refused(replace(of, family=replace(of.family, ended_at=NOW)))


@covers("OAUTH-RT-03", "OAUTH-RT-06")
@pytest.mark.parametrize("of", [found(), spent(1, now_at=9)], ids=["live", "spent"])
def test_a_bound_token_without_its_key_is_refused_and_ends_nothing(of: FoundRefresh) -> None:
    bound = replace(of, family=replace(of.family, jkt=KEY.jkt))
    refused(bound)
    refused(bound, OTHER_KEY)
    assert isinstance(show(bound, key=KEY), Claimed if of == found() else Reused)


@covers("OAUTH-RT-03")
def test_an_unbound_family_goes_on_with_any_key() -> None:
    for key in (None, KEY, OTHER_KEY):
        assert isinstance(show(found(), key=key), Claimed)


@covers("OAUTH-RT-10")
@pytest.mark.parametrize(("idle", "most"), [(IDLE, MOST), (MOST, IDLE)])
def test_a_family_lives_until_either_end_and_not_at_it(idle: timedelta, most: timedelta) -> None:
    of = replace(family(), idle_until=NOW + idle, until=NOW + most)
    assert isinstance(show(found(of=of), now=NOW + IDLE - TICK), Claimed)
    refused(found(of=of), now=NOW + IDLE)
    # Of a family that has ended by itself, a spent token ends nothing more.
    refused(replace(spent(1, now_at=9), family=of), now=NOW + IDLE)


# --- reuse and grace


@covers("OAUTH-RT-05", "OAUTH-RT-08")
@pytest.mark.parametrize("generation", [1, 7, 8])
def test_an_older_generation_is_reuse_whatever_the_clock_says(generation: int) -> None:
    # All spent in the same instant: only the number tells them apart.
    of = spent(generation, now_at=10, successor=sealed())
    assert ends(show(of))
    assert ends(show(of, now=NOW + GRACE))


@covers("OAUTH-RT-07")
def test_in_its_grace_the_one_before_gets_the_same_successor_again() -> None:
    of = spent(successor=sealed())
    claimed = show(of, now=NOW + GRACE - TICK)
    assert isinstance(claimed, Claimed)
    assert claimed.refreshing is not None
    assert claimed.refreshing.again is not None
    assert claimed.refreshing.again.reveal() == NEXT.reveal()
    assert claimed.refreshing.family == of.family


@covers("OAUTH-RT-05", "OAUTH-RT-07")
def test_after_its_grace_it_is_reuse() -> None:
    of = spent(successor=sealed())
    assert ends(show(of, now=NOW + GRACE))
    assert ends(show(of, grace=timedelta(0)))
    assert ends(show(replace(of, token=replace(of.token, spent_at=None))))


@covers("OAUTH-RT-07")
@pytest.mark.parametrize(
    "successor",
    [None, b"", sealed(about=Home(bytes(16))), sealed(presented=Secret("another token"))],
    ids=["forgotten", "empty", "of another home", "of another token"],
)
def test_where_no_successor_can_be_given_again_nothing_is_given_and_nothing_ends(
    successor: bytes | None,
) -> None:
    reused = show(spent(successor=successor))
    assert isinstance(reused, Reused)
    assert not reused.ends


@covers("OAUTH-RT-01")
def test_the_live_token_is_known_by_its_digest_and_not_by_its_number() -> None:
    other = refresh_token(1, digest=bytes(32))
    assert REFRESH_HANDLE.digest != other.digest
    assert ends(show(found(other)))
