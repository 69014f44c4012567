"""The API over HTTP: who calls, which route, once or again, and an answer whatever happens.

`AdminApi.answer` is the API without HTTP and without tokens: the command line calls it
where no server runs (OAUTH-SESS-12: neither reads a cookie).
"""

import hashlib
import re
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from abeyance.acts.house import House
from abeyance.acts.present import Bearer, TokenRefused, present
from abeyance.parties.person import PersonId
from abeyance.proofs.sealing import NONCE_BYTES, key_of, seal, unseal
from abeyance.server import http
from abeyance.server.admin.openapi import describe
from abeyance.server.admin.problems import Problem, conflict, malformed, not_found
from abeyance.server.admin.route import AdminRequest, AdminRoute, Answer, Caller, Office
from abeyance.server.admin.routes import ROUTES
from abeyance.server.challenges import render_challenges
from abeyance.server.settings_parties import Known
from abeyance.store.ports import StoreAway
from abeyance.wire import names
from abeyance.wire.errors import BodyTooLarge, Unavailable
from abeyance.wire.reply import Reply, header, render_json
from abeyance.wire.secret import Secret

OPENAPI: Final = "/openapi.json"
KEPT: Final = timedelta(days=1)  # how long a repeated call gets the same answer
_JSON: Final = (b"content-type", b"application/json")
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")
_KEY_LENGTH: Final = range(16, 201)
_SEALED_FOR: Final = "admin-call"
_AWAY: Final = Problem(
    503, "away", "The server cannot answer at the moment", headers={"Retry-After": "5"}
)
_LARGE: Final = Problem(413, "too_large", "The body is too large")
_FAULT: Final = Problem(500, "fault", "Something went wrong on our side", "It was logged.")
_WORDS: Final = {
    None: "A token is needed",
    names.INVALID_REQUEST: "The Authorization field cannot be read",
    names.INVALID_TOKEN: "The token is not accepted",
    names.INVALID_DPOP_PROOF: "The DPoP proof is not accepted",
}


class AdminApi:
    """`known`: what a client that is registered here may refer to. `hosted`: see `Office`."""

    def __init__(self, house: House, known: Known, *, hosted: bool = False) -> None:
        self._office = Office(house, known, hosted)
        self._routes = [(route.pattern, route) for route in ROUTES]
        self._described = render_json(describe(house.endpoints, ROUTES))

    def described(self) -> Reply:
        """The OpenAPI document; public, since it tells no more than the source."""
        return Reply(200, self._described, (_JSON,))

    def find(self, method: str, path: str) -> tuple[AdminRoute, dict[str, str]]:
        """The route of a path below `/admin`. Raises `Problem`."""
        allowed: list[str] = []
        for pattern, route in self._routes:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            if route.method == method:
                return route, found.groupdict()
            allowed.append(route.method)
        if allowed:
            raise Problem(
                405, "wrong_method", "This address does not work that way",
                headers={"Allow": ", ".join(sorted(allowed))},
            )  # fmt: skip
        raise not_found()

    async def answer(
        self, route: AdminRoute, request: AdminRequest, *, idempotency_key: str | None = None
    ) -> Reply:
        """Call the route, once for each idempotency key. Raises `Problem`, `StoreAway`."""
        unknown = request.query.keys() - {query.name for query in route.query}
        if unknown:
            name = min(unknown)
            raise malformed("This parameter is not known", name if name.isprintable() else None)
        if idempotency_key is None or route.method != "POST":
            return _render(await route.handle(self._office, request))
        return await self._once(route, request, idempotency_key)

    async def _once(self, route: AdminRoute, request: AdminRequest, key: str) -> Reply:
        if len(key) not in _KEY_LENGTH or not key.isascii() or not key.isprintable():
            raise malformed("An idempotency key has 16 to 200 visible characters")
        house, secret = self._office.house, Secret(key)
        place = hashlib.sha256(f"{request.caller.owner}\0{key}".encode()).digest()
        parts = [route.method, route.path, *request.parts.values(), request.if_match or ""]
        mark = hashlib.sha256("\0".join(parts).encode() + b"\0" + request.body).digest()
        now = house.clock.now()
        known = await house.store.begin_call(place, mark, now=now, until=now + KEPT)
        if known is not None:
            if known.fingerprint != mark:
                raise Problem(422, "key_reused", "The idempotency key was used for something else")
            if known.answer is None:
                raise conflict("in_progress", "The call with this key has not ended yet.")
            # Answers may hold a secret: they rest sealed, for whoever has the key alone.
            opened = unseal(known.answer, key_of(secret, _SEALED_FOR), about=place)
            if opened is None:
                raise conflict("in_progress", "The answer to this key cannot be told again.")
            return _parse_kept(opened.reveal())
        try:
            reply = _render(await route.handle(self._office, request))
        except Problem:
            await house.store.end_call(place, None)  # nothing came of it
            raise
        # Cut short by anything else, nobody knows what came of it: the key stays taken.
        kept = seal(
            Secret(_keep(reply)),
            key_of(secret, _SEALED_FOR),
            about=place,
            nonce=house.random(NONCE_BYTES),
        )
        await house.store.end_call(place, kept)
        return reply


class AdminEndpoint:
    """`AdminApi` as an ASGI callable. `prefix` is the path of the API on the host."""

    def __init__(self, api: AdminApi, house: House, *, https: bool) -> None:
        self._api = api
        self._house = house
        self._fixed = (*http.NEVER_STORED, *((http.HSTS,) if https else ()))

    async def __call__(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        """`scope["path"]` is below the API's own path already."""
        try:
            reply = await self._reply(scope, receive)
        except Problem as problem:
            reply = problem.reply()
        except (StoreAway, Unavailable):
            reply = _AWAY.reply()
        except BodyTooLarge:
            reply = _LARGE.reply()
        except http.Disconnected:
            return
        except Exception as fault:
            http.log_fault(fault)
            reply = _FAULT.reply()
        await http.send_reply(scope, send, reply, self._fixed)

    async def _reply(self, scope: http.Scope, receive: http.Receive) -> Reply:
        path, method = scope["path"], scope["method"]
        if path == OPENAPI and method == "GET":
            return self._api.described()
        caller, headers = await self._admit(scope)
        route, parts = self._api.find(method, path)
        if route.scope not in caller.scope:
            raise self._refuse(403, names.INSUFFICIENT_SCOPE, scope=route.scope)
        body = await http.read_body(receive) if method in ("POST", "PUT") else b""
        if body and headers.get(b"content-type", [b""])[0].partition(b";")[0].strip().lower() != (
            b"application/json"
        ):
            raise Problem(415, "not_json", "The body must be application/json")
        request = AdminRequest(
            caller=caller,
            parts=parts,
            query=_query(scope["query_string"]),
            body=body,
            if_match=_one(headers, b"if-match"),
        )
        key = _one(headers, b"idempotency-key")
        return await self._api.answer(route, request, idempotency_key=key)

    async def _admit(self, scope: http.Scope) -> tuple[Caller, dict[bytes, list[bytes]]]:
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        if b"content-encoding" in headers:
            raise Problem(415, "encoded", "The body must not be encoded")
        try:
            bearer = await present(
                self._house,
                authorization=headers.get(b"authorization", ()),
                dpop=headers.get(b"dpop", ()),
                method=scope["method"],
                url=self._house.endpoints.admin + _spelled(scope),
                audience=self._house.endpoints.admin,
                certificate=scope.get(http.CERTIFICATE),
            )
        except TokenRefused as refused:
            status = 400 if refused.error == names.INVALID_REQUEST else 401
            raise self._refuse(status, refused.error) from None
        return await self._caller(bearer), headers

    async def _caller(self, bearer: Bearer) -> Caller:
        person = None
        if bearer.person is not None:
            person = await self._house.store.find_person(PersonId(bearer.person))
            if person is None:
                raise self._refuse(401, names.INVALID_TOKEN)
        return Caller(
            actor=f"client:{bearer.client}" if person is None else f"person:{person.id}",
            owner=f"{bearer.client}\0{bearer.subject}",
            scope=bearer.scope,
            client=bearer.client,
            person=person,
        )

    def _refuse(self, status: int, error: str | None, *, scope: str | None = None) -> Problem:
        """The challenges of RFC 6750 §3 and RFC 9449 §7.1 (OAUTH-AT-09, OAUTH-DPOP-21)."""
        title = _WORDS.get(error, "The token does not allow this")
        challenges = render_challenges(error, algorithms=self._house.algorithms, scope=scope)
        return Problem(
            status,
            error or "token_required",
            title,
            headers={"WWW-Authenticate": challenges},
        )


def _spelled(scope: http.Scope) -> str:
    """The path below `/admin` as it was sent: a proof names that spelling (OAUTH-DPOP-06)."""
    path: str = scope["path"]
    whole = (scope.get("raw_path") or b"").decode("ascii", "replace")
    sent = "/" + "/".join(whole.split("/")[-path.count("/") :])
    fits = _PATH.fullmatch(sent) is not None and unquote(sent) == path
    return sent if fits else quote(path, errors="replace")


def _one(headers: dict[bytes, list[bytes]], name: bytes) -> str | None:
    values = headers.get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise malformed(f"{name.decode()} is there twice")
    return values[0].decode("latin-1")


def _query(query: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except (UnicodeDecodeError, ValueError):
        raise malformed("The query cannot be read") from None
    told = dict(pairs)
    if len(told) != len(pairs):
        raise malformed("A parameter of the query is there twice")
    return told


def _render(answer: Answer) -> Reply:
    headers = tuple(header(name, value) for name, value in answer.headers.items())
    if answer.body is None:
        return Reply(answer.status, b"", headers)
    return Reply(answer.status, msgspec.json.encode(answer.body), (_JSON, *headers))


def _keep(reply: Reply) -> str:
    kept: dict[str, Any] = {
        "status": reply.status,
        "headers": [[name.decode(), value.decode("latin-1")] for name, value in reply.headers],
        "body": reply.body.decode(),
    }
    return msgspec.json.encode(kept).decode()


def _parse_kept(text: str) -> Reply:
    kept = msgspec.json.decode(text)
    headers = tuple((name.encode(), value.encode("latin-1")) for name, value in kept["headers"])
    return Reply(kept["status"], kept["body"].encode(), headers)
