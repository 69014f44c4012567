"""Callbacks to clients: "your request has ended, come and ask" (DTR-CB, readings 19 and 22).

What a callback takes, the deferral code and the client's notification token, rests sealed
beside the request until it has been delivered or given up, and goes with it (DTR-CB-08).
"""

from datetime import datetime, timedelta
from typing import Final

import structlog

from abeyance.acts.house import House
from abeyance.acts.sealing import callback_place, open_sealed, seal_now
from abeyance.outbound.caller import Unreachable
from abeyance.outbound.targets import Forbidden
from abeyance.parties.client import Client
from abeyance.pending.change import Change, Reseal
from abeyance.pending.message import Claimed, Done, Message, MessageKind, RetryAt, Settled, retry
from abeyance.pending.opening import Deferred, Opened
from abeyance.pending.request import Held, Key
from abeyance.pending.states import Approved, Cancelled, Denied
from abeyance.store.ports import SecurityEvent
from abeyance.wire import names
from abeyance.wire.reply import render_json
from abeyance.wire.secret import Secret

SEQ: Final = 0
MOST_READ: Final = 4_096  # of an answer, which says nothing to us (SEC-SSRF-62)
_BREATH: Final = timedelta(seconds=1)  # between the deferred response and the callback
_NO_MORE: Final = frozenset({401, 410})

_log = structlog.get_logger("abeyance.callback")


def callback_row(
    house: House, client: Client, opened: Opened, token: Secret | None
) -> tuple[Message, ...]:
    """The message that goes with a new request of a client that wants to be called."""
    if client.notification_endpoint is None:
        return ()
    return (
        Message(
            n=opened.held.key.n,
            seq=SEQ,
            kind=MessageKind.CALLBACK,
            to=client.id,
            sealed=_seal(house, opened.held.key, opened.code, token),
            due_at=None,
            on_end=True,
            until=opened.held.expires_at,
        ),
    )


async def tell_again(
    house: House, client: Client, deferred: Deferred, token: Secret | None
) -> Deferred:
    """A code that is told once more: nobody is called before this answer has left, too, and then
    by the token that was sent last.
    """
    if client.notification_endpoint is None:
        return deferred
    key = deferred.held.key
    house.answering.begin(key, house.clock.now())
    if token is not None:
        row = Reseal(key.n, SEQ, _seal(house, key, deferred.code, token))
        await house.store.apply(Change(key.home, (), (row,)))
    return deferred


async def call_back(house: House, claimed: Claimed) -> Settled | None:
    """Tell a client that its request has ended; what became of it is not told here.

    `None`: it is not ours to send any more.
    """
    loaded = await house.store.find_loaded(claimed.key)
    now = house.clock.now()
    if loaded is None or not _is_news(loaded.held, now):
        return Done()
    held = loaded.held
    if (wait := _too_early(house, held, now)) is not None:
        return RetryAt(wait, counts=False)
    client = await house.store.find_client(held.client)
    if client is None or not client.enabled or client.notification_endpoint is None:
        return Done()
    told = _unseal(house, claimed)
    if told is None:
        await _alarm(house, "callback_unreadable", client)
        return Done()
    code, token = told
    # The last look: since it was claimed, its client may have withdrawn (DTR-CANC-02).
    if not await house.store.is_claimed(claimed):
        return None
    if claimed.attempt == 1:
        # Before it is sent: the client may come at once (EXT-WAIT-06).
        house.clocks.earn(held.handle.digest)
    return await _send(house, claimed, client, client.notification_endpoint, code, token)


async def _send(
    house: House, claimed: Claimed, client: Client, url: str, code: str, token: str
) -> Settled:
    headers = [(b"Content-Type", b"application/json")]
    if token:
        headers.append((b"Authorization", f"Bearer {token}".encode()))
    body = render_json({names.DEFERRAL_CODE: code})
    try:
        answer = await house.outside.post(url, body, headers, at_most=MOST_READ)
    except (Forbidden, Unreachable) as why:
        status, reason = None, str(why)
    else:
        status, reason = answer.status, str(answer.status)
    if status is not None and 200 <= status < 300:
        house.counters.callbacks_delivered.inc()
        return Done(answered=True)
    settled: Settled = Done(answered=True)
    if status not in _NO_MORE:
        settled = retry(claimed, house.clock.now(), house.random(1)[0] / 255)
    if status == 401:
        await _alarm(house, "callback_refused", client)
    if isinstance(settled, RetryAt):
        house.counters.callbacks_retried.inc()
        return settled
    house.counters.callbacks_given_up.inc()
    _log.warning("a callback was given up", client=client.id, reason=reason)
    return settled


def _is_news(held: Held, now: datetime) -> bool:
    """Has it ended, and does its client not know by itself (reading 22)?"""
    return isinstance(held.state_at(now), Approved | Denied | Cancelled)


def _too_early(house: House, held: Held, now: datetime) -> datetime | None:
    """Until when nobody may be called, since the first answer may not have been heard yet."""
    if now < held.opened_at + _BREATH:
        return held.opened_at + _BREATH
    if house.answering.may_be_on_its_way(held.key, held.opened_at, now):
        return now + _BREATH
    return None


def _seal(house: House, key: Key, code: Secret, token: Secret | None) -> bytes:
    told = "" if token is None else token.reveal()
    return seal_now(house, Secret(f"{code.reveal()}\n{told}"), callback_place(key))


def _unseal(house: House, claimed: Claimed) -> tuple[str, str] | None:
    if claimed.sealed is None:
        return None
    told = open_sealed(house, claimed.sealed, callback_place(claimed.key))
    if told is None:
        return None
    code, _, token = told.reveal().partition("\n")
    return code, token


async def _alarm(house: House, event: str, client: Client) -> None:
    """Once a client and a while, as strangers must not be able to fill the log."""
    if house.reported.first((event, client.id)):
        now = house.clock.now()
        await house.store.record(SecurityEvent(now, event, "system", client.id))
