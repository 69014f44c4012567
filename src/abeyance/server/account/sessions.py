"""Where I am signed in, ending that, and my password (OAUTH-SESS-10, -11, -13)."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from abeyance.acts import dispose
from abeyance.server.pages import guard, refusals
from abeyance.server.pages.desk import Desk
from abeyance.server.pages.destinations import Destination, Kind
from abeyance.server.pages.refusals import Refused
from abeyance.server.pages.sessions import SignedIn
from abeyance.server.passwords import MIN_LENGTH, UnfitPassword, Verdict
from abeyance.store.ports import SecurityEvent
from abeyance.wire.secret import Secret

_OTHERS: Final = "others"
_SESSIONS: Final = "sessions"
_PASSWORD: Final = "password"


async def show(desk: Desk, request: Request) -> Response:
    said = request.query_params.get("said") == _PASSWORD
    return await _page(desk, await _admit(desk, request), said=said)


async def end(desk: Desk, request: Request) -> Response:
    """End one session or all others, by force: what was granted in them ends with them."""
    fields = await desk.read(request)
    signed_in = await _admit(desk, request)
    guard.check_token(signed_in.cookie, _SESSIONS, fields.get("csrf"))
    me, which = signed_in.person.id, fields.get("which", "")
    by = f"person:{me}"
    if which == _OTHERS:
        await dispose.end_sessions(desk.house, me, by=by, but=signed_in.session.digest)
        return desk.go("/account/sessions")
    for session in await desk.house.store.list_sessions(me):
        if _name(session.digest) == which:
            await dispose.end_session(desk.house, me, session.digest, by=by)
    return desk.go("/account/sessions")


async def change_password(desk: Desk, request: Request) -> Response:
    """A new password, for whoever knows the old one; the person's other sessions end."""
    fields = await desk.read(request)
    signed_in = await _admit(desk, request)
    guard.check_token(signed_in.cookie, _PASSWORD, fields.get("csrf"))
    person = signed_in.person
    if not _may_choose(desk, signed_in):
        raise Refused(refusals.NOT_FOUND)
    if not await _knows(desk, signed_in, Secret(fields.get("current", ""))):
        return await _page(desk, signed_in, {"current": "This is not your password."})
    if fields.get("password") != fields.get("again"):
        return await _page(desk, signed_in, {"again": "The two passwords are not the same."})
    try:
        encoded = await desk.passwords.hash(Secret(fields.get("password", "")))
    except UnfitPassword as unfit:
        return await _page(desk, signed_in, {"password": f"{unfit}."})
    if not await desk.house.store.replace_person(person, replace(person, password_hash=encoded)):
        raise Refused(refusals.CHANGED)
    by = f"person:{person.id}"
    await dispose.end_sessions(desk.house, person.id, by=by, but=signed_in.session.digest)
    await desk.house.store.record(
        SecurityEvent(desk.house.clock.now(), "password_set", by, "own page")
    )
    return desk.go("/account/sessions", said=_PASSWORD)


async def _knows(desk: Desk, signed_in: SignedIn, password: Secret) -> bool:
    """Is it their password? Counted like a sign-in: a stolen session must not guess here."""
    failures, tick = desk.house.limits.sign_ins, desk.house.clock.tick()
    key = ("account", signed_in.person.id)
    if (wait := failures.wait(key, tick)) is not None:
        raise Refused(refusals.too_often(wait))
    failures.fail(key, tick)
    verdict = await desk.passwords.verify(password, signed_in.person.password_hash)
    if verdict is Verdict.WRONG:
        return False
    failures.succeed(key)
    return True


async def _admit(desk: Desk, request: Request) -> SignedIn:
    return await desk.admit(request, Destination(Kind.ACCOUNT, "sessions"))


def _may_choose(desk: Desk, signed_in: SignedIn) -> bool:
    return not desk.sessions.hosted and not signed_in.person.declared


async def _page(
    desk: Desk,
    signed_in: SignedIn,
    mistakes: Mapping[str, str] | None = None,
    *,
    said: bool = False,
) -> Response:
    now = desk.house.clock.now()
    sessions = [
        (session, _name(session.digest), session.digest == signed_in.session.digest)
        for session in await desk.house.store.list_sessions(signed_in.person.id)
        if desk.sessions.hosted or not session.is_over(now)
    ]
    facts = {
        "area": "account",
        "part": "sessions",
        "waiting_count": await desk.badge(signed_in),
        "sessions": sessions,
        "token": guard.mint_token(signed_in.cookie, _SESSIONS),
        "password_token": guard.mint_token(signed_in.cookie, _PASSWORD),
        "may_choose": _may_choose(desk, signed_in),
        "hosted": desk.sessions.hosted,
        "min_length": MIN_LENGTH,
        "mistakes": mistakes or {},
        "said": said,
    }
    status = 400 if mistakes else 200
    return desk.page("account-sessions.html", facts, signed_in=signed_in, status=status)


def _name(digest: bytes) -> str:
    """How a form names a session: not by what finds it in the store."""
    return hashlib.sha256(b"session\0" + digest).hexdigest()[:32]
