"""Types and accesses that stand for anything, with defaults for what does not matter."""

from datetime import timedelta
from typing import Final

from abeyance.access.access import Access
from abeyance.access.details import Detail, DetailsTypes
from abeyance.access.members import AtMost, Claim, Money, SetOf, Text, Whole, declare

HOUR: Final = timedelta(hours=1)
API: Final = "https://api.example"

# Granted as asked or not at all: a smaller payment is another transaction.
PAYMENT: Final = declare(
    "payment",
    title="Pay {amount} to {creditor}",
    members={
        "amount": Money(),
        "creditor": Text(max_length=70),
        "copies": Whole(at_least=1, at_most=9, optional=True),
        "reason": Claim(optional=True),
    },
)
# May shrink in its actions and in its ceiling.
ACCOUNT: Final = declare(
    "account",
    title="Use the account {iban}",
    members={
        "iban": Text(max_length=34),
        "actions": SetOf(choices=frozenset({"read", "transfer", "close"})),
        "ceiling": AtMost(optional=True, label="Ceiling"),
    },
)
# May shrink in free words.
FOLDERS: Final = declare("folders", title="Open folders", members={"names": SetOf(max_items=400)})

TYPES: Final = DetailsTypes((PAYMENT, ACCOUNT, FOLDERS))


def payment(amount: str = "120.50", **members: object) -> Detail:
    return _detail(
        "payment",
        {"amount": money(amount), "creditor": "Acme", **members},  # as sent: no order
    )


def account(
    *actions: str, iban: str = "DE00", ceiling: str | None = None, currency: str = "EUR"
) -> Detail:
    members: dict[str, object] = {"iban": iban, "actions": list(actions or ("read",))}
    if ceiling is not None:
        members["ceiling"] = money(ceiling, currency)
    return _detail("account", members)


def money(amount: str, currency: str = "EUR") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


def access(
    scope: str = "",
    *details: Detail,
    resources: tuple[str, ...] = (API,),
    lifetime: timedelta = HOUR,
) -> Access:
    return Access(
        scope=frozenset(scope.split()),
        resources=frozenset(resources),
        details=details,
        lifetime=lifetime,
    )


def _detail(name: str, members: dict[str, object]) -> Detail:
    detail: Detail = {"type": name, **members}  # type: ignore[dict-item]  # checked by the type
    return detail
