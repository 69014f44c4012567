"""Sign in and out (OAUTH-SESS-02, -06, -07; SEC-DOS-16).

One message and one computation for an unknown name, a wrong password and a disabled
person. A failure is counted and logged, never stored: strangers must not fill the disk.
"""

import ipaddress
from collections.abc import Hashable
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from abeyance.parties.person import Person, PersonId
from abeyance.server.console import guard, refusals
from abeyance.server.console.desk import Desk, parse_request_id, render_request_id
from abeyance.server.console.refusals import Refused
from abeyance.server.passwords import Verdict
from abeyance.store.ports import SecurityEvent
from abeyance.wire.secret import Secret

_FORM: Final = "sign-in"
_MAX_NAME: Final = 200
_MISMATCH: Final = "The name and the password do not belong together."
# What the page says when another page led here; nothing else can be made to stand there.
_SAYINGS: Final = {
    "signed-out": "You are signed out.",
    "password-set": "Your password is set. Sign in with it.",
}

_log = structlog.get_logger("abeyance.console")


async def show(desk: Desk, request: Request) -> Response:
    """The form. `request` names where to go on, by identifier: no URL is ever taken."""
    visitor = desk.sessions.meet(request)
    target = _target(request.query_params.get("request"))
    if await desk.sessions.find(visitor) is not None:
        return desk.go(f"/requests/{target}" if target else "/")
    facts = {
        "token": guard.mint_token(visitor.cookie, _FORM),
        "target": target,
        "said": _SAYINGS.get(request.query_params.get("said", "")),
        "error": None,
        "name": "",
    }
    return desk.meet_with(desk.page("sign-in.html", facts), visitor)


async def sign_in(desk: Desk, request: Request) -> Response:
    fields = await desk.read(request)
    visitor = desk.sessions.meet(request)
    guard.check_token(visitor.cookie, _FORM, fields.get("csrf"))
    target = _target(fields.get("request"))
    name = fields.get("name", "").strip()[:_MAX_NAME]
    person = await _verify(desk, name, Secret(fields.get("password", "")), _address(request))
    if person is None:
        facts = {
            "token": guard.mint_token(visitor.cookie, _FORM),
            "target": target,
            "said": None,
            "error": _MISMATCH,
            "name": name,
        }
        return desk.meet_with(desk.page("sign-in.html", facts, status=401), visitor)
    cookie = await desk.sessions.begin(visitor, person)
    await _note(desk, "signed_in", person)
    response = desk.go(f"/requests/{target}" if target else "/")
    desk.sessions.give(response, cookie)
    return response


async def sign_out(desk: Desk, request: Request) -> Response:
    fields = await desk.read(request)
    signed_in = await desk.admit(request)
    guard.check_token(signed_in.cookie, "sign-out", fields.get("csrf"))
    await desk.sessions.end(signed_in)
    await _note(desk, "signed_out", signed_in.person)
    response = desk.go("/sign-in", said="signed-out")
    desk.sessions.take_back(response)
    return response


async def _verify(desk: Desk, name: str, password: Secret, address: str) -> Person | None:
    """Return the person whose password this is. Raises `Refused` for too many attempts."""
    house = desk.house
    keys: tuple[Hashable, ...] = (("account", name),)
    if not house.endpoints.issuer.startswith("https:"):
        # Behind the proxy that ends TLS everybody has one address: counting it would let
        # a stranger's wrong guesses keep all reviewers out. The proxy counts there.
        keys += (("address", address),)
    tick = house.clock.tick()
    waits = [wait for key in keys if (wait := house.limits.sign_ins.wait(key, tick)) is not None]
    if waits:
        house.counters.sign_in_failures.inc()
        raise Refused(refusals.too_often(max(waits)))
    # Counted before it is known: guesses that come all at once must not all find the door open.
    for key in keys:
        house.limits.sign_ins.fail(key, tick)
    person = await house.store.find_person(PersonId(name)) if name else None
    verdict = await desk.passwords.verify(password, person.password_hash if person else None)
    if person is None or not person.enabled or verdict is Verdict.WRONG:
        house.counters.sign_in_failures.inc()
        _log.warning("sign-in failed", account=house.keys.pseudonym(name), address=address)
        return None
    for key in keys:
        house.limits.sign_ins.succeed(key)
    return person


async def _note(desk: Desk, event: str, person: Person) -> None:
    await desk.house.store.record(
        SecurityEvent(desk.house.clock.now(), event, f"person:{person.id}", "console, password")
    )


def _target(text: str | None) -> str | None:
    """The request to go on to, in our own spelling."""
    key = parse_request_id(text) if text else None
    return render_request_id(key) if key else None


def _address(request: Request) -> str:
    """Whose failures are counted together: an address, of IPv6 the network of one customer."""
    if request.client is None:
        return ""
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return request.client.host
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
