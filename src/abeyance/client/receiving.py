"""What becomes of an answer that ends something: a token for the caller, or the reason why not."""

from dataclasses import replace

from abeyance.client import answers
from abeyance.client.access import Access
from abeyance.client.errors import (
    AccessDenied,
    ClientError,
    Expired,
    InvalidGrant,
    MalformedResponse,
    PartialGrant,
    ServerRefused,
    StopPolling,
)
from abeyance.client.exchange import Flow
from abeyance.client.link import Link, log
from abeyance.client.revoking import revoke_token
from abeyance.client.token import OnPartial, Token
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.secret import Secret


def receive(
    link: Link,
    granted: answers.Granted,
    *,
    requested: Access,
    key: KeyPair | None,
    on_partial: OnPartial,
    nonce: Secret | None = None,
) -> Flow[Token]:
    """Make the caller's token of a success response.

    A token that the caller must not use is revoked at once: one that is not
    bound to the key that was proven (`MalformedResponse`), and one that grants
    less where the rule is all or nothing (`PartialGrant`, EXT-NARROW-04).
    """
    token = replace(_token(link, granted, requested, key), nonce=nonce)
    if not _is_assertion(token) and (
        (token.token_type.lower() == names.DPOP.lower()) != (key is not None)
    ):
        yield from _discard(link, token)
        raise MalformedResponse(
            "The token is not bound to the key that was proven"
            if key is not None
            else "The token is bound to a key that was not proven"
        )
    if on_partial == "reject" and token.partial:
        revoked = yield from _discard(link, token)
        raise PartialGrant(token, revoked=revoked)
    return token


def refusal_error(refusal: answers.Refusal, *, polling: bool, in_doubt: bool) -> ClientError:
    """The exception for an error code; `in_doubt`: the answer to an earlier poll was lost."""
    match refusal.error:
        case names.ACCESS_DENIED:
            return AccessDenied(
                description=refusal.description,
                remark=refusal.remark,
                outcome=refusal.outcome,
                next_action=refusal.next_action,
                retry_after=refusal.retry_after,
            )
        case names.EXPIRED_TOKEN:
            return Expired(description=refusal.description)
        case names.INVALID_GRANT:
            return InvalidGrant(description=refusal.description, result_may_be_lost=in_doubt)
        case names.INVALID_REQUEST if polling:
            return StopPolling(refusal.error, refusal.description)
        case _:
            return ServerRefused(refusal.error, refusal.description)


def _is_assertion(token: Token) -> bool:
    """Is it no access token at all, but what an exchange was asked for (RFC 8693 §2.2.1)? It
    can be used nowhere as one, so it cannot be one that lost its key.
    """
    issued = token.other.get(names.ISSUED_TOKEN_TYPE)
    return token.token_type == names.NOT_A_TOKEN_TYPE and issued == names.URN_ID_JAG


def _token(link: Link, granted: answers.Granted, requested: Access, key: KeyPair | None) -> Token:
    # What the server does not tell is as requested (RFC 6749 §5.1; EXT-NARROW-02).
    return Token(
        access_token=granted.access_token,
        token_type=granted.token_type,
        expires_at=(
            None if granted.expires_in is None else link.surroundings.now() + granted.expires_in
        ),
        requested=requested,
        granted=Access(
            scope=requested.scope if granted.scope is None else granted.scope,
            resources=requested.resources,
            authorization_details=(
                requested.authorization_details if granted.details is None else granted.details
            ),
        ),
        refresh_token=granted.refresh_token,
        dpop_key=key,
        other=granted.other,
    )


def _discard(link: Link, token: Token) -> Flow[bool]:
    try:
        yield from revoke_token(link, token)
    except ClientError:
        log.warning("a token that is not wanted could not be revoked")
        return False
    log.info("a token that is not wanted was revoked")
    return True
