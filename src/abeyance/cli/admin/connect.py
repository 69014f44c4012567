"""Where the admin API is: at a running server, or in the store of this machine.

Both ways end in the same API. Here, the command owns the store for a moment; a server
that runs has it already, and is spoken to with a token instead.
"""

import asyncio
import os
import sys
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Final, Literal, Protocol, Self
from urllib.parse import quote, unquote, urlencode

import httpx2
import msgspec
from cyclopts import Parameter

from abeyance.cli import common
from abeyance.cli.calls import BadCall
from abeyance.client import (
    Client,
    ClientError,
    ClientSecretBasic,
    Misconfigured,
    PublicClient,
    TokenAuth,
    TokenSource,
    generate_key,
)
from abeyance.client.addresses import BadAddress, check_issuer, is_cleartext
from abeyance.client.private_file import read_private
from abeyance.parties.person import PersonId, Role
from abeyance.server.admin.app import AdminApi
from abeyance.server.admin.problems import Problem
from abeyance.server.admin.route import AdminRequest, Caller
from abeyance.server.admin.scopes import SCOPES
from abeyance.server.settings import Settings
from abeyance.server.wiring import open_house
from abeyance.store.ports import StoreAway, StoreInUse
from abeyance.wire.reply import Reply

TOKEN: Final = "ABEYANCE_TOKEN"
SECRET: Final = "ABEYANCE_CLIENT_SECRET"
OPERATOR: Final = "operator"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Where:
    """Where the server is, and as whom."""

    server: str | None = None
    "The issuer of a running server; without it, the store that --config names is used."
    token_file: Path | None = None
    "A file with an access token for the server's admin API; or ABEYANCE_TOKEN."
    client_id: str | None = None
    "Get a token as this client: with its secret, or in a browser where --keep is given."
    client_secret_file: Path | None = None
    "A file with that client's secret; or ABEYANCE_CLIENT_SECRET."
    keep: Path | None = None
    "Where the token of a public client is kept, sealed; a browser opens when there is none."
    token_scope: str = ""
    "The scopes to ask for; without it, those that the client has by default."
    config: Path | None = None
    "The configuration file (TOML); else the one that ABEYANCE_CONFIG names."
    as_: Annotated[str | None, Parameter(name="--as")] = None
    "In the store of this machine: the reviewer who decides."
    output: Annotated[Literal["text", "json"], Parameter(name=["--output", "-o"])] = "text"
    "text or json."


@dataclass(frozen=True, slots=True)
class Answer:
    """`etag` is what a change must name."""

    body: Any
    etag: str | None


class NotDone(Exception):
    """The API says no; the message is for a person."""


class Api(Protocol):
    """The admin API. Raises `NotDone`."""

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Sequence[tuple[str, str | None]] = (),
        if_match: str | None = None,
    ) -> Answer: ...


def at(*segments: str) -> str:
    """A path of the API; what a person typed stays one segment of it."""
    return "/" + "/".join(quote(segment, safe="@+") for segment in segments)


def connect(where: Where) -> AbstractContextManager[Api]:
    """Raises `BadCall`."""
    if where.server is not None:
        if where.as_ is not None or where.config is not None:
            raise BadCall(
                "--server",
                "is given beside --config or --as",
                "They are of a store on this machine.",
            )
        return _Remote(where.server, where)
    return _Local(common.load(where.config), where.as_)


class _Remote:
    def __init__(self, server: str, where: Where) -> None:
        try:
            check_issuer(server)
        except BadAddress as wrong:
            raise BadCall(
                "--server", str(wrong), "Name the issuer, such as https://as.example."
            ) from None
        self._base = f"{server}/admin"
        self._closing = ExitStack()
        trust = not is_cleartext(server)
        auth = _auth(server, where, self._closing)
        self._http = self._closing.enter_context(
            httpx2.Client(auth=auth, trust_env=trust, timeout=30.0)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Sequence[tuple[str, str | None]] = (),
        if_match: str | None = None,
    ) -> Answer:
        headers = {} if if_match is None else {"If-Match": if_match}
        try:
            response = self._http.request(
                method,
                f"{self._base}{path}{_render_query(query)}",
                json=None if body is None else dict(body),
                headers=headers,
            )
        except httpx2.RequestError:
            raise NotDone("The server cannot be reached.") from None
        except ClientError as failure:
            raise NotDone(f"There is no token: {failure}.") from None
        etag = response.headers.get("ETag")
        return _read(response.status_code, response.content, etag)


class _Local:
    """The API over the store of this machine, without HTTP and without a token."""

    def __init__(self, settings: Settings, reviewer: str | None) -> None:
        self._settings = settings
        self._reviewer = reviewer
        self._runner = asyncio.Runner()
        self._opened: Any = None
        self._api: AdminApi | None = None
        self._caller: Caller | None = None

    def __enter__(self) -> Self:
        try:
            self._runner.run(self._open())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._runner.run(self._opened.__aexit__(None, None, None))
        finally:
            self._runner.close()

    async def _open(self) -> None:
        self._opened = open_house(self._settings)
        try:
            house = await self._opened.__aenter__()
        except StoreInUse:
            raise BadCall(
                "--config",
                "names a store that a running server owns",
                f"Speak to it instead: --server {self._settings.issuer}.",
            ) from None
        except StoreAway as away:
            raise BadCall("--config", f"names a store that cannot be opened ({away})", "Look at "
                          "its folder.") from None  # fmt: skip
        person = None
        if self._reviewer is not None:
            person = await house.store.find_person(PersonId(self._reviewer))
            if person is None or not person.enabled or Role.REVIEWER not in person.roles:
                await self._opened.__aexit__(None, None, None)
                raise BadCall("--as", "names nobody who reviews", "See: abeyance user list.")
        self._api = AdminApi(house, self._settings.known)
        self._caller = Caller(
            # Whoever is named with --as votes; what is administered, the operator did.
            actor=OPERATOR,
            owner=OPERATOR,
            scope=frozenset(SCOPES),
            client=None,
            person=person,
            is_operator=True,
        )

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Sequence[tuple[str, str | None]] = (),
        if_match: str | None = None,
    ) -> Answer:
        api, caller = self._api, self._caller
        if api is None or caller is None:
            raise RuntimeError("used before it is opened")
        content = b"" if body is None else msgspec.json.encode(dict(body))
        try:
            route, parts = api.find(method, unquote(path))
            request = AdminRequest(
                caller=caller,
                parts=parts,
                query={name: value for name, value in query if value is not None},
                body=content,
                if_match=if_match,
            )
            reply: Reply = self._runner.run(api.answer(route, request))
        except Problem as problem:
            reply = problem.reply()
        except StoreAway:
            raise NotDone("The store cannot be used at the moment.") from None
        etag = next((value.decode() for name, value in reply.headers if name == b"etag"), None)
        return _read(reply.status, reply.body, etag)


def _auth(server: str, where: Where, closing: ExitStack) -> httpx2.Auth:
    resource = f"{server}/admin"
    token = os.environ.get(TOKEN, "")
    if where.token_file is not None:
        token = _read_secret("--token-file", where.token_file)
    if where.client_id is None:
        if not token:
            raise BadCall(
                "--server",
                "needs a token",
                f"Give --token-file, set {TOKEN}, or name a client with --client-id.",
            )
        return _Given(token)
    secret = os.environ.get(SECRET, "")
    if where.client_secret_file is not None:
        secret = _read_secret("--client-secret-file", where.client_secret_file)
    try:
        if secret:
            client = closing.enter_context(
                Client(server, where.client_id, ClientSecretBasic(secret))
            )
            ask: Callable[..., Any] = client.request_token
        elif where.keep is not None:
            client = closing.enter_context(
                Client(server, where.client_id, PublicClient(), dpop_key=generate_key())
            )
            ask = partial(client.authorize_in_browser, open_browser=_open)
        else:
            raise BadCall(
                "--client-id",
                "has neither a secret nor a place for its token",
                f"Give --client-secret-file, set {SECRET}, or give --keep FILE.",
            )
        obtain = partial(ask, scope=where.token_scope, resource=resource, defer=False)
        source = TokenSource(client, obtain, path=where.keep)
        parts = httpx2.URL(server)
        origin = f"{parts.scheme}://{parts.netloc.decode()}"
        return TokenAuth(source, origins=[origin])
    except Misconfigured as wrong:
        raise BadCall(
            "--server", str(wrong), "Name the issuer, such as https://as.example."
        ) from None


def _open(url: str) -> None:
    # Printed in any case: the browser may be on another machine, or there may be none.
    print(f"Open this in your browser, and agree there:\n  {url}", file=sys.stderr)
    webbrowser.open(url)


class _Given(httpx2.Auth):
    """A token that somebody got elsewhere."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def _read_secret(argument: str, path: Path) -> str:
    try:
        return read_private(path).decode("ascii").strip()
    except OSError as fault:
        raise BadCall(
            argument,
            f"cannot be read ({fault.strerror or fault})",
            "Name a file that only you can read.",
        ) from None
    except UnicodeDecodeError:
        raise BadCall(argument, "is not plain text", "Name another file.") from None


def _render_query(query: Sequence[tuple[str, str | None]]) -> str:
    given = [(name, value) for name, value in query if value is not None]
    return f"?{urlencode(given)}" if given else ""


def _read(status: int, content: bytes, etag: str | None) -> Answer:
    try:
        body = msgspec.json.decode(content) if content else None
    except msgspec.DecodeError:
        raise NotDone(f"The answer ({status}) is not one of the admin API.") from None
    if status < 400:
        return Answer(body, etag)
    told = body if isinstance(body, dict) else {}
    words = [str(told.get("title", f"The answer is {status}"))]
    words += [str(told[name]) for name in ("member", "detail") if told.get(name)]
    raise NotDone(f"{': '.join(words)} ({told.get('code', status)}).")
