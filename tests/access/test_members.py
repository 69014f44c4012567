"""The toolkit of members: what a type shows, and how it may shrink."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from abeyance.access.details import Detail, Fact, InvalidDetail, Keep, Limit, Part
from abeyance.access.members import (
    AtMost,
    Claim,
    Member,
    Money,
    SetOf,
    Text,
    Whole,
    declare,
    parse_amount,
)
from tests.access.examples import ACCOUNT, FOLDERS, PAYMENT, account, money, payment
from tests.covers import covers


def keep(*parts: str, limits: Mapping[str, Decimal] | None = None) -> Keep:
    return Keep(frozenset(parts), limits or {})


# --- amounts


@covers("SEC-UI-11", "OAUTH-RAR-06")
@pytest.mark.parametrize(
    ("text", "value"),
    [("0", "0"), ("120", "120"), ("120.5", "120.5"), ("0.0001", "0.0001"), ("9" * 15, "9" * 15)],
)
def test_an_amount_is_read_exactly(text: str, value: str) -> None:
    assert parse_amount(text) == Decimal(value)


@covers("SEC-UI-11", "OAUTH-RAR-06")
@pytest.mark.parametrize(
    "text",
    [
        *("", "1,000", "1'000", "1 000", "01", "+1", "-1", ".5", "1.", "1.0.0", " 1", "1\n"),
        *("1e3", "0x10", "NaN", "Infinity", "1.00001", "1" * 16, "\u0661", "\uff11"),
    ],
)
def test_an_amount_has_one_look(text: str) -> None:
    with pytest.raises(ValueError):
        parse_amount(text)


# --- declaring


@pytest.mark.parametrize("title", ["{reason}", "{copies}", "{unknown}", "{}", "Pay {amount }"])
def test_a_title_names_required_facts_only(title: str) -> None:
    with pytest.raises(ValueError, match="not a required fact"):
        declare("x", title=title, members=PAYMENT.members)


@covers("EXT-NARROW-03")
def test_a_type_is_divisible_if_a_member_can_be_given_in_part() -> None:
    assert declare("x", title="X", members={"a": SetOf()}).divisible
    assert declare("x", title="X", members={"a": AtMost()}).divisible
    whole: dict[str, Member] = {"a": Text(), "b": Money(), "c": Whole(), "d": Claim()}
    assert not declare("x", title="X", members=whole).divisible


def test_a_free_set_takes_any_words_within_its_bounds() -> None:
    member = SetOf(max_items=2, max_length=3)
    member.check(["abc", "d"])
    for value in (["a", "b", "c"], ["abcd"], [""]):
        with pytest.raises(ValueError):
            member.check(value)


def test_an_enumeration_takes_its_choices_only() -> None:
    member = Text(choices=frozenset({"instant", "batch"}))
    member.check("instant")
    with pytest.raises(ValueError):
        member.check("later")


# --- showing


@covers("EXT-EVID-01", "OAUTH-RAR-09")
def test_a_rendering_names_every_member_that_was_sent() -> None:
    shown = PAYMENT.render(payment(copies=2, reason="ferry"))
    assert shown.title == "Pay 120.50 EUR to Acme"
    assert shown.facts == (
        Fact("Amount", "120.50 EUR"),
        Fact("Creditor", "Acme"),
        Fact("Copies", "2"),
        Fact("Reason", "ferry", claim=True),
    )


@covers("EXT-EVID-01")
def test_a_limit_is_shown_as_a_limit_and_a_set_in_full() -> None:
    shown = ACCOUNT.render(account("transfer", "read", ceiling="50"))
    assert [(fact.label, fact.value) for fact in shown.facts] == [
        ("Iban", "DE00"),
        ("Actions", "transfer, read"),
        ("Ceiling", "at most 50 EUR"),
    ]


@covers("SEC-UI-11")
def test_the_last_of_three_hundred_items_is_shown_and_is_a_part() -> None:
    names = [f"folder-{n}" for n in range(299)] + ["payroll"]
    value: Detail = {"type": "folders", "names": names}
    assert FOLDERS.render(value).facts[0].value.endswith("payroll")
    assert FOLDERS.parts(value)[-1] == Part("names:299", "payroll")
    assert len(FOLDERS.parts(value)) == 300


def test_text_of_a_client_never_completes_the_pattern_of_a_title() -> None:
    shown = PAYMENT.render(payment(creditor="{amount} {x} {0}"))
    assert shown.title == "Pay 120.50 EUR to {amount} {x} {0}"


def test_parts_and_limits_are_what_can_be_taken_away() -> None:
    value = account("transfer", "read", ceiling="50.5")
    assert ACCOUNT.parts(value) == (Part("actions:0", "transfer"), Part("actions:1", "read"))
    assert ACCOUNT.limits(value) == (Limit("ceiling", "Ceiling", Decimal("50.5"), "EUR"),)
    assert ACCOUNT.limits(account("read")) == ()
    assert PAYMENT.parts(payment()) == ()
    assert PAYMENT.limits(payment()) == ()


# --- narrowing


@covers("EXT-NARROW-01")
def test_what_is_kept_is_what_was_named_and_nothing_else_changes() -> None:
    value = account("transfer", "read", "close", ceiling="50")
    left = ACCOUNT.narrow(value, keep("actions:2", "actions:0", limits={"ceiling": Decimal("7.5")}))
    assert left == account("transfer", "close", ceiling="7.5")
    assert value == account("transfer", "read", "close", ceiling="50")


def test_keeping_everything_changes_nothing() -> None:
    value = account("transfer", "read", ceiling="50.50")
    assert ACCOUNT.narrow(value, keep("actions:0", "actions:1")) == value


def test_nothing_is_left_of_an_object_whose_set_is_emptied() -> None:
    assert ACCOUNT.narrow(account("read", ceiling="5"), keep()) is None


@covers("SEC-UI-17", "EXT-REVISE-09")
@pytest.mark.parametrize(
    "lowered", ["50.01", "1e9", "-1", "-0.01", "0.00001", "Infinity", "-Infinity", "NaN", "sNaN"]
)
def test_a_limit_is_never_raised_nor_made_nonsense(lowered: str) -> None:
    with pytest.raises(InvalidDetail):
        ACCOUNT.narrow(
            account("read", ceiling="50"),
            keep("actions:0", limits={"ceiling": Decimal(lowered)}),
        )


@covers("SEC-UI-17")
@pytest.mark.parametrize(
    "kept",
    [
        keep("actions:0", "actions:1"),
        keep("actions:-1"),
        keep("iban:0"),
        keep("actions:0", limits={"iban": Decimal(1)}),
        keep("actions:0", limits={"floor": Decimal(1)}),
    ],
)
def test_a_part_that_was_not_asked_is_refused(kept: Keep) -> None:
    with pytest.raises(InvalidDetail):
        ACCOUNT.narrow(account("read", ceiling="50"), kept)


def test_a_limit_that_was_not_asked_cannot_be_set() -> None:
    with pytest.raises(InvalidDetail):
        ACCOUNT.narrow(account("read"), keep("actions:0", limits={"ceiling": Decimal(1)}))


def test_an_amount_keeps_its_written_look_when_it_is_lowered() -> None:
    left = ACCOUNT.narrow(
        account("read", ceiling="5000"),
        keep("actions:0", limits={"ceiling": Decimal("1E+3")}),
    )
    assert left is not None
    assert left["ceiling"] == money("1000")
