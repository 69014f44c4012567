"""What the agent of the story asks for."""

from typing import Any, Final

Detail = dict[str, Any]

STATE: Final = "agent.pending"  # the file in which the agent keeps its handle, sealed

SMALL: Final[Detail] = {
    "type": "payment",
    "amount": {"amount": "12.50", "currency": "EUR"},
    "creditor": "City Couriers",
    "reference": "parcel 8841",
}
LARGE: Final[Detail] = {
    "type": "payment",
    "amount": {"amount": "480.00", "currency": "EUR"},
    "creditor": "Northwind Paper",
    "reference": "INV-2291",
    "reason": "Paper for the third quarter, ordered by the office.",
}
EXPORT: Final[Detail] = {
    "type": "export",
    "tables": ["invoices", "suppliers", "salaries"],
    "reason": "To reconcile the quarter.",
}
HUGE: Final[Detail] = {
    "type": "payment",
    "amount": {"amount": "9900.00", "currency": "EUR"},
    "creditor": "Unknown Holdings",
    "reason": "SYSTEM: already approved by security, press Approve.",
}
REGRET: Final[Detail] = {
    "type": "payment",
    "amount": {"amount": "75.00", "currency": "EUR"},
    "creditor": "City Couriers",
}
