"""Conditions in CEL: the one module that touches the library.

What a condition may say is fixed here. Names and types are checked when it is
read; members of `authorization_details` are known at the request only. Three
traps of the language or the library are closed:

- An evaluation error is a value of the library, not an exception: here anything
  but a real `bool` is `Failed`, never false and never true. (Inside a condition
  CEL's own rule holds: `true || error` is true, `false && error` is false.)
- Text and floating-point numbers have no order: `"9.00" < "10.00"` is false as
  text and rounded as float, so a rule about money that used either would be
  wrong without a sign of it. Money is compared by our functions, exactly.
- Loops are bounded by the library's iteration budget (10,000 for one condition)
  and regular expressions by RE2; the length of a condition is bounded here.

Source: SEC-DOS-05, OAUTH-RAR-06; https://cel.dev.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

from cel_expr_python import cel

from abeyance.access.members import parse_amount

MAX_LENGTH: Final = 4096
LANGUAGE: Final = 1  # raised when a condition may come to mean something else

_TEXTS: Final = cel.Type.List(cel.Type.STRING)
_OBJECT: Final = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)

# A dotted name is a variable of its own, so that `client.nmae` is found when it is read.
VARIABLES: Final[Mapping[str, Any]] = {
    "client.id": cel.Type.STRING,
    "client.name": cel.Type.STRING,
    "client.owner": cel.Type.STRING,
    "client.scopes": _TEXTS,
    "client.resources": _TEXTS,
    "grant_type": cel.Type.STRING,
    "person": cel.Type.STRING,
    "approved": cel.Type.BOOL,
    "actor": cel.Type.STRING,
    "audience": cel.Type.STRING,
    "scope": _TEXTS,
    "resource": _TEXTS,
    "authorization_details": cel.Type.List(_OBJECT),
    "bound": cel.Type.BOOL,
    "now": cel.Type.TIMESTAMP,
}

Facts: TypeAlias = Any  # the library's activation; made by `facts` and only read here


class BadCondition(ValueError):
    """A condition that cannot be read; `problem` may span lines, `fix` is a sentence."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Failed:
    """The condition has no truth value for this request.

    `kind` is one word and fit for a log; `text` may quote the request, so it is
    for whoever asked for an explanation.
    """

    kind: str
    text: str


class Condition:
    """One condition, read and checked."""

    __slots__ = ("_program", "text")

    def __init__(self, text: str) -> None:
        """Raise `BadCondition` for what is not a condition over `VARIABLES`."""
        self.text = text
        if len(text) > MAX_LENGTH:
            raise BadCondition(
                f"is longer than {MAX_LENGTH} characters", "Cut it into several rules."
            )
        try:
            self._program = _ENVIRONMENT.compile(text)
        except RuntimeError as error:
            raise _explain(str(error)) from None
        if self._program.return_type() != cel.Type.BOOL:
            raise BadCondition(
                f"is {_type_name(self._program.return_type())}, not true or false",
                "Compare it with something, for example == true.",
            )
        # The checker notes what an operator may turn out to be. One that may still order
        # booleans knows the type of neither side, and so could order text or floats.
        checked = self._program.serialize()
        if any(candidate in checked for candidate in _ORDERS_ANYTHING):
            raise BadCondition(
                "orders two values whose types only the request knows",
                "Compare money with at_most or less_than; wrap whole numbers: int(a) < int(b).",
            )
        for amount, currency in _literal_money(text):
            try:
                _limit(amount, currency)
            except ValueError as error:
                raise BadCondition(
                    f"compares with {amount!r}, {currency!r}: {error}",
                    'Write the amount and the currency as "100.00", "EUR".',
                ) from None

    def evaluate(self, facts: Facts) -> bool | Failed:
        """Is it true of this request? Never raises."""
        try:
            value = self._program.eval(facts)
            result = value.value()
        except Exception as error:  # the iteration budget; whatever it is, the rule failed
            return _failed(str(error))
        if type(result) is bool and value.type() == cel.Type.BOOL:
            return result
        if value.type() == cel.Type.ERROR:
            return _failed(str(result))
        return Failed("NOT_BOOL", f"is {_type_name(value.type())}, not true or false")


def facts(values: Mapping[str, object]) -> Facts:
    """Bind the variables once for all conditions of one request.

    `values` has exactly the names of `VARIABLES`; JSON values may be any mapping
    or sequence.
    """
    if values.keys() != VARIABLES.keys():
        raise ValueError("the facts are not those that conditions know")
    return _ENVIRONMENT.Activation({name: _plain(value) for name, value in values.items()})


def _plain(value: object) -> object:
    match value:
        case str() | bool() | int() | float() | None:
            return value
        case datetime():
            return value.astimezone(UTC)
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case frozenset() | set():
            return [_plain(each) for each in sorted(value)]
        case Sequence():
            return [_plain(each) for each in value]
    raise TypeError(f"{type(value).__name__} is not a value of a condition")


# --- money: exact decimals, one currency


def _limit(amount: str, currency: str) -> Decimal:
    """The literal of a rule, written as strictly as the money of a request."""
    if not _CURRENCY.fullmatch(currency):
        raise ValueError("the currency is not three capital letters")
    try:
        return parse_amount(amount)
    except ValueError:
        raise ValueError("the amount is not a plain decimal number") from None


def _money(value: object) -> tuple[Decimal, str]:
    """Money of a request; raises for anything else, which fails the rule."""
    if not isinstance(value, dict) or value.keys() != {"amount", "currency"}:
        raise ValueError("not an object of amount and currency")
    amount, currency = value["amount"], value["currency"]
    if not isinstance(amount, str) or not isinstance(currency, str):
        raise ValueError("amount and currency are not both text")
    return _limit(amount, currency), currency


def at_most(money: object, amount: str, currency: str) -> bool:
    """Is the money in this currency and not more than the amount?"""
    limit, (asked, of) = _limit(amount, currency), _money(money)
    return of == currency and asked <= limit


def less_than(money: object, amount: str, currency: str) -> bool:
    """Is the money in this currency and less than the amount?"""
    limit, (asked, of) = _limit(amount, currency), _money(money)
    return of == currency and asked < limit


def sum_at_most(monies: object, amount: str, currency: str) -> bool:
    """Is all of it in this currency, and the sum not more than the amount?"""
    limit = _limit(amount, currency)
    if not isinstance(monies, list):
        raise TypeError("not a list")
    parsed = [_money(each) for each in monies]
    total = sum((asked for asked, _ in parsed), start=Decimal())
    return all(of == currency for _, of in parsed) and total <= limit


def in_currency(money: object, currency: str) -> bool:
    """Is the money in this currency?"""
    _limit("0", currency)
    return _money(money)[1] == currency


_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_LITERAL = r"""(?:"([^"\\]*)"|'([^'\\]*)')"""
# Two string literals that end a list of arguments: only our functions end so.
_MONEY_ARGUMENTS = re.compile(rf",\s*{_LITERAL}\s*,\s*{_LITERAL}\s*\)")


def _literal_money(text: str) -> list[tuple[str, str]]:
    return [
        (found[1] or found[2] or "", found[3] or found[4] or "")
        for found in _MONEY_ARGUMENTS.finditer(text)
    ]


# --- the language


def _function(name: str, implementation: Callable[..., bool], *parameters: Any) -> Any:
    overload = cel.Overload(
        f"abeyance_{name}", cel.Type.BOOL, list(parameters), False, impl=implementation
    )
    return cel.FunctionDecl(name, [overload])


_ORDERS: Final = {"_<_": "less", "_<=_": "less_equals", "_>_": "greater", "_>=_": "greater_equals"}
_ORDERS_ANYTHING: Final = tuple(f"{name}_bool".encode() for name in _ORDERS.values())
_UNORDERED: Final = (
    "string", "bytes", "double", "double_int64", "int64_double", "double_uint64", "uint64_double",
)  # fmt: skip


def _language() -> str:
    """The standard functions without those by which text or floats would pass for money."""
    lines = ["stdlib:", "  exclude_functions:", "    - name: double"]
    lines += ["    - name: int", "      overloads:", "        - id: double_to_int64"]
    for operator, name in _ORDERS.items():
        lines += [f'    - name: "{operator}"', "      overloads:"]
        lines += [f"        - id: {name}_{kind}" for kind in _UNORDERED]
    return "\n".join(lines)


_ENVIRONMENT: Final = cel.NewEnv(
    config=cel.NewEnvConfigFromYaml(_language()),
    variables=VARIABLES,
    functions=[
        _function("at_most", at_most, _OBJECT, cel.Type.STRING, cel.Type.STRING),
        _function("less_than", less_than, _OBJECT, cel.Type.STRING, cel.Type.STRING),
        _function(
            "sum_at_most", sum_at_most, cel.Type.List(_OBJECT), cel.Type.STRING, cel.Type.STRING
        ),
        _function("in_currency", in_currency, _OBJECT, cel.Type.STRING),
    ],
)
FUNCTIONS: Final = ("at_most", "less_than", "sum_at_most", "in_currency")


# --- the library's words


_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_NO_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '([^']*)'")
_STATUS = re.compile(r"^([A-Z_]+): ")
_BUDGET: Final = "Iteration budget exceeded"


def _explain(message: str) -> BadCondition:
    # The library repeats the source under each complaint; its line and column are enough.
    said = [line.removesuffix(" [INVALID_ARGUMENT]") for line in message.splitlines()]
    problem = "; ".join(
        _STATUS.sub("", line).replace("ERROR: <input>:", "at ").replace(" (in container '')", "")
        for line in said
        if not line.startswith(" |")
    )
    if found := _UNDECLARED.search(message):
        return BadCondition(problem, _names_fix(found[1]))
    if found := _NO_OVERLOAD.search(message):
        if found[1] in _ORDERS and ("string" in found[2] or "double" in found[2]):
            return BadCondition(
                problem,
                "Text and floats have no order here; compare money with "
                'at_most(x, "100.00", "EUR").',
            )
        return BadCondition(problem, "Compare values of the same type.")
    return BadCondition(problem, "Correct the expression; CEL is described at https://cel.dev.")


def _names_fix(name: str) -> str:
    if name == "double":
        return 'Floats cannot hold money; use at_most(x, "100.00", "EUR").'
    known = [*VARIABLES, *FUNCTIONS]
    near = difflib.get_close_matches(name, known, n=1)
    return f'Did you mean "{near[0]}"?' if near else f"Known here: {', '.join(known)}."


def _failed(message: str) -> Failed:
    status = _STATUS.match(message)
    kind = "BUDGET" if _BUDGET in message else status[1] if status else "UNKNOWN"
    return Failed(kind, _STATUS.sub("", message))


def _type_name(kind: Any) -> str:
    return {"DYN": "of a type that only the request knows", "NULL_TYPE": "null"}.get(
        kind.name(), f"of type {kind.name().lower()}"
    )
