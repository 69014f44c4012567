"""The revocation endpoint (RFC 7009): an access token, or a request that waits (DTR-CANC)."""

from datetime import timedelta
from typing import Final

from abeyance.client import answers
from abeyance.client.errors import CancelNotSupported, ServerRefused, Unavailable
from abeyance.client.exchange import Flow, Pause, Unanswered
from abeyance.client.link import Link
from abeyance.client.metadata import ServerMetadata
from abeyance.client.token import Token
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.secret import Secret

# Repeats are harmless (DTR-CANC-06, -11), and a caller who cancels wants it done.
ATTEMPTS: Final = 3
BETWEEN: Final = timedelta(seconds=1)


def revoke_token(link: Link, token: Token) -> Flow[None]:
    """Revoke an access token; raises as `revoke`, and what discovery raises."""
    metadata = yield from link.discover()
    yield from revoke(
        link,
        metadata,
        token.access_token,
        hint=names.TOKEN_TYPE_ACCESS_TOKEN,
        key=token.dpop_key,
    )


def revoke(
    link: Link, metadata: ServerMetadata, token: Secret, *, hint: str, key: KeyPair | None
) -> Flow[None]:
    """Revoke; returns only if the server confirmed it.

    Raises `CancelNotSupported` (no endpoint, or it does not know this kind),
    `ServerRefused`, `Unavailable` after a few attempts.
    """
    if metadata.revocation_endpoint is None:
        raise CancelNotSupported
    parameters = ((names.TOKEN, token.reveal()), (names.TOKEN_TYPE_HINT, hint))
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            yield Pause(BETWEEN.total_seconds() * 2 ** (attempt - 1))
        reply = yield from link.call(metadata.revocation_endpoint, parameters, key=key)
        if isinstance(reply, Unanswered):
            reason = reply.why
            continue
        match answers.read_answer(reply, polling=True):
            case answers.Refusal(error="unsupported_token_type"):
                raise CancelNotSupported
            case answers.Refusal() as refusal:
                raise ServerRefused(refusal.error, refusal.description)
            # Success has no body to read (RFC 7009 §2.2): here alone the status decides.
            case answers.Passing(worded=False) if reply.status == 200:
                return
            case _:
                reason = "the revocation was not confirmed"
    raise Unavailable(reason)
