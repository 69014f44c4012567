"""`authorization_details`: parsed strictly, compared by their types (RFC 9396)."""

import json
from collections.abc import Mapping

import pytest

from abeyance.access.canonical import canonical_json
from abeyance.access.details import MAX_LENGTH, MAX_OBJECTS, Detail, DetailsTypes
from abeyance.access.members import DeclaredType, Text, Whole, declare
from abeyance.wire.errors import InvalidAuthorizationDetails
from tests.access.examples import ACCOUNT, PAYMENT, TYPES, account, money, payment
from tests.covers import covers
from tests.wire.growth import work


def refusal(text: str, types: DetailsTypes = TYPES) -> str:
    with pytest.raises(InvalidAuthorizationDetails) as refused:
        types.parse(text)
    return refused.value.description


@covers("OAUTH-RAR-01", "OAUTH-RAR-12")
def test_a_good_array_is_kept_as_it_was_sent_and_in_its_order() -> None:
    sent = [payment(reason="ferry"), account("transfer", "read", ceiling="10"), payment("1")]
    assert list(TYPES.parse(json.dumps(sent))) == sent


@covers("OAUTH-RAR-02")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "payment",
        "null",
        "{}",
        json.dumps(payment()),
        '"[]"',
        "[]",
        "[[]]",
        "[null]",
        '["payment"]',
        "[{}]",
        '[{"type":null}]',
        '[{"type":["payment"]}]',
        '[{"type":"Payment"}]',
        '[{"type":"payment "}]',
        '[{"type":"unknown"}]',
    ],
)
def test_anything_but_a_non_empty_array_of_known_types_is_refused(text: str) -> None:
    assert refusal(text)


@covers("OAUTH-RAR-02", "OAUTH-RAR-06")
@pytest.mark.parametrize(
    "members",
    [
        {"amount": None},
        {"amount": 120},
        {"amount": 120.5},
        {"amount": "120"},
        {"amount": {"amount": "120"}},
        {"amount": {"amount": 120, "currency": "EUR"}},
        {"amount": {"amount": "120", "currency": "eur"}},
        {"amount": {"amount": "120", "currency": "EURO"}},
        {"amount": {"amount": "120", "currency": "EUR", "scale": 2}},
        {"amount": [money("1"), money("2")]},
        {"creditor": ""},
        {"creditor": 7},
        {"creditor": "x" * 71},
        {"creditor": ["Acme"]},
        {"copies": True},
        {"copies": "1"},
        {"copies": 1.0},
        {"copies": 0},
        {"copies": 10},
        {"creditorName": "Acme"},
        {"__proto__": {}},
    ],
)
def test_an_object_that_its_type_does_not_know_in_full_is_refused(
    members: Mapping[str, object],
) -> None:
    assert refusal(json.dumps([{**payment(), **members}]))


@covers("OAUTH-RAR-02")
@pytest.mark.parametrize("name", ["amount", "creditor"])
def test_an_object_without_a_required_member_is_refused(name: str) -> None:
    sent = {key: value for key, value in payment().items() if key != name}
    assert refusal(json.dumps([sent])) == f"The member {name} of an authorization detail is missing"


@covers("OAUTH-RAR-02", "OAUTH-RAR-06")
@pytest.mark.parametrize(
    "actions",
    [[], ["read", "read"], ["steal"], ["Read"], ["read "], [1], [None], [["read"]], "read", {}],
)
def test_a_set_has_distinct_known_words(actions: object) -> None:
    assert refusal(json.dumps([{**account(), "actions": actions}]))


@covers("OAUTH-RAR-02")
def test_one_bad_object_among_good_ones_refuses_all() -> None:
    assert refusal(json.dumps([payment(), account(), {"type": "payment"}]))


@covers("OAUTH-PARAM-09", "SEC-TOK-22")
@pytest.mark.parametrize(
    "text",
    [
        '[{"type":"payment","type":"account"}]',
        '[{"type":"payment","amount":NaN}]',
        '[{"type":"payment","amount":1e400}]',
        '[{"type":"payment","amount":-Infinity}]',
        '[{"type":"payment","copies":9007199254740993}]',
        '[{"type":"payment","__proto__":{}}]',
        '[{"type":"payment","creditor":"\\ud800"}]',
        '[{"type":"\\ud800"}]',
        '\ufeff[{"type":"payment"}]',
        '[{"type":"payment"}]]',
        '[{"type":"payment"},]',
        "[" * 9 + "]" * 9,
        '[{"type":' + "[" * 8 + "]" * 8 + "}]",
        "[" * 16_000,
        '[{"type":"payment"',
        "['payment']",
        '[{"type":"payment"}] // fine',
    ],
)
def test_hostile_json_is_a_refusal_and_not_a_fault(text: str) -> None:
    assert work(lambda: refusal(text)) < 2_000
    assert refusal(text)


@covers("SEC-TOK-22")
def test_every_number_that_is_accepted_can_be_written_down_again() -> None:
    types = DetailsTypes([declare("count", title="Count", members={"n": Whole()})])
    largest = 2**53 - 1
    assert canonical_json(dict(types.parse(f'[{{"type":"count","n":{largest}}}]')[0]))
    # One more is valid JSON, but RFC 8785 has no text for it.
    assert refusal(f'[{{"type":"count","n":{largest + 1}}}]', types)


@covers("OAUTH-RAR-02")
def test_a_parameter_is_bounded_in_length_and_in_objects() -> None:
    assert len(TYPES.parse(json.dumps([account()] * MAX_OBJECTS))) == MAX_OBJECTS
    assert refusal(json.dumps([account()] * (MAX_OBJECTS + 1)))
    assert refusal(json.dumps([payment(reason="x" * MAX_LENGTH)])) == (
        "The authorization_details are too long"
    )


@covers("OAUTH-PARAM-08", "DTR-ERR-10")
@pytest.mark.parametrize(
    "sent",
    [
        '[{"type":"Jane Doe"}]',
        '[{"type":"payment","Jane Doe":1}]',
        json.dumps([payment(amount="Jane Doe")]),
        "Jane Doe",
    ],
)
def test_a_refusal_never_repeats_what_was_sent(sent: str) -> None:
    description = refusal(sent)
    assert "Jane" not in description
    assert description.isascii()
    assert not set(description) & {'"', "\\"}


# --- comparing


@covers("OAUTH-RAR-03", "OAUTH-RAR-06")
def test_a_type_is_compared_by_its_own_rules_and_not_by_its_members() -> None:
    asked = account("read", "transfer", ceiling="100")
    assert TYPES.covered([account("read", ceiling="99.99")], [asked])
    assert not TYPES.covered([account("read", "close", ceiling="1")], [asked])
    assert not TYPES.covered([account("read", ceiling="100.01")], [asked])
    assert not TYPES.covered([account("read", iban="de00", ceiling="1")], [asked])


@covers("OAUTH-RAR-05")
@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        (account("read"), account("read", ceiling="100")),
        (account("read", ceiling="100"), account("read")),
    ],
)
def test_a_member_on_one_side_only_makes_another_request(granted: Detail, asked: Detail) -> None:
    assert not TYPES.covered([granted], [asked])


@covers("EXT-NARROW-03")
def test_an_indivisible_object_is_covered_by_its_equal_only() -> None:
    assert TYPES.covered([payment()], [payment()])
    for other in ("120.49", "120.5", "120.51"):
        assert not TYPES.covered([payment(other)], [payment("120.50")])


@covers("EXT-NARROW-03")
def test_an_indivisible_object_stays_whole_whatever_its_comparator_would_allow() -> None:
    whole, apart = (
        DetailsTypes([DeclaredType("account", "Account", ACCOUNT.members, divisible=divisible)])
        for divisible in (False, True)
    )
    asked = [account("read", "transfer")]
    assert apart.covered([account("read")], asked)
    assert not whole.covered([account("read")], asked)
    assert whole.covered(asked, asked)


@covers("EXT-REVISE-09", "SEC-UI-11")
def test_a_limit_shrinks_within_its_currency_and_as_an_exact_decimal() -> None:
    asked = account("read", ceiling="999999999999999.9999")
    assert TYPES.covered([account("read", ceiling="999999999999999.9998")], [asked])
    assert not TYPES.covered(
        [account("read", ceiling="999999999999999.9999")],
        [account("read", ceiling="999999999999999.9998")],
    )
    assert not TYPES.covered([account("read", ceiling="1", currency="USD")], [asked])


@covers("EXT-REVISE-08", "OAUTH-RAR-05")
def test_two_equal_payments_are_never_covered_by_one() -> None:
    assert TYPES.covered([payment(), payment()], [payment(), payment()])
    assert not TYPES.covered([payment(), payment()], [payment()])
    assert not TYPES.covered([payment(), payment()], [payment(), account()])


@covers("EXT-REVISE-08")
def test_a_matching_is_found_even_if_the_first_choice_blocks_it() -> None:
    wide, slim = account("read", "transfer"), account("read")
    # Taken greedily, `slim` would take the place of `wide` and leave it none.
    assert TYPES.covered([slim, wide], [wide, slim])
    assert TYPES.covered([wide, slim], [wide, slim])
    assert not TYPES.covered([wide, wide], [wide, slim])


@covers("EXT-REVISE-08")
def test_the_worst_case_of_matching_stays_cheap() -> None:
    asked = [account("read", "transfer")] * (MAX_OBJECTS - 1) + [account("close")]
    granted = [account("read")] * MAX_OBJECTS
    assert work(lambda: TYPES.covered(granted, asked)) < 200_000
    assert not TYPES.covered(granted, asked)


@covers("EXT-REVISE-08")
def test_a_type_that_has_left_the_registry_stays_as_it_is_or_goes() -> None:
    without = DetailsTypes([PAYMENT])
    asked = [account("read", "transfer")]
    assert without.covered(asked, asked)
    assert without.covered([], asked)
    assert not without.covered([account("read")], asked)


def test_an_object_never_covers_one_of_another_type() -> None:
    twin = declare("twin", title="Twin", members=ACCOUNT.members)
    types = DetailsTypes([ACCOUNT, twin])
    assert not types.covered([{**account(), "type": "twin"}], [account()])


def test_types_are_known_by_name_and_listed_in_order() -> None:
    types = DetailsTypes([PAYMENT, ACCOUNT])
    assert types.names() == ("account", "payment")
    assert "payment" in types
    assert "folders" not in types


def test_a_validator_of_ones_own_is_asked_and_its_words_are_told() -> None:
    types = DetailsTypes([declare("x", title="X", members={"a": Text(max_length=1)})])
    assert refusal('[{"type":"x","a":"bb"}]', types) == (
        "The member a of an authorization detail is not valid"
    )
