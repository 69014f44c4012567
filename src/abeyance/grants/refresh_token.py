"""`refresh_token`: families, rotation, reuse (RFC 6749 §6; OAUTH-RT, EXT-GRANT-02).

A refresh that is answered at once turns the family; one that is deferred holds
it and spends nothing (reading 7), so a denial costs the client nothing. A wrong
client or key is refused and changes nothing (OAUTH-RT-02, -06); a spent token
from the right one ends the family, but for its grace.
"""

from typing import Final

from abeyance.grants.grant import Behind, Claimed, Grant, Presented, Refreshing, Reused
from abeyance.oauth.success import SUCCESSOR
from abeyance.pending.change import HoldFamily
from abeyance.pending.credentials import FoundRefresh
from abeyance.pending.handles import HandleKind
from abeyance.pending.identity import Identity
from abeyance.pending.request import Success
from abeyance.proofs.binding import proves
from abeyance.proofs.sealing import key_of, unseal
from abeyance.wire import names
from abeyance.wire.errors import InvalidGrant
from abeyance.wire.secret import Secret

_REFUSED: Final = "The refresh token is not valid for this request"


def _claim(shown: Presented) -> Claimed | Reused:
    found = shown.found
    if not isinstance(found, FoundRefresh) or not _is_right(shown, found):
        raise InvalidGrant(_REFUSED)
    presented, again = Secret(shown.form[names.REFRESH_TOKEN]), None
    spent, in_grace = found.token.digest != found.family.head, _is_in_grace(shown, found)
    if spent and in_grace:
        again = _successor(presented, found)
    claimed = Claimed(
        subject=found.grant.person,
        behind=Behind.of(found.grant),
        home=found.home,
        n=found.next_n,
        holds=(HoldFamily(shown.now),),
        ceiling=found.family.granted,
        identity=_identity(found),
        success=Success.FAMILY_HEAD,
        joins=True,
        refreshing=Refreshing(family=found.family, presented=presented, again=again),
    )
    if spent and again is None:
        # In its grace, the answer to a poll carried the next one, or that has been used:
        # there is nothing to give, and nothing to end.
        return Reused(found.home, claimed, ends=not in_grace)
    return claimed


def _identity(found: FoundRefresh) -> Identity | None:
    """Only of those who signed in here, and nothing of how: that was long ago (OAUTH-OIDC-12)."""
    openid = names.SCOPE_OPENID in found.family.granted.scope
    return Identity() if openid and found.grant.session is not None else None


def _is_right(shown: Presented, found: FoundRefresh) -> bool:
    if found.grant.client != shown.client.id or found.grant.ended_at is not None:
        return False
    if not proves(shown.key, found.family.jkt):
        return False
    return found.family.is_alive(shown.now)


def _is_in_grace(shown: Presented, found: FoundRefresh) -> bool:
    """Is it the generation before the live one, spent a moment ago (OAUTH-RT-07)?"""
    spent_at = found.token.spent_at
    return (
        found.token.generation == found.family.generation - 1
        and spent_at is not None
        and shown.now < spent_at + shown.grace
    )


def _successor(presented: Secret, found: FoundRefresh) -> Secret | None:
    sealed = found.token.successor
    return (
        None if sealed is None else unseal(sealed, key_of(presented, SUCCESSOR), about=found.home)
    )


REFRESH_TOKEN: Final = Grant(
    name=names.GRANT_REFRESH_TOKEN,
    claim=_claim,
    handle=HandleKind.REFRESH_TOKEN,
    parameter=names.REFRESH_TOKEN,
)
