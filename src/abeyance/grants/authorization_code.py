"""`authorization_code` with PKCE (OAuth 2.1 §4.1; OAUTH-CODE-03 to -11, EXT-GRANT-01).

One text for whatever is wrong, and nothing spent by it. The code is spent by the
first request that is right in every part, also if the answer is "not yet"
(reading 8); a second one that is right in every part is reuse, and one with any
wrong part is refused and changes nothing, or a thief of the code could end what
its owner has.
"""

from typing import Final

from abeyance.grants.grant import Behind, Claimed, Grant, Presented, Reused
from abeyance.pending.change import SpendCode
from abeyance.pending.credentials import FoundCode
from abeyance.pending.handles import HandleKind
from abeyance.pending.request import Success
from abeyance.proofs.pkce import verifies
from abeyance.wire import names
from abeyance.wire.errors import InvalidGrant, InvalidRequest


def _claim(shown: Presented) -> Claimed | Reused:
    found = shown.found
    if (
        isinstance(found, FoundCode)
        and found.code.challenge is None
        and names.CODE_VERIFIER in shown.form
    ):
        # Whoever sends one thinks that there was a challenge: somebody took it off (PKCE-05).
        raise InvalidRequest("The code was asked for without a code_challenge")
    if not isinstance(found, FoundCode) or not _is_right(shown, found):
        raise InvalidGrant("The code is not valid for this request")
    spend = SpendCode(found.code.handle.digest, shown.now)
    may_refresh = names.GRANT_REFRESH_TOKEN in shown.client.grant_types
    claimed = Claimed(
        subject=found.grant.person,
        behind=Behind.of(found.grant),
        home=found.home,
        spends=(spend,),
        holds=(spend,),
        ceiling=found.code.granted,
        hinted=found.code.hinted,
        identity=found.code.identity,
        at_once=found.code.challenge is None,
        success=Success.NEW_FAMILY if may_refresh else Success.ACCESS_TOKEN,
    )
    return claimed if found.code.spent_at is None else Reused(found.home, claimed)


def _is_right(shown: Presented, found: FoundCode) -> bool:
    """Every part, in the order of OAUTH-CODE-03."""
    code, form = found.code, shown.form
    if found.grant.client != shown.client.id or found.grant.ended_at is not None:
        return False
    if code.spent_at is None and shown.now >= code.expires_at:
        return False
    # Where PKCE took its place, it need not be told again (OAuth 2.1 §10.2). A code that no
    # browser carried, of the challenge endpoint, was sent nowhere.
    if form.get(names.REDIRECT_URI, "" if code.challenge is None else code.redirect_uri) != (
        code.redirect_uri
    ):
        return False
    verifier = form.get(names.CODE_VERIFIER, "")
    if code.challenge is not None and not verifies(verifier, code.challenge):
        return False
    return code.dpop_jkt is None or (shown.key is not None and shown.key.jkt == code.dpop_jkt)


AUTHORIZATION_CODE: Final = Grant(
    name=names.GRANT_AUTHORIZATION_CODE,
    claim=_claim,
    handle=HandleKind.AUTHORIZATION_CODE,
    parameter=names.CODE,
)
