"""A kind of authorization_details: a payment of at most so much, to one creditor."""  # noqa: INP001  # found by python_path, in no package

from abeyance.access.members import AtMost, Claim, Text, declare

PAYMENT = declare(
    "payment",
    title="Pay {amount} to {creditor}",
    members={
        "amount": AtMost(),  # a reviewer may lower it
        "creditor": Text(max_length=70),
        "reason": Claim(optional=True),  # the client's words: shown as such, never a fact
    },
)
