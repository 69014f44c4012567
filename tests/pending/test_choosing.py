"""From a choice to what it grants: less or equal, whatever was posted (EXT-NARROW, SEC-UI-17)."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.access.access import Access
from abeyance.access.details import TYPE, DetailsTypes
from abeyance.access.narrowing import check_not_wider
from abeyance.pending.choosing import Choice, ChoiceRefused, choose
from tests.access.examples import ACCOUNT, HOUR, PAYMENT, TYPES, access, account, payment
from tests.access.test_narrowing import ACCESSES
from tests.covers import covers

ASKED = access(
    "read write",
    payment(),
    payment(),
    account("read", "transfer", ceiling="100"),
)
ALL = frozenset({"scope:read", "scope:write", "detail:0", "detail:1", "detail:2"})
ALL_PARTS = {"detail:2": frozenset({"actions:0", "actions:1"})}


def choice(
    *items: str,
    parts: dict[str, frozenset[str]] | None = None,
    limits: dict[str, dict[str, Decimal]] | None = None,
    lifetime: timedelta = HOUR,
) -> Choice:
    """Everything, unless told otherwise."""
    return Choice(
        items=frozenset(items) if items else ALL,
        parts=ALL_PARTS if parts is None else parts,
        limits=limits or {},
        lifetime=lifetime,
    )


def refusal(made: Choice, asked: Access = ASKED, types: DetailsTypes = TYPES) -> str:
    with pytest.raises(ChoiceRefused) as refused:
        choose(asked, made, types)
    return str(refused.value)


def test_who_leaves_everything_grants_everything() -> None:
    assert choose(ASKED, choice(), TYPES) == ASKED


@covers("EXT-NARROW-01")
def test_what_is_left_out_is_not_granted_and_the_rest_is() -> None:
    granted = choose(ASKED, choice("scope:read", "detail:1", parts={}), TYPES)
    assert granted == access("read", payment())


@covers("EXT-NARROW-01", "EXT-NARROW-03")
def test_a_divisible_object_keeps_the_parts_and_limits_that_were_named() -> None:
    made = choice(
        "detail:2",
        parts={"detail:2": frozenset({"actions:1"})},
        limits={"detail:2": {"ceiling": Decimal("7.25")}},
    )
    assert choose(ASKED, made, TYPES) == access("", account("transfer", ceiling="7.25"))


@covers("EXT-NARROW-03")
def test_a_divisible_object_of_which_no_part_is_kept_is_gone() -> None:
    assert choose(ASKED, choice(parts={}), TYPES) == access("read write", payment(), payment())


@covers("EXT-NARROW-03")
@pytest.mark.parametrize(
    "made",
    [
        choice("detail:0", limits={"detail:0": {"amount": Decimal(1)}}),
        choice("detail:0", parts={"detail:0": frozenset({"creditor:0"})}),
    ],
)
def test_an_indivisible_object_is_not_granted_in_part_nor_more_than_was_chosen(
    made: Choice,
) -> None:
    assert refusal(made)


@covers("EXT-NARROW-05")
def test_the_lifetime_may_be_shortened() -> None:
    short = timedelta(minutes=5)
    assert choose(ASKED, choice(lifetime=short), TYPES).lifetime == short


@covers("SEC-UI-17", "DTR-INV-01", "T-143")
@pytest.mark.parametrize(
    "made",
    [
        choice(*ALL, "scope:admin"),
        choice(*ALL, "scope:"),
        choice(*ALL, "detail:3"),
        choice(*ALL, "detail:-1"),
        choice(*ALL, "detail:00"),
        choice(*ALL, "resource:https://other.example"),
        choice(lifetime=HOUR + timedelta(seconds=1)),
        choice(lifetime=timedelta.max),
        choice(limits={"detail:2": {"ceiling": Decimal("100.01")}}),
        choice(limits={"detail:2": {"ceiling": Decimal("NaN")}}),
        choice(limits={"detail:2": {"ceiling": Decimal(-1)}}),
        choice(limits={"detail:2": {"floor": Decimal(1)}}),
        choice(limits={"detail:3": {"ceiling": Decimal(1)}}),
        choice(parts={"detail:2": frozenset({"actions:2"})}),
        choice(parts={"detail:2": frozenset({"actions:0", "iban:0"})}),
        choice(parts={**ALL_PARTS, "detail:9": frozenset({"actions:0"})}),
    ],
)
def test_a_choice_of_what_was_not_asked_is_refused_whole(made: Choice) -> None:
    assert refusal(made)


@pytest.mark.parametrize(
    "made",
    [choice("detail:2", parts={}), Choice(items=frozenset(), parts={}, limits={}, lifetime=HOUR)],
)
def test_a_choice_of_nothing_is_a_denial_and_must_be_said_as_one(made: Choice) -> None:
    assert refusal(made) == "Nothing is left to grant: deny the request instead"


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=59), timedelta(days=-1)])
def test_an_approval_that_is_over_before_it_is_used_is_refused(lifetime: timedelta) -> None:
    assert "at least a minute" in refusal(choice(lifetime=lifetime))


@covers("SEC-UI-11")
def test_what_cannot_be_shown_cannot_be_approved_but_the_rest_can() -> None:
    without = DetailsTypes([PAYMENT])
    assert "cannot be shown" in refusal(choice(), types=without)
    granted = choose(ASKED, choice("scope:read", "detail:0", parts={}), without)
    assert granted == access("read", payment())


@covers("EXT-NARROW-03", "OAUTH-RAR-05")
def test_of_two_equal_payments_one_can_be_kept() -> None:
    assert choose(ASKED, choice("detail:0", parts={}), TYPES).details == (payment(),)


def test_the_resource_is_not_a_choice() -> None:
    asked = access("read", resources=("https://a.example",))
    assert choose(asked, choice("scope:read", parts={}), TYPES).resources == asked.resources


_PARTS = st.sampled_from([frozenset[str](), {"actions:0"}, {"actions:0", "actions:1"}]).map(
    frozenset
)
_LIMITS = st.just(dict[str, Decimal]()) | st.decimals(-1, 1000, places=2).map(
    lambda limit: {"ceiling": limit}
)


@covers("T-150", "DTR-INV-01", "OAUTH-DEFER-05", "EXT-NARROW-03")
@given(ACCESSES, st.data())
def test_no_choice_ever_grants_more_than_was_asked(asked: Access, data: st.DataObject) -> None:
    details = [f"detail:{n}" for n in range(len(asked.details))]
    ids = [*details, *(f"scope:{token}" for token in sorted(asked.scope))]
    left_out = data.draw(st.frozensets(st.sampled_from([*ids, "detail:0"]), max_size=2))
    added = data.draw(st.sampled_from([frozenset(), frozenset(), frozenset({"scope:d"})]))
    made = Choice(
        items=frozenset(ids) - left_out | added,
        parts={item: data.draw(_PARTS) for item in details},
        limits={item: data.draw(_LIMITS) for item in details},
        lifetime=asked.lifetime + timedelta(minutes=data.draw(st.sampled_from([0, 0, -1, 1]))),
    )
    try:
        granted = choose(asked, made, TYPES)
    except ChoiceRefused:
        return
    check_not_wider(granted, asked, TYPES)
    assert not granted.is_empty()
    assert {f"scope:{token}" for token in granted.scope} <= made.items
    assert len(granted.details) <= sum(f"detail:{n}" in made.items for n in range(5))
    for detail in granted.details:
        if not TYPES[str(detail[TYPE])].divisible:
            assert detail in asked.details


@covers("T-150", "EXT-NARROW-01", "EXT-REVISE-09")
@given(ACCESSES, st.data())
def test_every_honest_choice_is_granted_as_it_was_made(asked: Access, data: st.DataObject) -> None:
    """Draw a choice as the page would offer it, and compute by hand what it leaves."""
    items = {f"scope:{token}" for token in asked.scope if data.draw(st.booleans())}
    parts: dict[str, frozenset[str]] = {}
    limits: dict[str, dict[str, Decimal]] = {}
    left = []
    for index, detail in enumerate(asked.details):
        if not data.draw(st.booleans()):
            continue
        item = f"detail:{index}"
        items.add(item)
        if detail[TYPE] == "payment":
            left.append(detail)
            continue
        actions = [part.label for part in ACCOUNT.parts(detail)]
        stay = [action for action in actions if data.draw(st.booleans())]
        parts[item] = frozenset(f"actions:{actions.index(action)}" for action in stay)
        ceiling = None
        for limit in ACCOUNT.limits(detail):
            ceiling = data.draw(st.decimals(0, limit.asked, places=2))
            limits[item] = {limit.id: ceiling}
        if stay:
            old = {limit.id: limit.unit for limit in ACCOUNT.limits(detail)}
            left.append(
                account(
                    *stay,
                    iban=str(detail["iban"]),
                    ceiling=None if ceiling is None else f"{ceiling:f}",
                    currency=old.get("ceiling", "EUR"),
                )
            )
    expected = Access(
        frozenset(item.removeprefix("scope:") for item in items if item.startswith("scope:")),
        asked.resources,
        tuple(left),
        asked.lifetime,
    )
    made = Choice(items=frozenset(items), parts=parts, limits=limits, lifetime=asked.lifetime)
    if expected.is_empty():
        assert refusal(made, asked)
    else:
        assert choose(asked, made, TYPES) == expected
