"""Refusals at a resource, and the challenges that go with them (OAUTH-PRM-03).

Source: RFC 6750 §3, RFC 9449 §7.1, §9, RFC 9470 §3, RFC 9728 §5.1; OAUTH-AT-09, OAUTH-DPOP-21.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from abeyance.wire import names

_STATUS: Final = {names.INVALID_REQUEST: 400, names.INSUFFICIENT_SCOPE: 403}


class Refused(Exception):
    """Nothing is done. `error` is `None` where no token was sent: then nothing else is said.

    `scheme`: the one that was used, and that is answered; `asks`: what would be enough, by the
    name of the challenge's parameter. `away`: nobody could say whether the token is good.
    """

    def __init__(
        self,
        error: str | None = None,
        scheme: str | None = None,
        asks: Mapping[str, str] = MappingProxyType({}),
        *,
        nonce: str | None = None,
        away: bool = False,
    ) -> None:
        super().__init__(error or ("away" if away else "no token"))
        self.error = error
        self.scheme = scheme
        self.asks = asks
        self.nonce = nonce
        self.away = away

    @property
    def status(self) -> int:
        return 503 if self.away else _STATUS.get(self.error or "", 401)


def render_challenges(
    refused: Refused, *, metadata_url: str, requires_bound: bool, algorithms: frozenset[str]
) -> str:
    """The value of `WWW-Authenticate`; every scheme that is taken has a challenge."""
    algs = " ".join(sorted(algorithms))
    schemes = (names.DPOP,) if requires_bound else (names.BEARER, names.DPOP)
    return ", ".join(_challenge(scheme, refused, metadata_url, algs) for scheme in schemes)


def _challenge(scheme: str, refused: Refused, metadata_url: str, algs: str) -> str:
    told: dict[str, str] = {}
    # The error is that of the scheme which was used; one that is not taken is told by another.
    if refused.error is not None and refused.scheme in (scheme, None):
        told[names.ERROR] = refused.error
    if refused.error is not None:
        told |= refused.asks
    if scheme == names.DPOP:
        told["algs"] = algs
    told["resource_metadata"] = metadata_url
    return f"{scheme} " + ", ".join(f'{name}="{value}"' for name, value in told.items())
