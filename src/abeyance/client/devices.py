"""A program without a browser: its person types a code elsewhere (RFC 8628; DEV-POLL, DEV-DTR).

`begin_device` asks for the codes, `await_device` polls until the person has answered. Where they
agreed and somebody else must too, what comes is a pending handle, and the device code is
forgotten: `deferral_code` tells that, never the words or times (DEV-DTR-04).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

import msgspec

from abeyance.client import answers
from abeyance.client.access import Access
from abeyance.client.addresses import BadAddress, check_endpoint
from abeyance.client.asking import Wish, check_unbound, conclude, expecting, forget
from abeyance.client.errors import (
    Expired,
    MalformedResponse,
    Misconfigured,
    ServerRefused,
    Unavailable,
)
from abeyance.client.exchange import Flow, Pause, Received, Unanswered
from abeyance.client.link import Link, log
from abeyance.client.pace import DEFAULT_INTERVAL, Pace, next_poll
from abeyance.client.pursuit import Form, Pursuit
from abeyance.client.receiving import refusal_error
from abeyance.client.token import OnPartial, Token
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.secret import Secret

_MAX_CODE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRequest:
    """What to show the person: type `user_code` at `verification_uri`.

    `verification_uri_complete` is for a QR code, byte for byte; show the code and the address
    beside it all the same. What else is in here is for `await_device` and for nobody's eyes.
    """

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_at: datetime
    code: Secret = field(repr=False)
    access: Access = field(repr=False)
    defer: bool = field(repr=False)
    interval: timedelta = field(repr=False)
    expires: float = field(repr=False)  # on the monotonic clock
    key: KeyPair | None = field(repr=False)
    nonce: Secret | None = field(default=None, repr=False)


def begin_device(
    link: Link,
    *,
    access: Access,
    defer: bool,
    parameters: Mapping[str, str],
    key: KeyPair | None,
) -> Flow[DeviceRequest]:
    """Ask for the codes. Raises `Misconfigured` if the server has no such endpoint, `Unavailable`,
    `MalformedResponse`, `DiscoveryFailed` and what the server refuses with.
    """
    if defer and key is None:
        check_unbound(link)
    metadata = yield from link.discover()
    endpoint = metadata.device_authorization_endpoint
    if endpoint is None:
        raise Misconfigured("The server does not offer the device grant")
    asked_at = link.surroundings.tick()
    form = [(names.CLIENT_ID, link.client_id), *parameters.items()]
    if access.scope:
        form.append((names.SCOPE, " ".join(access.scope)))
    form += [(names.RESOURCE, resource) for resource in access.resources]
    if access.authorization_details:
        details = msgspec.json.encode(access.authorization_details).decode("utf-8")
        form.append((names.AUTHORIZATION_DETAILS, details))
    if defer:
        form.append((names.COMPLETION_MODE, link.completion_mode))
    reply = yield from link.call(endpoint, form, key=key)
    if isinstance(reply, Unanswered):
        raise Unavailable(reply.why)
    members = answers.parse_members(reply.body)
    if reply.status != 200 or members is None or names.ERROR in members:
        _refuse(link, reply)
    nonce = parameters.get(names.NONCE)
    try:
        return _read(
            link,
            members,
            access=access,
            defer=defer,
            asked_at=asked_at,
            key=key,
            nonce=None if nonce is None else Secret(nonce),
        )
    except (ValueError, BadAddress):
        raise MalformedResponse("The device response cannot be used") from None


def await_device(
    link: Link, request: DeviceRequest, *, on_partial: OnPartial
) -> Flow[Token | Pursuit]:
    """Poll at the pace that the server allows until the person has answered.

    Raises `AccessDenied`, `Expired`, `InvalidGrant` and as a first request does. What gets no
    usable answer is tried again, ever more slowly, until the code is over.
    """
    wish = Wish(
        grant_type=names.GRANT_DEVICE_CODE,
        access=Access.of(),
        parameters={names.DEVICE_CODE: request.code},
        defer=request.defer,
        on_partial=on_partial,
        before=request.access,
        nonce=request.nonce,
    )
    metadata = yield from link.discover()
    expected = expecting(link, wish)
    form = wish.render(link.completion_mode)
    if expected is not None:
        form += ((names.CLIENT_NOTIFICATION_TOKEN, expected.reveal()),)
    try:
        asked_at, reply = yield from _poll(link, request, metadata.token_endpoint, form)
    except BaseException:
        if expected is not None:
            forget(link, expected)
        raise
    return (
        yield from conclude(
            link, wish, reply, key=request.key, asked_at=asked_at, expected=expected
        )
    )


def _poll(
    link: Link, request: DeviceRequest, endpoint: str, form: Form
) -> Flow[tuple[float, Received]]:
    """The answer that ends the polling with this code, and when it was asked for."""
    pace, first = Pace(request.interval), True
    while True:
        now = link.surroundings.tick()
        due = next_poll(
            pace, now=now, expires=request.expires, first=first, jitter=link.surroundings.jitter()
        )
        if due is None:
            raise Expired
        yield Pause(max(0.0, due - now))
        asked_at, first = link.surroundings.tick(), False
        reply = yield from link.call(endpoint, form, key=request.key)
        if isinstance(reply, Unanswered):
            pace = pace.failed(None)
            continue
        retry_after = answers.retry_after(reply, link.surroundings.now())
        match answers.read_answer(reply, polling=False):
            case answers.Pending():
                pace = pace.answered(retry_after)
            case answers.TooFast():
                pace = pace.slowed(retry_after)
                log.info("server asked to slow down")
            case answers.Passing() | answers.NonceWanted():
                pace = pace.failed(retry_after)
            case answers.Refusal() as refusal:
                raise refusal_error(refusal, polling=True, in_doubt=False)
            case _:
                return asked_at, reply


def _read(
    link: Link,
    members: Mapping[str, Any],
    *,
    access: Access,
    defer: bool,
    asked_at: float,
    key: KeyPair | None,
    nonce: Secret | None,
) -> DeviceRequest:
    code, page = members.get(names.DEVICE_CODE), members.get(names.VERIFICATION_URI)
    typed = answers.legible(members.get(names.USER_CODE))
    life, interval = members.get(names.EXPIRES_IN), members.get(names.INTERVAL)
    if not isinstance(code, str) or not code or not isinstance(page, str) or not typed:
        raise ValueError("a member is missing")
    if type(life) is not int or life <= 0 or len(typed) > _MAX_CODE:
        raise ValueError("a member is bad")
    # It is shown to a person, who goes there: of the server that we speak to, or of nobody.
    check_endpoint(page, issuer=link.issuer)
    complete = members.get(names.VERIFICATION_URI_COMPLETE)
    if isinstance(complete, str):
        check_endpoint(complete, issuer=link.issuer)
    if type(interval) is not int or interval <= 0:
        interval = int(DEFAULT_INTERVAL.total_seconds())
    return DeviceRequest(
        user_code=typed,
        verification_uri=page,
        verification_uri_complete=complete if isinstance(complete, str) else None,
        expires_at=link.surroundings.now() + timedelta(seconds=life),
        code=Secret(code),
        access=access,
        defer=defer,
        interval=timedelta(seconds=interval),
        expires=asked_at + life,
        key=key,
        nonce=nonce,
    )


def _refuse(link: Link, reply: Received) -> NoReturn:
    match answers.read_answer(reply, polling=False):
        case answers.Refusal() as refusal:
            raise refusal_error(refusal, polling=False, in_doubt=False)
        case answers.NonceWanted():
            raise ServerRefused(names.USE_DPOP_NONCE)
        case answers.Passing(reason=reason):
            wait = answers.retry_after(reply, link.surroundings.now())
            raise Unavailable(reason, retry_after=wait)
        case _:
            raise MalformedResponse("A device request was answered with something else")
