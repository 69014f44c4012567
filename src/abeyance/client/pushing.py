"""Pushing an authorization request: the browser gets a reference only (RFC 9126)."""

from collections.abc import Iterable

from abeyance.client import answers
from abeyance.client.errors import MalformedResponse, ServerRefused, Unavailable
from abeyance.client.exchange import Flow, Unanswered
from abeyance.client.link import Link, log
from abeyance.client.receiving import refusal_error
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names


def push(
    link: Link, endpoint: str, pairs: Iterable[tuple[str, str]], *, key: KeyPair | None
) -> Flow[list[tuple[str, str]]]:
    """Push these parameters; return those that remain for the browser.

    With `key` the request is signed, which binds the code to it. Raises `Unavailable`,
    `MalformedResponse` and what the server refuses with.
    """
    reply = yield from link.call(endpoint, pairs, key=key)
    if isinstance(reply, Unanswered):
        raise Unavailable(reply.why)
    if reply.status == 201:
        members = answers.parse_members(reply.body) or {}
        reference = members.get(names.REQUEST_URI)
        if not isinstance(reference, str) or not reference:
            raise MalformedResponse("The answer to a pushed request has no request_uri")
        log.debug("authorization request pushed")
        return [(names.CLIENT_ID, link.client_id), (names.REQUEST_URI, reference)]
    match answers.read_answer(reply, polling=False):
        case answers.Refusal() as refusal:
            raise refusal_error(refusal, polling=False, in_doubt=False)
        case answers.NonceWanted():
            raise ServerRefused(names.USE_DPOP_NONCE)
        case answers.Passing(reason=reason):
            wait = answers.retry_after(reply, link.surroundings.now())
            raise Unavailable(reason, retry_after=wait)
        case _:
            raise MalformedResponse("A pushed request was answered with something else")
