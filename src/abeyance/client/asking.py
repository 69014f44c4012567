"""The first token request, and what its answer makes (DTR-INIT, DTR-RESP, DTR-OPT)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

import msgspec

from abeyance.client import answers
from abeyance.client.access import NOTHING, Access
from abeyance.client.authentication import Strength
from abeyance.client.errors import MalformedResponse, Misconfigured, ServerRefused, Unavailable
from abeyance.client.exchange import Flow, Pause, Received, Unanswered
from abeyance.client.link import Link, log
from abeyance.client.pursuit import Form, Pursuit
from abeyance.client.receiving import receive, refusal_error
from abeyance.client.token import OnPartial, Token
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.secret import Secret

_PAUSES: Final = (1.0, 3.0)  # seconds before a named request is sent again
_OURS: Final = frozenset(
    {
        names.GRANT_TYPE,
        names.SCOPE,
        names.RESOURCE,
        names.AUTHORIZATION_DETAILS,
        names.COMPLETION_MODE,
        names.CLIENT_ID,
        names.CLIENT_SECRET,
        names.CLIENT_ASSERTION,
        names.CLIENT_ASSERTION_TYPE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a caller asks for. `parameters` are those of the grant itself (`code`, ...).

    `before`: what was asked at an earlier step and is not repeated here, such as
    at the authorization endpoint; what is granted is compared with it. `nonce`: of
    that request, for an ID token.
    """

    grant_type: str
    access: Access
    parameters: Mapping[str, str | Secret] = field(repr=False)
    defer: bool
    on_partial: OnPartial
    before: Access = NOTHING
    nonce: Secret | None = field(default=None, repr=False)

    @property
    def requested(self) -> Access:
        return self.access or self.before

    def __post_init__(self) -> None:
        if clash := sorted(_OURS & self.parameters.keys()):
            raise Misconfigured(f"{', '.join(clash)}: has an argument of its own")
        if self.grant_type == names.GRANT_DEFERRED:
            raise Misconfigured("A deferral code is polled with its handle, see resume()")
        if self.on_partial not in ("accept", "reject"):
            raise Misconfigured('on_partial is "accept" or "reject"')

    def render(self, completion_mode: str) -> tuple[tuple[str, str], ...]:
        """The form, without authentication. `completion_mode`: the words of an opt-in."""
        pairs = [(names.GRANT_TYPE, self.grant_type)]
        pairs += [
            (name, value.reveal() if isinstance(value, Secret) else value)
            for name, value in self.parameters.items()
        ]
        if self.access.scope:
            pairs.append((names.SCOPE, " ".join(self.access.scope)))
        pairs += [(names.RESOURCE, resource) for resource in self.access.resources]
        if self.access.authorization_details:
            details = msgspec.json.encode(self.access.authorization_details).decode("utf-8")
            pairs.append((names.AUTHORIZATION_DETAILS, details))
        if self.defer:
            pairs.append((names.COMPLETION_MODE, completion_mode))
        return tuple(pairs)


def ask(link: Link, wish: Wish, *, key: KeyPair | None) -> Flow[Token | Pursuit]:
    """Send the first request, once: repeating it could open a second request.

    But where the server knows it again by a name that we give it (EXT-IDEMP), it is
    sent again if no answer comes, and can be sent again when a token was lost.
    Whether the server knows deferral need not be known before: one that does not
    ignores the opt-in (DTR-OPT-05, -06). Raises `Misconfigured`, `DiscoveryFailed`,
    `Unavailable` and what the server refuses with.
    """
    if wish.defer and key is None:
        check_unbound(link)
    metadata = yield from link.discover()
    asked_at = link.surroundings.tick()
    form, repeatable = _named(link, wish)
    expected = expecting(link, wish)
    if expected is not None:
        form += ((names.CLIENT_NOTIFICATION_TOKEN, expected.reveal()),)
    reply = yield from link.call(metadata.token_endpoint, form, key=key)
    for pause in _PAUSES if repeatable else ():
        if not isinstance(reply, Unanswered):
            break
        log.info("the first request got no answer and is sent again under its name")
        yield Pause(pause)
        reply = yield from link.call(metadata.token_endpoint, form, key=key)
    if isinstance(reply, Unanswered):
        raise Unavailable(reply.why)
    return (
        yield from conclude(
            link,
            wish,
            reply,
            key=key,
            asked_at=asked_at,
            repeat=form if repeatable else None,
            expected=expected,
        )
    )


def conclude(
    link: Link,
    wish: Wish,
    reply: Received,
    *,
    key: KeyPair | None,
    asked_at: float,
    repeat: Form | None = None,
    expected: Secret | None = None,
) -> Flow[Token | Pursuit]:
    """What the answer to a first request comes to; `asked_at` and `repeat` as in `Pursuit.opened`;
    `expected`: the token that was sent for its callback.

    Raises what the server refuses with, `Unavailable`, `MalformedResponse`.
    """
    metadata = yield from link.discover()
    retry_after = answers.retry_after(reply, link.surroundings.now())
    answer = answers.read_answer(reply, polling=False)
    answers.note_status(reply, answer)
    if expected is not None and not isinstance(answer, answers.Deferred | answers.Passing):
        # Nothing waits of which anybody could tell.
        forget(link, expected)
    match answer:
        case answers.Granted(names_a_code=True):
            raise MalformedResponse("The response has both a token and a deferral code")
        case answers.Granted():
            token = yield from receive(
                link,
                answer,
                requested=wish.requested,
                key=key,
                on_partial=wish.on_partial,
                nonce=wish.nonce,
            )
            log.info("token received at once")
            return token
        case answers.Deferred() if not wish.defer:
            raise MalformedResponse("The server deferred a request that did not allow it")
        case answers.Deferred():
            log.info("request deferred")
            return Pursuit.opened(
                link,
                answer,
                token_endpoint=metadata.token_endpoint,
                requested=wish.requested,
                key=key,
                on_partial=wish.on_partial,
                retry_after=retry_after,
                asked_at=asked_at,
                repeat=repeat,
                nonce=wish.nonce,
                notification_token=expected,
            )
        case answers.Pending():
            # A pending state of the grant itself (device, CIBA): nothing of ours to poll with.
            raise ServerRefused(answer.error, answer.description)
        case answers.TooFast():
            raise ServerRefused(names.SLOW_DOWN, answer.description)
        case answers.NonceWanted():
            raise ServerRefused(names.USE_DPOP_NONCE)
        case answers.Refusal():
            raise refusal_error(answer, polling=False, in_doubt=False)
        case answers.Passing():
            raise Unavailable(answer.reason, retry_after=retry_after)
        case answers.Contradiction():
            raise MalformedResponse(answer.reason)
        case _:
            assert_never(answer)


def _named(link: Link, wish: Wish) -> tuple[tuple[tuple[str, str], ...], bool]:
    """The form, and whether the server knows it again if it is sent again (EXT-IDEMP)."""
    form = wish.render(link.completion_mode)
    if not wish.defer or not link.speaks(names.PROFILE_IDEMPOTENT):
        return form, False
    if names.DEFERRAL_REQUEST_ID not in wish.parameters:
        form += ((names.DEFERRAL_REQUEST_ID, link.surroundings.identifier()),)
    return form, True


def expecting(link: Link, wish: Wish) -> Secret | None:
    """A token for the callback, where this program takes any (DTR-INIT-02)."""
    if not wish.defer or link.callbacks is None:
        return None
    if names.CLIENT_NOTIFICATION_TOKEN in wish.parameters:
        return None
    return link.callbacks.expect(link.surroundings.random)


def forget(link: Link, expected: Secret) -> None:
    if link.callbacks is not None:
        link.callbacks.forget(expected)


def check_unbound(link: Link) -> None:
    """DTR-SEC-01, -02."""
    if link.authentication.strength is Strength.NONE:
        raise Misconfigured("A public client needs a DPoP key to accept a deferral")
    if link.authentication.strength is Strength.SECRET and not link.certified:
        log.info("the deferral is not bound to a key; for a client with a secret it should be")
