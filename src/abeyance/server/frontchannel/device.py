"""Where people type what their device shows, and answer it (RFC 8628 §3.3; DEV-VER).

Opening a page decides nothing and uses no code up, also with `verification_uri_complete`.
Once a code is confirmed it is out of the address bar: the next page is named by the home of
the device session, which opens for nobody but the person and session that confirmed it.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from abeyance.acts import answer_device
from abeyance.acts.answer_device import Confirmed, Said
from abeyance.acts.authorize import NotShown, Over
from abeyance.parties.person import PersonId
from abeyance.pending.device import DeviceStage
from abeyance.pending.handles import Home
from abeyance.pending.user_code import normalize_user_code, show_user_code
from abeyance.server.console.disclosed import read_items
from abeyance.server.frontchannel.whose import facts_of_origin
from abeyance.server.pages import guard, refusals
from abeyance.server.pages.desk import Desk
from abeyance.server.pages.destinations import Destination, Kind
from abeyance.server.pages.refusals import Refused
from abeyance.server.pages.sessions import SignedIn
from abeyance.server.recognizing import tells_apart
from abeyance.volatile.customers import find_customer, parse_address
from abeyance.wire import names
from abeyance.wire.errors import TooManyRequests

_ENTER: Final = "device"
_HOME: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MAX_TYPED: Final = 64
_SAID: Final[Mapping[str, Said]] = {
    "agree": Said.YES,
    "decline": Said.NO,
    "foreign": Said.NOT_MINE,
}


async def enter(desk: Desk, request: Request) -> Response:
    """Ask for the code, or whether the device shows the one in the address."""
    code = normalize_user_code(request.query_params.get(names.USER_CODE, "")[:_MAX_TYPED])
    signed_in = await desk.admit(request, Destination(Kind.DEVICE, code or ""))
    return _form(desk, signed_in, code=code)


async def confirm(desk: Desk, request: Request) -> Response:
    """The person says that this is the code: claim it, and go on by its home."""
    fields = await desk.read(request)
    signed_in = await desk.admit(request, Destination(Kind.DEVICE, ""))
    guard.check_token(signed_in.cookie, _ENTER, fields.get("csrf"))
    if not fields.keys() <= {"csrf", names.USER_CODE}:
        raise Refused(refusals.MALFORMED)
    typed = fields.get(names.USER_CODE, "")[:_MAX_TYPED]
    address = "" if request.client is None else request.client.host
    try:
        home = await answer_device.confirm(
            desk.house,
            typed,
            signed_in.person,
            signed_in.session,
            address=(
                find_customer(address) if tells_apart(desk.house, desk.proxies, address) else None
            ),
        )
    except TooManyRequests as many:
        raise Refused(refusals.too_often(many.retry_after)) from None
    if home is None:
        return _form(desk, signed_in, wrong=True, status=400)
    return desk.go(f"/device/{home.hex()}")


async def show(desk: Desk, request: Request) -> Response:
    """Who asks for what; afterwards, what came of the answer."""
    home, signed_in = await _open(desk, request)
    return await _page(desk, signed_in, await _stand(desk, signed_in, home))


async def answer(desk: Desk, request: Request) -> Response:
    """Yes, no, or "that was not me", once."""
    fields = await desk.read(request)
    home, signed_in = await _open(desk, request)
    guard.check_token(signed_in.cookie, _answers(home), fields.get("csrf"))
    said = _SAID.get(fields.get("decision", ""))
    if said is None or not fields.keys() <= {"csrf", "seen", "decision"}:
        raise Refused(refusals.MALFORMED)
    try:
        await answer_device.answer(
            desk.house, home, signed_in.person, signed_in.session, said, fields.get("seen", "")
        )
    except NotShown:
        raise Refused(refusals.NOT_SHOWN_DEVICE) from None
    except Over:
        raise Refused(refusals.OVER_DEVICE) from None
    return desk.go(f"/device/{home.hex()}")


def coarse(address: str) -> str | None:
    """The network of an address or of a smaller network, so that a page does not tell where
    exactly somebody is.
    """
    found = parse_address(address.partition("/")[0])
    if found is None:
        return None
    return str(ipaddress.ip_network((found, 24 if found.version == 4 else 48), strict=False))


async def _open(desk: Desk, request: Request) -> tuple[Home, SignedIn]:
    signed_in = await desk.admit(request, Destination(Kind.DEVICE, ""))
    segment = request.path_params["home"]
    if not _HOME.fullmatch(segment):
        raise Refused(refusals.NOT_FOUND)
    return Home(bytes.fromhex(segment)), signed_in


async def _stand(desk: Desk, signed_in: SignedIn, home: Home) -> Confirmed:
    try:
        return await answer_device.stand(desk.house, home, signed_in.person, signed_in.session)
    except Over:
        raise Refused(refusals.OVER_DEVICE) from None


def _form(
    desk: Desk,
    signed_in: SignedIn,
    *,
    code: str | None = None,
    wrong: bool = False,
    status: int = 200,
) -> Response:
    facts = {
        "code": None if code is None else show_user_code(code),
        "wrong": wrong,
        "token": guard.mint_token(signed_in.cookie, _ENTER),
        "to": Destination(Kind.DEVICE, code or "").render(),
    }
    return desk.page("device.html", facts, signed_in=signed_in, status=status)


async def _page(desk: Desk, signed_in: SignedIn, confirmed: Confirmed) -> Response:
    house, device, client = desk.house, confirmed.device, confirmed.client
    owner = None if client.owner is None else await house.store.find_person(PersonId(client.owner))
    asks = device.stage is DeviceStage.WAITING
    agreed = device.stage in (DeviceStage.AGREED, DeviceStage.SPENT)
    lives = house.terms.lives
    facts: Mapping[str, Any] = {
        "client": client,
        "owner": owner,
        **await facts_of_origin(house, client),
        "items": read_items(confirmed.shown),
        "resources": [(uri, house.resources.get(uri)) for uri in sorted(device.asked.resources)],
        "token_life": lives.access_token,
        "stays": lives.refresh if names.GRANT_REFRESH_TOKEN in client.grant_types else None,
        "opened_at": device.opened_at,
        "origin": coarse(device.address),
        "asks": asks,
        "agreed": agreed,
        "last_word": not agreed
        or await answer_device.is_last_word(house, confirmed, signed_in.person),
        "home": device.home.hex(),
        "seen": confirmed.seen,
        "token": guard.mint_token(signed_in.cookie, _answers(device.home)),
        "to": Destination(Kind.DEVICE, "").render(),
    }
    return desk.page("device-answer.html", facts, signed_in=signed_in)


def _answers(home: Home) -> str:
    return f"device:{home.hex()}"
