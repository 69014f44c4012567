"""Routes, and an answer whatever happens in between (OAUTH-SESS-04, OAUTH-HTTP-07 to -10)."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from abeyance.acts.house import House
from abeyance.server import http
from abeyance.server.console import guard, inbox, refusals, requests, sign_in, welcome
from abeyance.server.console.desk import Desk
from abeyance.server.console.pages import Pages
from abeyance.server.console.refusals import ErrorPage, Refused, SignInFirst
from abeyance.server.console.sessions import Sessions
from abeyance.server.passwords import Overloaded, Passwords
from abeyance.store.ports import StoreAway

_FOR_EVER = "public, max-age=31536000, immutable"

_Answer = Callable[[Desk, Request], Awaitable[Response]]


def console_app(house: House, passwords: Passwords, *, secure: bool) -> http.Endpoint:
    """Build the console, to be mounted at the path of `house.endpoints.console`.

    `secure`: the issuer is https; then the cookie is `__Host-` and HSTS is sent.
    """
    base = urlsplit(house.endpoints.console).path
    return Console(
        Desk(
            house=house,
            passwords=passwords,
            pages=Pages(base),
            sessions=Sessions(house, secure=secure),
            base=base,
        ),
        secure=secure,
    )


class Console:
    """The console as one ASGI callable."""

    def __init__(self, desk: Desk, *, secure: bool) -> None:
        self._desk = desk
        self._secure = secure
        self._router = Router(
            [
                self._route("/", GET=inbox.show),
                self._route("/live", GET=inbox.wait),
                self._route("/sign-in", GET=sign_in.show, POST=sign_in.sign_in),
                self._route("/sign-out", POST=sign_in.sign_out),
                self._route("/welcome/{token}", GET=welcome.show, POST=welcome.accept),
                self._route("/requests/{id}", GET=requests.show),
                self._route("/requests/{id}/live", GET=requests.wait),
                self._route("/requests/{id}/less", POST=requests.preview),
                self._route("/requests/{id}/vote", POST=requests.vote),
                self._route("/static/{name}", GET=_static),
            ],
            redirect_slashes=False,
        )

    async def __call__(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        started = False

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._guard(scope, message)
            await send(message)

        try:
            # With an `app` in its scope the router raises instead of answering by itself.
            await self._router({**scope, "app": self}, receive, send_guarded)
            return
        except SignInFirst as nobody:
            to = {} if nobody.request is None else {"request": nobody.request}
            response = self._desk.go("/sign-in", **to)
        except Exception as reason:
            if started:
                raise
            response = self._answer(scope, reason)
        await response(scope, receive, send_guarded)

    def _route(self, path: str, **answers: _Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            return await answers[method](self._desk, request)

        return Route(path, endpoint, methods=list(answers))

    def _answer(self, scope: http.Scope, reason: Exception) -> Response:
        """Word what ended a request; whatever is not expected is a bug of ours, and silent."""
        match reason:
            case Refused(page=page):
                return self._error(page)
            case HTTPException(status_code=405):
                allow = (reason.headers or {}).get("Allow", "GET")
                return self._error(refusals.wrong_method(", ".join(sorted(allow.split(", ")))))
            case HTTPException(status_code=404) if scope["path"] == scope.get("root_path", ""):
                return self._desk.go("/")
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

    def _guard(self, scope: http.Scope, message: MutableMapping[str, Any]) -> None:
        """Add the fields of every page, without overruling what a page says itself."""
        headers = list(message["headers"])
        said = {name for name, _ in headers}
        for name, value in guard.HEADERS.items():
            if name.lower().encode() not in said:
                headers.append((name.lower().encode(), value.encode()))
        if self._secure:
            headers.append(http.HSTS)
        headers.append((b"x-request-id", http.request_id(scope)))
        if message["status"] == 413:
            headers.append((b"connection", b"close"))  # the rest of the body is not read
        message["headers"] = headers


async def _static(desk: Desk, request: Request) -> Response:
    file = desk.pages.files.get(request.path_params["name"])
    if file is None:
        raise Refused(refusals.NOT_FOUND)
    return Response(
        file.content, headers={"Content-Type": file.content_type, "Cache-Control": _FOR_EVER}
    )
