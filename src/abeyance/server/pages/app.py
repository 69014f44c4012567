"""Routes, and an answer whatever happens in between (OAUTH-SESS-04, OAUTH-HTTP-07 to -10)."""

from collections.abc import MutableMapping, Sequence
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router

from abeyance.acts.house import House
from abeyance.server import http
from abeyance.server.account.routes import ROUTES as ACCOUNT
from abeyance.server.console.routes import ROUTES as CONSOLE
from abeyance.server.frontchannel.routes import DEVICES
from abeyance.server.frontchannel.routes import ROUTES as FRONT_CHANNEL
from abeyance.server.pages import guard, refusals, sign_in, welcome
from abeyance.server.pages.desk import Desk
from abeyance.server.pages.drawing import Pages
from abeyance.server.pages.host import HostPeople
from abeyance.server.pages.refusals import ErrorPage, Refused, SignInFirst
from abeyance.server.pages.route import Answer, Area, PageRoute
from abeyance.server.pages.sessions import Sessions
from abeyance.server.passwords import Overloaded, Passwords
from abeyance.server.proxies import Network
from abeyance.store.ports import StoreAway

_FOR_EVER = "public, max-age=31536000, immutable"

# The first segments of all pages, by which the outermost dispatcher knows them.
SEGMENTS: Final = frozenset(
    {
        "account",
        "authorize",
        "console",
        "device",
        "interact",
        "sign-in",
        "sign-out",
        "static",
        "welcome",
    }
)


def pages_app(
    house: House,
    passwords: Passwords,
    *,
    secure: bool,
    people: HostPeople | None = None,
    proxies: Sequence[Network] = (),
) -> http.Endpoint:
    """Build all pages, to be mounted at the issuer's path.

    `secure`: the issuer is https; then the cookie is `__Host-` and HSTS is sent.
    `proxies`: those that are trusted to say who calls.
    """
    base = house.endpoints.path
    return PagesApp(
        Desk(
            house=house,
            passwords=passwords,
            pages=Pages(base),
            sessions=Sessions(house, secure=secure, people=people),
            base=base,
            proxies=proxies,
        ),
        secure=secure,
    )


async def _static(desk: Desk, request: Request) -> Response:
    file = desk.pages.files.get(request.path_params["name"])
    if file is None:
        raise Refused(refusals.NOT_FOUND)
    return Response(
        file.content, headers={"Content-Type": file.content_type, "Cache-Control": _FOR_EVER}
    )


_SHARED: Final = (PageRoute(path="/static/{name}", get=_static),)
# Not there where a host application signs people in.
_OWN_PEOPLE: Final = (
    PageRoute(path="/sign-in", get=sign_in.show, post=sign_in.sign_in, area=Area.FRONT),
    PageRoute(path="/sign-out", post=sign_in.sign_out),
    PageRoute(path="/welcome/{token}", get=welcome.show, post=welcome.accept),
)


class PagesApp:
    """All pages as one ASGI callable."""

    def __init__(self, desk: Desk, *, secure: bool) -> None:
        self._desk = desk
        self._secure = secure
        people = () if desk.sessions.hosted else _OWN_PEOPLE
        devices = DEVICES if self._desk.house.terms.device else ()
        routes = (*_SHARED, *people, *FRONT_CHANNEL, *devices, *CONSOLE, *ACCOUNT)
        self._router = Router(list(map(self._route, routes)), redirect_slashes=False)

    async def __call__(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        started = False

        state = {"area": Area.INNER}

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._guard(scope, message, state)
            await send(message)

        try:
            # With an `app` in its scope the router raises instead of answering by itself.
            await self._router({**scope, "app": self, "state": state}, receive, send_guarded)
            return
        except SignInFirst as nobody:
            response = self._sign_in_first(nobody)
        except Exception as reason:
            if started:
                raise
            response = self._answer(scope, reason)
        await response(scope, receive, send_guarded)

    def _route(self, route: PageRoute) -> Route:
        answers: dict[str, Answer] = {}
        if route.get is not None:
            answers["GET"] = route.get
        if route.post is not None:
            answers["POST"] = route.post

        async def endpoint(request: Request) -> Response:
            request.state.area = route.area
            method = "GET" if request.method == "HEAD" else request.method
            response = await answers[method](self._desk, request)
            cookie = getattr(request.state, "cookie", None)
            if cookie is not None:
                self._desk.sessions.give(response, cookie)
            return response

        return Route(route.path, endpoint, methods=list(answers))

    def _sign_in_first(self, nobody: SignInFirst) -> Response:
        if nobody.instead is not None:
            return self._error(nobody.instead)
        elsewhere = self._desk.sign_in_url(nobody.to)
        if elsewhere is not None:
            return RedirectResponse(elsewhere, 303)
        to = {} if nobody.to is None else {"to": nobody.to.render()}
        return self._desk.go("/sign-in", **to)

    def _answer(self, scope: http.Scope, reason: Exception) -> Response:
        """Word what ended a request; whatever is not expected is a bug of ours, and silent."""
        match reason:
            case Refused(page=page):
                return self._error(page)
            case HTTPException(status_code=405):
                allow = (reason.headers or {}).get("Allow", "GET")
                return self._error(refusals.wrong_method(", ".join(sorted(allow.split(", ")))))
            case HTTPException():
                return self._error(refusals.NOT_FOUND)
            case StoreAway() | Overloaded():
                return self._error(refusals.AWAY)
            case _:
                http.log_fault(reason)
                return self._error(refusals.FAULT)

    def _error(self, page: ErrorPage) -> Response:
        response = self._desk.page("error.html", {"error": page}, status=page.status)
        response.headers.update(dict(page.headers))
        if page.forget_cookie:
            self._desk.sessions.take_back(response)
        return response

    def _guard(
        self, scope: http.Scope, message: MutableMapping[str, Any], state: dict[str, Any]
    ) -> None:
        """Add the fields of every page, without overruling what a page says itself."""
        http.note_status(scope, message["status"])
        headers = list(message["headers"])
        said = {name for name, _ in headers}
        for name, value in guard.HEADERS.items():
            if name.lower().encode() not in said:
                headers.append((name.lower().encode(), value.encode()))
        if state["area"] is Area.INNER:
            name, value = guard.OPENER
            headers.append((name.lower().encode(), value.encode()))
        if self._secure:
            headers.append(http.HSTS)
        headers.append((b"x-request-id", http.request_id(scope)))
        if message["status"] == 413:
            headers.append((b"connection", b"close"))  # the rest of the body is not read
        message["headers"] = headers
