"""Telling people: reviewers that something waits, whoever asked that it has ended.

A notice carries a link and no right: whoever opens it signs in, and opening decides nothing.
It says nothing of the request itself, unless the operator wants that. Whoever was told that
something waits is told when it waits no more, however that came about.

Each notice is a message of the outbox, written when the request opens; what there is to say is
read when it is sent. So a notice is never stale, and none is lost.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

import structlog
from standardwebhooks import Webhook as Signer

from abeyance.acts.house import House
from abeyance.outbound.caller import Unreachable
from abeyance.outbound.mail import Mail, MailRefused
from abeyance.outbound.targets import Forbidden
from abeyance.parties.person import Person, PersonId, Role
from abeyance.pending.disclosure import disclose_access, request_name
from abeyance.pending.message import Claimed, Done, Message, MessageKind, RetryAt, Settled, retry
from abeyance.pending.opening import Opened
from abeyance.pending.request import Loaded, Snapshot
from abeyance.pending.states import OPEN, Approved, Cancelled, Denied, Expired, Redeemed, stage_of
from abeyance.wire.reply import render_json
from abeyance.wire.strict_json import Json

MOST_READ: Final = 4_096
AFTERWARDS: Final = timedelta(days=1)  # for how long it is worth telling that something ended
_FIRST_SEQ: Final = 1  # 0 is the callback
_MOST_REVIEWERS: Final = 20

_log = structlog.get_logger("abeyance.notice")


class Part(StrEnum):
    """What a notice is: the first word of whom it is to."""

    REVIEWER_WAITS = "waits"
    REVIEWER_ENDED = "decided"
    ASKER_ENDED = "ended"
    HOOK_WAITS = "hook-waits"
    HOOK_ENDED = "hook-ended"


@dataclass(frozen=True, slots=True)
class _Ending:
    word: str
    sentence: str


def notice_rows(house: House, opened: Opened, snapshot: Snapshot) -> tuple[Message, ...]:
    """The notices that go with a new request."""
    held = opened.held
    told: list[tuple[MessageKind, Part, str]] = []
    if house.mailer is not None:
        for reviewer in sorted(snapshot.plan.reviewers)[:_MOST_REVIEWERS]:
            told.append((MessageKind.MAIL, Part.REVIEWER_WAITS, reviewer))
            told.append((MessageKind.MAIL, Part.REVIEWER_ENDED, reviewer))
        asker = snapshot.person or snapshot.client_owner
        if asker is not None:
            told.append((MessageKind.MAIL, Part.ASKER_ENDED, asker))
    if house.hook is not None:
        told.append((MessageKind.WEBHOOK, Part.HOOK_WAITS, ""))
        told.append((MessageKind.WEBHOOK, Part.HOOK_ENDED, ""))
    rows = []
    for seq, (kind, part, whom) in enumerate(told, _FIRST_SEQ):
        waits = part in (Part.REVIEWER_WAITS, Part.HOOK_WAITS)
        rows.append(
            Message(
                n=held.key.n,
                seq=seq,
                kind=kind,
                to=f"{part} {whom}",
                sealed=None,
                # An end by the clock is written by nobody.
                due_at=held.opened_at if waits else held.expires_at,
                on_end=not waits,
                until=held.decide_by if waits else held.expires_at + AFTERWARDS,
            )
        )
    return tuple(rows)


async def send_mail(house: House, claimed: Claimed) -> Settled:
    """Send one notice by mail, if there is still something to say."""
    part, _, whom = claimed.to.partition(" ")
    loaded = await house.store.find_loaded(claimed.key)
    person = await house.store.find_person(PersonId(whom))
    if (
        loaded is None
        or house.mailer is None
        or person is None
        or not person.enabled
        or person.email is None
    ):
        return Done()
    now = house.clock.now()
    match Part(part):
        case Part.REVIEWER_WAITS:
            return await _tell_reviewer(house, claimed, loaded, person, person.email)
        case Part.REVIEWER_ENDED if _ending(loaded, house) is not None:
            if not _is_theirs(loaded, person) or _decided(loaded, person):
                return Done()
            mail = _mail(
                house,
                loaded,
                person.email,
                part,
                "Nothing to decide any more",
                f"{_word(loaded, house)} You need do nothing.",
                f"/console/requests/{_place(loaded)}",
            )
        case Part.ASKER_ENDED if (ending := _ending(loaded, house)) is not None:
            said = ending.sentence if house.terms.notice_details else "It has been answered."
            mail = _mail(
                house,
                loaded,
                person.email,
                part,
                "What was asked for you has ended",
                said,
                "/account/",
            )
        case _:
            return RetryAt(min(now + AFTERWARDS, claimed.until), counts=False)
    return await _post_mail(house, claimed, mail)


async def _tell_reviewer(
    house: House, claimed: Claimed, loaded: Loaded, person: Person, email: str
) -> Settled:
    """So many a minute, then one for all of them (SEC-DOS-10)."""
    now, held = house.clock.now(), loaded.held
    if (
        not _is_theirs(loaded, person)
        or stage_of(held.state) not in OPEN
        or now >= held.decide_by
        or _decided(loaded, person)
        or house.digests.covers(person.id, held.opened_at)
    ):
        return Done()
    wait = house.limits.notices.take(person.id, house.clock.tick())
    if wait is not None:
        house.digests.owe(person.id)
        return RetryAt(now + timedelta(seconds=wait), counts=False)
    subject = "Something waits for your decision"
    text = f"A client waits for your yes or no until {held.decide_by:%Y-%m-%d %H:%M} UTC."
    path = f"/console/requests/{_place(loaded)}"
    if house.digests.owes(person.id):
        count = await house.store.count_waiting(person.id, now=now, at_most=100)
        many = "100 or more" if count >= 100 else str(count)
        subject, text = f"{many} requests wait for your decision", "They came all at once."
        path = "/console/"
    settled = await _post_mail(
        house,
        claimed,
        _mail(house, loaded, email, claimed.to.partition(" ")[0], subject, text, path),
    )
    if isinstance(settled, Done):
        house.digests.told(person.id, now)
    return settled


def _mail(
    house: House, loaded: Loaded, email: str, part: str, subject: str, text: str, path: str
) -> Mail:
    details = ""
    if house.terms.notice_details:
        shown = disclose_access(loaded.snapshot.asked, house.types, scopes=house.scopes)
        details = f"{loaded.snapshot.client_name}: {_titles(shown['items'])}\n\n"
    return Mail(
        to=email,
        subject=subject,
        text=(
            f"{text}\n\n{details}{house.endpoints.issuer}{path}\n\n"
            "The link is good for you alone, after you have signed in, and to open it decides "
            "nothing.\n"
        ),
        id=_message_id(loaded, email, part),
        about=_message_id(loaded, email, Part.REVIEWER_WAITS)
        if part == Part.REVIEWER_ENDED
        else None,
        at=house.clock.now(),
    )


def _message_id(loaded: Loaded, email: str, part: str) -> str:
    """The same for each attempt, so that a mailbox shows it once."""
    told = f"{request_name(loaded.held.key)} {email} {part}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _titles(items: Json) -> str:
    if not isinstance(items, list):
        return ""
    titles = [
        each["title"] for each in items if isinstance(each, dict) and each["kind"] != "resource"
    ]
    return "; ".join(" ".join(str(title).split())[:200] for title in titles[:10])


async def _post_mail(house: House, claimed: Claimed, mail: Mail) -> Settled:
    if house.mailer is None:
        return Done()
    try:
        await house.mailer.send(mail)
    except MailRefused as refused:
        settled: Settled = Done(answered=True)
        if not refused.final:
            settled = retry(claimed, house.clock.now(), house.random(1)[0] / 255)
        return _count(house, settled, str(refused))
    house.counters.notices_delivered.inc()
    return Done(answered=True)


async def send_hook(house: House, claimed: Claimed) -> Settled:
    """Tell the operator's own system, signed as Standard Webhooks says."""
    loaded, hook = await house.store.find_loaded(claimed.key), house.hook
    if loaded is None or hook is None:
        return Done()
    now, part = house.clock.now(), Part(claimed.to.strip())
    ending = _ending(loaded, house)
    if part is Part.HOOK_WAITS and ending is not None:
        return Done()
    if part is Part.HOOK_ENDED and ending is None:
        return RetryAt(min(now + AFTERWARDS, claimed.until), counts=False)
    name = request_name(loaded.held.key)
    data: dict[str, Json] = {
        "request": name,
        "url": f"{house.endpoints.issuer}/console/requests/{_place(loaded)}",
    }
    if ending is not None:
        data["outcome"] = ending.word
    else:
        data["decide_by"] = f"{loaded.held.decide_by:%Y-%m-%dT%H:%M:%SZ}"
    if house.terms.notice_details:
        shown = disclose_access(loaded.snapshot.asked, house.types, scopes=house.scopes)
        data |= {"client": loaded.snapshot.client, "items": _titles(shown["items"])}
    kind = "request.waiting" if part is Part.HOOK_WAITS else "request.ended"
    body = render_json({"type": kind, "timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}", "data": data})
    identifier = f"{name}.{claimed.seq}"
    signature = Signer(hook.secret.reveal()).sign(identifier, now, body.decode())
    headers = [
        (b"Content-Type", b"application/json"),
        (b"webhook-id", identifier.encode()),
        (b"webhook-timestamp", str(int(now.timestamp())).encode()),
        (b"webhook-signature", signature.encode()),
    ]
    try:
        answer = await hook.outside.post(hook.url, body, headers, at_most=MOST_READ)
    except (Forbidden, Unreachable) as why:
        return _count(house, retry(claimed, now, house.random(1)[0] / 255), str(why))
    if 200 <= answer.status < 300:
        house.counters.notices_delivered.inc()
        return Done(answered=True)
    if answer.status == 410:
        return _count(house, Done(answered=True), "410")
    return _count(house, retry(claimed, now, house.random(1)[0] / 255), str(answer.status))


def _count(house: House, settled: Settled, reason: str) -> Settled:
    if isinstance(settled, Done):
        house.counters.notices_given_up.inc()
        _log.warning("a notice was given up", reason=reason)
    return settled


def _place(loaded: Loaded) -> str:
    """How the console names a request."""
    return f"{loaded.held.key.home.hex()}.{loaded.held.key.n}"


def _is_theirs(loaded: Loaded, person: Person) -> bool:
    """May they decide it? Nobody decides their own (EXT-DECIDE-03)."""
    snapshot = loaded.snapshot
    return (
        Role.REVIEWER in person.roles
        and person.id in snapshot.plan.reviewers
        and person.id not in (snapshot.person, snapshot.client_owner)
    )


def _decided(loaded: Loaded, person: Person) -> bool:
    return any(ballot.voter == person.id for ballot in loaded.ballots)


def _ending(loaded: Loaded, house: House) -> _Ending | None:
    """How it ended, for people; `None`: it waits."""
    match loaded.held.state_at(house.clock.now()):
        case Approved() | Redeemed():
            return _Ending("approved", "It was approved.")
        case Denied():
            return _Ending("denied", "It was not granted.")
        case Cancelled():
            return _Ending("cancelled", "It was withdrawn.")
        case Expired():
            return _Ending("expired", "Nobody decided in time, so the answer was no.")
        case _:
            return None


def _word(loaded: Loaded, house: House) -> str:
    ending = _ending(loaded, house)
    match None if ending is None else ending.word:
        case "cancelled":
            return "A request that waited for you was withdrawn."
        case "expired":
            return "A request that waited for you has run out: the answer was no."
        case _:
            return "A request that waited for you was decided by somebody else."
