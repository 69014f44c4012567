"""The UserInfo endpoint (OpenID Connect Core §5.3; OAUTH-OIDC-13).

By GET and POST alike; the token is in the `Authorization` field alone (OAUTH-AT-08).
"""

from collections.abc import Iterable
from typing import Final

from abeyance.acts.house import House
from abeyance.acts.openid import NotForUserInfo, tell_who
from abeyance.acts.present import TokenRefused, present
from abeyance.faces import render_error
from abeyance.server.challenges import render_challenges
from abeyance.server.http import (
    CERTIFICATE,
    Disconnected,
    Endpoint,
    Receive,
    Scope,
    Send,
    json_fields,
    log_fault,
    read_body,
    send_reply,
)
from abeyance.store.ports import StoreAway
from abeyance.wire import names
from abeyance.wire.errors import InvalidRequest, OAuthError, ServerError, Unavailable, WrongMethod
from abeyance.wire.reply import Reply, header, render_json

METHODS: Final = ("GET", "POST")
_STATUS: Final = {names.INVALID_REQUEST: 400, names.INSUFFICIENT_SCOPE: 403}


def userinfo_endpoint(house: House) -> Endpoint:
    url = house.endpoints.userinfo
    fixed = json_fields(https=url.startswith("https:"))

    async def answer(scope: Scope, receive: Receive) -> Reply:
        if scope["method"] not in METHODS:
            raise WrongMethod("GET, POST")
        if scope["query_string"]:
            # A token there would end in logs (OAUTH-AT-08).
            raise InvalidRequest("Parameters must not be sent in the query")
        if scope["method"] == "POST":
            await read_body(receive)
        fields: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            fields.setdefault(name, []).append(value)
        bearer = await present(
            house,
            authorization=fields.get(b"authorization", ()),
            dpop=fields.get(b"dpop", ()),
            method=scope["method"],
            url=url,
            audience=url,
            certificate=scope.get(CERTIFICATE),
        )
        return Reply(200, render_json(await tell_who(house, bearer)))

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reply = await answer(scope, receive)
        except (TokenRefused, NotForUserInfo) as refused:
            reply = _refuse(refused.error, house.algorithms)
        except OAuthError as error:
            reply = render_error(error)
        except StoreAway:
            reply = render_error(Unavailable())
        except Disconnected:
            return
        except Exception as fault:
            log_fault(fault)
            reply = render_error(ServerError())
        await send_reply(scope, send, reply, fixed)

    return endpoint


def _refuse(error: str | None, algorithms: Iterable[str]) -> Reply:
    """Nothing is told to somebody who has shown nothing (RFC 6750 §3.1)."""
    scope = names.SCOPE_OPENID if error == names.INSUFFICIENT_SCOPE else None
    body = b"{}" if error is None else render_json({names.ERROR: error})
    told = render_challenges(error, algorithms=algorithms, scope=scope)
    return Reply(_STATUS.get(error or "", 401), body, (header("WWW-Authenticate", told),))
