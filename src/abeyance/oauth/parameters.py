"""Where the parameters of an authorization request come from: one value, read once.

Openly in a query or form, pushed beforehand (RFC 9126), or in an object that the client has
signed (RFC 9101). What does not count is not in it: beside a reference or an object nothing
else is read (OAUTH-PAR-08, OAUTH-JAR-03).
"""

import re
from dataclasses import dataclass
from typing import Final

from abeyance.access.access import Access
from abeyance.access.details import DetailsTypes
from abeyance.parties.client import Client
from abeyance.pending.handles import Home
from abeyance.proofs.replay import ReplayMark
from abeyance.wire import names
from abeyance.wire.errors import InvalidRequest
from abeyance.wire.form import Form

# Every name that could be a parameter's: what we know must be right where it stands.
KNOWN: Final = frozenset(
    value
    for name, value in vars(names).items()
    if name.isupper() and isinstance(value, str) and re.fullmatch(r"[a-z_]+", value)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters that count, and how they came.

    `home`: where the grant of a pushed request will live. `mark` must be used up before the
    request is kept.
    """

    form: Form
    pushed: bool = False
    signed: bool = False
    home: Home | None = None
    mark: ReplayMark | None = None


def check_details(parameters: Parameters, types: DetailsTypes, asked: Access) -> None:
    """Did sensitive details come from the client itself? Raises `InvalidRequest`.

    A signed object is no cover: it is signed, not hidden. Source: RFC 9396 §13, OAUTH-RAR-11.
    """
    if not parameters.pushed and types.is_sensitive(asked.details):
        raise InvalidRequest("These authorization_details must be pushed")


def check_way(parameters: Parameters, client: Client, *, must_push: bool, must_sign: bool) -> None:
    """Did it come as the server (`must_...`) or the client's registration demands?

    Raises `InvalidRequest`. Source: RFC 9126 §4, §6; RFC 9101 §10.5; OAUTH-PAR-10, OAUTH-JAR-07.
    """
    if not parameters.pushed and (must_push or client.require_pushed):
        raise InvalidRequest("The authorization request must be pushed")
    if not parameters.signed and (must_sign or client.require_signed):
        raise InvalidRequest("The authorization request must be a signed request object")
