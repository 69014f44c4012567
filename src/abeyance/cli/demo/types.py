"""The `authorization_details` types of the stories: about a screen of code."""

from abeyance.access.members import Claim, Money, SetOf, Text, declare

# Indivisible: a smaller payment would be another payment, so it is granted as asked or not at all.
PAYMENT = declare(
    "payment",
    title="Pay {amount} to {creditor}",
    members={
        "amount": Money(),
        "creditor": Text(max_length=70),
        "reference": Text(max_length=70, optional=True),
        "reason": Claim(optional=True),
    },
)

# Divisible: a reviewer may leave tables out.
EXPORT = declare(
    "export",
    title="Export {tables}",
    members={
        "tables": SetOf(choices=frozenset({"invoices", "suppliers", "salaries"})),
        "reason": Claim(optional=True),
    },
)
