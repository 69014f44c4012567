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

SECRETIVE = declare(
    "diagnosis",
    title="Read the diagnosis {number}",
    members={"number": Text(max_length=40)},
    sensitive=True,
)

STANDING = declare(
    "standing",
    title="See {account} for as long as it stands",
    members={"account": Text(max_length=40)},
    standing=True,
)
