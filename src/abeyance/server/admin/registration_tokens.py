"""Initial access tokens: whoever has one may register clients by themselves (RFC 7591 §3)."""

from datetime import timedelta
from typing import Final

from abeyance.parties.registration import InitialToken
from abeyance.server.admin import scopes
from abeyance.server.admin.paging import page
from abeyance.server.admin.problems import not_found, unfit
from abeyance.server.admin.prose import read_prose
from abeyance.server.admin.route import (
    CURSOR,
    LIMIT,
    AdminRequest,
    AdminRoute,
    Answer,
    Body,
    Office,
    Told,
    read_body,
)
from abeyance.store.ports import SecurityEvent
from abeyance.wire.base64url import render_base64url
from abeyance.wire.secret import Secret

MOST_USES: Final = 1000
LONGEST: Final = 90 * 24 * 3600  # seconds
_BYTES: Final = 32
_MAX_NOTE: Final = 200


class NewToken(Body, kw_only=True):
    """`uses`: how many clients it lets register. `expires_in`: seconds."""

    note: str | None = None
    uses: int
    expires_in: int = 24 * 3600


class TokenTold(Told, kw_only=True):
    """`token`: told once, when it is made. `left`: how many clients may still register."""

    id: str
    note: str
    left: int
    expires_at: str
    token: str | None = None


class TokenPage(Told, kw_only=True):
    items: list[TokenTold]
    next: str | None


async def make(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    body: NewToken = read_body(request, NewToken)
    if not 1 <= body.uses <= MOST_USES:
        raise unfit(f"uses is a number from 1 to {MOST_USES}", "uses")
    if not 60 <= body.expires_in <= LONGEST:
        raise unfit(f"expires_in is a number of seconds from 60 to {LONGEST}", "expires_in")
    house = office.house
    secret = Secret(render_base64url(house.random(_BYTES)))
    token = InitialToken(
        digest=secret.digest(),
        note=read_prose(body.note, "note", at_most=_MAX_NOTE) or "",
        left=body.uses,
        expires_at=house.clock.now() + timedelta(seconds=body.expires_in),
    )
    await house.store.put_initial_token(token)
    await _note(office, request, "registration_token_made", token)
    told = _tell(token)
    told.token = secret.reveal()
    return Answer(told, 201)


async def list_tokens(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    tokens = await office.house.store.list_initial_tokens(now=office.house.clock.now())
    told, following = page(tokens, lambda token: token.id, request)
    return Answer(TokenPage(items=[_tell(token) for token in told], next=following))


async def withdraw(office: Office, request: AdminRequest) -> Answer:
    """Clients that registered with it stay."""
    request.caller.check_administers()
    store = office.house.store
    for token in await store.list_initial_tokens(now=office.house.clock.now()):
        if token.id == request.parts["token_id"] and await store.drop_initial_token(token.digest):
            await _note(office, request, "registration_token_withdrawn", token)
            return Answer(None, 204)
    raise not_found()


def _tell(token: InitialToken) -> TokenTold:
    return TokenTold(
        id=token.id,
        note=token.note,
        left=token.left,
        expires_at=token.expires_at.isoformat().replace("+00:00", "Z"),
    )


async def _note(office: Office, request: AdminRequest, event: str, token: InitialToken) -> None:
    house = office.house
    await house.store.record(
        SecurityEvent(house.clock.now(), event, request.caller.actor, token.id)
    )


ROUTES: Final = (
    AdminRoute(
        method="GET", path="/registration-tokens", scope=scopes.READ, handle=list_tokens,
        summary="List initial access tokens", told=TokenPage, query=(LIMIT, CURSOR),
    ),
    AdminRoute(
        method="POST", path="/registration-tokens", scope=scopes.CLIENTS, handle=make,
        summary="Make an initial access token, told here and never again",
        body=NewToken, told=TokenTold, status=201,
    ),
    AdminRoute(
        method="DELETE", path="/registration-tokens/{token_id}", scope=scopes.CLIENTS,
        handle=withdraw, summary="Withdraw an initial access token", status=204,
    ),
)  # fmt: skip
