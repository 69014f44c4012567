"""The kind of `authorization_details` that the benchmark's clients ask for."""

from abeyance.access.members import Claim, Money, Text, declare

PAYMENT = declare(
    "payment",
    title="Pay {amount} to {creditor}",
    members={
        "amount": Money(),
        "creditor": Text(max_length=70),
        "reason": Claim(optional=True),
    },
)
