"""`abeyance client invite · invitations · uninvite`: initial access tokens."""

from collections.abc import Mapping
from typing import Any

from abeyance.cli.admin.connect import Api, Where, at
from abeyance.cli.admin.printing import facts, pages, run, table

_HERE = Where()
_DAY = 24 * 3600


def invite(*, uses: int = 1, days: int = 1, note: str | None = None, where: Where = _HERE) -> int:
    """Make a token with which clients may register; it is printed once and never again.

    Parameters
    ----------
    uses
        How many clients may register with it.
    days
        How long it is good for.
    note
        For whom it is.
    """
    body = {"uses": uses, "expires_in": days * _DAY, "note": note}
    return run(where, lambda api: api.call("POST", "/registration-tokens", body).body, _describe)


def invitations(*, where: Where = _HERE) -> int:
    """List the tokens with which clients may register."""
    return run(
        where,
        lambda api: pages(api, "/registration-tokens"),
        lambda told: table(
            [
                (each["id"], each["note"], f"{each['left']} left", each["expires_at"])
                for each in told["items"]
            ]
        ),
    )


def uninvite(token_id: str, /, *, where: Where = _HERE) -> int:
    """Withdraw such a token; clients that registered with it stay.

    Parameters
    ----------
    token_id
        Its id, as the list has it.
    """

    def work(api: Api) -> Any:
        api.call("DELETE", at("registration-tokens", token_id))
        return {"id": token_id}

    return run(where, work, lambda told: [f"withdrawn: {told['id']}"])


def _describe(told: Mapping[str, Any]) -> list[str]:
    return facts(
        [
            ("id", told["id"]),
            ("token", told["token"] or ""),
            ("note", told["note"]),
            ("clients", str(told["left"])),
            ("until", told["expires_at"]),
        ]
    )
