"""Refreshing: what is sent, and what becomes of the old refresh token (RFC 6749 §6)."""

from dataclasses import replace

from abeyance.client.access import NOTHING, Access
from abeyance.client.asking import Wish, ask
from abeyance.client.errors import Misconfigured
from abeyance.client.exchange import Flow
from abeyance.client.link import Link
from abeyance.client.pursuit import Pursuit
from abeyance.client.token import OnPartial, Token
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.secret import Secret


def refresh(
    link: Link,
    old: Token | Secret,
    *,
    access: Access,
    defer: bool,
    on_partial: OnPartial,
    key: KeyPair | None,
) -> Flow[Token | Pursuit]:
    """Ask once more for what was granted, or for less of it, with the key of the old token.

    A bare refresh token goes with `key`; what was granted before is not known then.

    Not repeated by itself: a lost answer may have spent the refresh token, and
    whoever repeats it must do so with the same one. A deferred refresh spends
    nothing until it succeeds. Raises as `ask`, and `Misconfigured` without a
    refresh token.
    """
    if isinstance(old, Token):
        shown, key, before = old.refresh_token, old.dpop_key, replace(old.granted, resources=())
    else:
        shown, before = old, NOTHING
    if shown is None:
        raise Misconfigured("The token came without a refresh token")
    wish = Wish(
        grant_type=names.GRANT_REFRESH_TOKEN,
        access=access,
        parameters={names.REFRESH_TOKEN: shown},
        defer=defer,
        on_partial=on_partial,
        before=before,
    )
    answer = yield from ask(link, wish, key=key)
    if isinstance(answer, Pursuit):
        return answer
    return with_refresh_token(answer, shown)


def with_refresh_token(fresh: Token, old: Secret | None) -> Token:
    """A server that sends no new refresh token leaves the old one in force."""
    if fresh.refresh_token is not None:
        return fresh
    return replace(fresh, refresh_token=old)
