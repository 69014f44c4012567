"""What a condition may say, and what happens when it cannot be judged."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from abeyance.access import members
from abeyance.policy import cel
from abeyance.wire.strict_json import Json
from tests.covers import covers
from tests.policy.questions import payment


def judge(text: str, **values: object) -> bool | cel.Failed:
    facts: dict[str, object] = {
        "client.id": "agent",
        "client.name": "Agent",
        "client.owner": "olga",
        "client.scopes": frozenset({"read", "write"}),
        "client.resources": frozenset(),
        "grant_type": "client_credentials",
        "person": "uma",
        "approved": False,
        "actor": "",
        "audience": "",
        "scope": frozenset({"read"}),
        "resource": frozenset(),
        "authorization_details": (),
        "bound": False,
        "now": datetime(2026, 3, 4, 12, 0, tzinfo=UTC),
    }
    return cel.Condition(text).evaluate(cel.facts(facts | values))


def judge_detail(text: str, detail: Json) -> bool | cel.Failed:
    return judge(text.replace("$", "authorization_details[0]"), authorization_details=(detail,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('client.id == "agent"', True),
        ('client.owner == ""', False),
        ('"read" in scope', True),
        ('scope.all(s, s in ["read", "list"])', True),
        ("size(authorization_details) == 0", True),
        ("bound", False),
        ('person == "uma"', True),
        ("approved", False),
        ('actor == ""', True),
        ('audience == "https://other.example"', False),
        ('grant_type == "client_credentials" && !bound', True),
        ('client.name.matches("^Ag")', True),
        ('now < timestamp("2026-03-04T12:00:01Z")', True),
        ('now.getHours("Europe/Berlin") == 13', True),
        ("now.getDayOfWeek() == 3", True),
    ],
)
def test_a_condition_sees_the_request(text: str, expected: bool) -> None:
    assert judge(text) is expected


def test_an_instant_is_the_same_in_every_zone() -> None:
    at = datetime(2026, 3, 4, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    assert judge('now == timestamp("2026-03-04T12:00:00Z")', now=at) is True


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        ('clinet.id == "a"', "clinet.id", 'Did you mean "client.id"?'),
        ('client.nmae == "a"', "client.nmae", 'Did you mean "client.name"?'),
        ("scopes.size() > 0", "scopes", 'Did you mean "scope"?'),
        ('at_mos(authorization_details[0].amount, "1", "EUR")', "at_mos", '"at_most"'),
        ("1 in scope", "no matching overload", "the same type"),
        ('client.id == "a" &&', "Syntax error", "cel.dev"),
        ("", "Syntax error", "cel.dev"),
        ("size(scope)", "of type int", "Compare it"),
        ("client.name", "of type string", "Compare it"),
        ("authorization_details[0].approved", "only the request knows", "== true"),
        ("true" + " && true" * 1000, "longer than", "several rules"),
    ],
)
def test_a_mistake_is_found_when_the_condition_is_read(text: str, problem: str, fix: str) -> None:
    with pytest.raises(cel.BadCondition) as refused:
        cel.Condition(text)
    assert problem in refused.value.problem
    assert fix in refused.value.fix
    assert "\n" not in refused.value.problem


@pytest.mark.parametrize(
    ("amount", "limit", "expected"),
    [
        ("100.00", "100.00", True),
        ("100", "100.00", True),
        ("99.9999", "100", True),
        ("100.01", "100.00", False),
        ("9.00", "10.00", True),  # as text, 9 would be more
        ("1000.00", "200.00", False),  # as text, 1000 would be less
        ("999999999999999.9999", "999999999999999.9998", False),  # as floats, they are equal
    ],
)
@covers("OAUTH-RAR-06")
def test_money_is_compared_exactly(amount: str, limit: str, expected: bool) -> None:
    assert judge_detail(f'at_most($.amount, "{limit}", "EUR")', payment(amount)) is expected


@covers("OAUTH-RAR-06")
def test_another_currency_is_never_at_most() -> None:
    assert judge_detail('at_most($.amount, "100", "EUR")', payment("1.00", "JPY")) is False
    assert judge_detail('less_than($.amount, "100", "EUR")', payment("1.00", "JPY")) is False
    assert judge_detail('in_currency($.amount, "JPY")', payment("1.00", "JPY")) is True


def test_less_than_leaves_the_limit_itself_out() -> None:
    assert judge_detail('less_than($.amount, "100", "EUR")', payment("100.00")) is False
    assert judge_detail('less_than($.amount, "100", "EUR")', payment("99.99")) is True


def test_a_sum_cannot_be_undercut_by_cutting_it_into_pieces() -> None:
    rule = 'sum_at_most(authorization_details.map(d, d.amount), "100", "EUR")'
    assert judge(rule, authorization_details=(payment("60"), payment("40"))) is True
    assert judge(rule, authorization_details=(payment("60"), payment("40.01"))) is False
    assert judge(rule, authorization_details=(payment("1"), payment("1", "USD"))) is False


@pytest.mark.parametrize(
    "text",
    [
        'authorization_details[0].amount.amount < "100"',
        '"100" >= authorization_details[0].amount.amount',
        "authorization_details[0].amount.amount < 100.0",
        "double(authorization_details[0].amount.amount) < 100",
        "1.5 > 1.0",
        "authorization_details[0].a.amount <= authorization_details[0].b.amount",
        "authorization_details.exists(d, d.a > d.b)",
        "int(double(1)) == 1",
    ],
)
@covers("OAUTH-RAR-06")
def test_money_cannot_be_compared_as_text_or_float(text: str) -> None:
    with pytest.raises(cel.BadCondition):
        cel.Condition(text)


def test_whole_numbers_are_ordered_when_the_rule_says_that_they_are() -> None:
    assert judge_detail("$.count < 5", {"type": "t", "count": 3}) is True
    assert judge_detail("int($.a) < int($.b)", {"type": "t", "a": 3, "b": 4}) is True


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("1O0", "EUR"), ("100,00", "EUR"), ("-1", "EUR"), ("1e3", "EUR"), ("100", "euro")],
)
def test_a_limit_that_is_no_amount_is_found_when_the_rule_is_read(
    amount: str, currency: str
) -> None:
    with pytest.raises(cel.BadCondition) as refused:
        cel.Condition(
            f"""authorization_details.all(d, at_most(d.amount, "{amount}", '{currency}'))"""
        )
    assert '"100.00", "EUR"' in refused.value.fix


@pytest.mark.parametrize(
    "detail",
    [
        {"type": "t"},
        {"type": "t", "amount": None},
        {"type": "t", "amount": "50.00"},
        {"type": "t", "amount": 50},
        {"type": "t", "amount": {"amount": 50, "currency": "EUR"}},
        {"type": "t", "amount": {"amount": "-50", "currency": "EUR"}},
        {"type": "t", "amount": {"amount": "5e1", "currency": "EUR"}},
        {"type": "t", "amount": {"amount": "50"}},
        {"type": "t", "amount": {"amount": "50", "currency": "EUR", "unit": "cent"}},
        {"type": "t", "amount": {"amount": "50", "currency": "eur"}},
        {"type": "t", "amount": ["50", "EUR"]},
    ],
)
def test_what_is_not_money_fails_the_rule(detail: Json) -> None:
    for function in ("at_most", "less_than"):
        assert isinstance(judge_detail(f'{function}($.amount, "100", "EUR")', detail), cel.Failed)


@pytest.mark.parametrize(
    "text",
    [
        "$.approved == 1 / 0",
        '$.missing == "x"',
        "$.text < 5",
        "authorization_details[7].type == 'x'",
        "$.flag",
        "!$.text",
    ],
)
def test_an_error_is_neither_true_nor_false(text: str) -> None:
    if text == "$.flag":
        text = "$.flag && true"
    found = judge_detail(text, {"type": "t", "text": "five", "flag": "yes", "approved": 1})
    assert isinstance(found, cel.Failed)


@covers("SEC-DOS-05")
def test_a_loop_in_a_loop_ends_by_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def counted(value: str) -> Decimal:
        nonlocal calls
        calls += 1
        return members.parse_amount(value)

    monkeypatch.setattr(cel, "parse_amount", counted)
    ten = "[0,1,2,3,4,5,6,7,8,9]"
    body = 'at_most({"amount": "1", "currency": "EUR"}, "2", "EUR")'
    for variable in "abcdefg":
        body = f"{ten}.all({variable}, {body})"
    condition = cel.Condition(body)
    calls = 0
    facts = cel.facts(
        {name: () if name not in ("now", "bound") else False for name in cel.VARIABLES}
    )
    found = condition.evaluate(facts)
    assert isinstance(found, cel.Failed)
    assert found.kind == "BUDGET"
    assert 0 < calls <= 2 * 10_000  # two amounts a call, 10,000 iterations; 20,000,000 without


def test_a_kind_of_failure_never_quotes_the_request() -> None:
    found = judge_detail("$[$.key] == 1", {"type": "t", "key": "planted-secret"})
    assert isinstance(found, cel.Failed)
    assert "planted-secret" in found.text
    assert "planted-secret" not in found.kind


def test_facts_must_be_those_that_conditions_know() -> None:
    with pytest.raises(ValueError):
        cel.facts({"client.id": "a"})
