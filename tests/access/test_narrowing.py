"""The one "not wider than" (OAUTH-DEFER-05; EXT-NARROW-01, -05; EXT-REVISE-08, -09)."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.access.access import Access
from abeyance.access.details import Detail
from abeyance.access.narrowing import Wider, check_not_wider, intersect
from tests.access.examples import API, HOUR, TYPES, access, account, payment
from tests.covers import covers

ASKED = access("read write", payment(), account("read", "transfer", ceiling="100"))

_ACTIONS = st.lists(st.sampled_from(["read", "transfer", "close"]), unique=True, min_size=1)
_CEILINGS = st.none() | st.decimals("0", "999", places=2).map(str)
DETAILS: st.SearchStrategy[Detail] = st.one_of(
    st.builds(payment, st.sampled_from(["1", "2", "120.50"])),
    st.builds(
        lambda actions, iban, ceiling, currency: account(
            *actions, iban=iban, ceiling=ceiling, currency=currency
        ),
        _ACTIONS,
        st.sampled_from(["DE00", "FR00"]),
        _CEILINGS,
        st.sampled_from(["EUR", "USD"]),
    ),
)
ACCESSES: st.SearchStrategy[Access] = st.builds(
    lambda scope, resources, details, minutes: Access(
        scope, resources, tuple(details), timedelta(minutes=minutes)
    ),
    st.frozensets(st.sampled_from("abc")),
    st.frozensets(st.sampled_from([API, "https://b.example"])),
    st.lists(DETAILS, max_size=4),
    st.integers(1, 120),
)


def is_within(granted: Access, asked: Access) -> bool:
    try:
        check_not_wider(granted, asked, TYPES)
    except Wider:
        return False
    return True


@covers("EXT-NARROW-01", "EXT-NARROW-05", "DTR-INV-01", "OAUTH-DEFER-05")
@pytest.mark.parametrize(
    "granted",
    [
        ASKED,
        access("read", payment(), account("read", "transfer", ceiling="100")),
        access("read write"),
        access("", payment()),
        access("read", account("read", ceiling="99.99")),
        access("read", resources=()),
        access("read", lifetime=timedelta(minutes=1)),
    ],
)
def test_less_in_any_dimension_is_not_wider(granted: Access) -> None:
    check_not_wider(granted, ASKED, TYPES)


@covers("EXT-NARROW-01", "EXT-NARROW-05", "DTR-INV-01", "OAUTH-DEFER-05", "OAUTH-SCOPE-04")
@pytest.mark.parametrize(
    ("granted", "dimension"),
    [
        (access("read admin"), "scope"),
        (access("read", resources=(API, "https://b.example")), "resources"),
        (access("read", resources=("https://b.example",)), "resources"),
        (access("", payment("120.51")), "authorization_details"),
        (access("", payment("1")), "authorization_details"),
        (access("", payment(), payment()), "authorization_details"),
        (access("", account("read", "close", ceiling="1")), "authorization_details"),
        (access("", account("read", ceiling="100.01")), "authorization_details"),
        (access("", account("read")), "authorization_details"),
        (access("", account("read", ceiling="1", currency="USD")), "authorization_details"),
        (access("read", lifetime=HOUR + timedelta(microseconds=1)), "lifetime"),
    ],
)
def test_more_in_one_dimension_is_wider_and_the_dimension_is_named(
    granted: Access, dimension: str
) -> None:
    with pytest.raises(Wider) as wider:
        check_not_wider(granted, ASKED, TYPES)
    assert wider.value.dimension == dimension


@covers("T-150", "DTR-INV-01")
@given(ACCESSES, ACCESSES, ACCESSES)
def test_not_wider_is_an_order(one: Access, other: Access, third: Access) -> None:
    assert is_within(one, one)
    if is_within(one, other) and is_within(other, third):
        assert is_within(one, third)


@covers("T-150", "EXT-REVISE-08")
@given(ACCESSES, st.data())
def test_what_is_taken_away_never_makes_it_wider(asked: Access, data: st.DataObject) -> None:
    stays = data.draw(st.lists(st.booleans(), min_size=4, max_size=4))
    left = Access(
        scope=frozenset(token for token, stay in zip("abc", stays, strict=False) if stay)
        & asked.scope,
        resources=asked.resources,
        details=tuple(each for each, stay in zip(asked.details, stays, strict=False) if stay),
        lifetime=asked.lifetime / data.draw(st.integers(1, 3)),
    )
    assert is_within(left, asked)
    assert is_within(asked, left) == (
        (left.scope, left.lifetime, len(left.details))
        == (asked.scope, asked.lifetime, len(asked.details))
    )


@covers("T-150", "DTR-INV-01", "EXT-DECIDE-02")
@given(ACCESSES, ACCESSES)
def test_an_intersection_is_within_both(one: Access, other: Access) -> None:
    both = intersect(one, other, TYPES)
    assert is_within(both, one)
    assert is_within(both, other)


@given(ACCESSES)
def test_an_access_intersected_with_itself_is_itself(one: Access) -> None:
    assert intersect(one, one, TYPES) == one


@given(ACCESSES, ACCESSES)
def test_an_intersection_with_something_wider_loses_nothing(one: Access, other: Access) -> None:
    wider = Access(
        one.scope | other.scope,
        one.resources | other.resources,
        one.details + other.details,
        max(one.lifetime, other.lifetime),
    )
    assert intersect(one, wider, TYPES) == one


@covers("SEC-RACE-11", "EXT-DECIDE-02")
def test_an_intersection_is_never_the_union() -> None:
    both = intersect(access("a b", payment("1")), access("b c", payment("2")), TYPES)
    assert both == access("b")


def test_of_two_limits_the_lower_holds() -> None:
    both = intersect(
        access("", account("read", "transfer", ceiling="10")),
        access("", account("read", "transfer", ceiling="9.99")),
        TYPES,
    )
    assert both.details == (account("read", "transfer", ceiling="9.99"),)


def test_of_two_equal_payments_one_vote_each_leaves_one() -> None:
    both = intersect(access("", payment(), payment()), access("", payment()), TYPES)
    assert both.details == (payment(),)


# --- the value itself


@covers("OAUTH-RAR-12")
def test_accesses_are_equal_if_their_canonical_members_are() -> None:
    one = access("b a", {"type": "payment", "creditor": "Acme", "amount": {"amount": "1"}})
    other = access("a b", {"amount": {"amount": "1"}, "creditor": "Acme", "type": "payment"})
    assert one == other
    assert hash(one) == hash(other)
    assert one != access("a")
    assert one != "a b"


def test_an_access_of_nothing_is_empty_whatever_its_resource() -> None:
    assert access().is_empty()
    assert not access("a").is_empty()
    assert not access("", payment()).is_empty()


def test_the_stored_members_are_sorted_and_whole() -> None:
    stored = access("b a", payment(), resources=("https://b.example", API)).to_json()
    assert stored == {
        "authorization_details": [payment()],
        "lifetime": 3600,
        "resources": [API, "https://b.example"],
        "scope": "a b",
    }
