"""`authorization_details` types that the tests' server knows."""

from abeyance.access.members import AtMost, Claim, Money, SetOf, Text, declare

PAYMENT = declare(
    "payment",
    title="Pay {amount} to {creditor}",
    members={
        "amount": Money(),
        "creditor": Text(max_length=70),
        "reason": Claim(optional=True),
    },
)

EXPORT = declare(
    "export",
    title="Export {tables}",
    members={
        "tables": SetOf(choices=frozenset({"customers", "invoices", "leads"})),
        "budget": AtMost(optional=True),
    },
)
