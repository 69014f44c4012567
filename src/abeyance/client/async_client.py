"""The awaiting client: as `sync_client`, with awaited steps; under asyncio or trio (anyio)."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from inspect import isawaitable
from os import PathLike
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Literal, Self, assert_never, overload

import anyio
import anyio.to_thread
import httpx2

from abeyance.client.access import Access, Detail
from abeyance.client.addresses import is_cleartext
from abeyance.client.asking import Wish, ask
from abeyance.client.authentication import Authentication
from abeyance.client.exchange import Flow, Forget, Keep, Pause, Reply, Send, T, Tell
from abeyance.client.link import Link
from abeyance.client.metadata import ServerMetadata
from abeyance.client.progress import Progress
from abeyance.client.pursuit import Pursuit
from abeyance.client.revoking import revoke_token
from abeyance.client.saved_state import SavedState, follow, read_state
from abeyance.client.sealing import Seal
from abeyance.client.surroundings import Surroundings
from abeyance.client.token import OnPartial, Token
from abeyance.client.transport import make_async_client, perform_async
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.secret import Secret


class AsyncClient:
    """One OAuth client at one authorization server. May be shared between tasks of one event loop.

    `server`: the issuer, whose metadata is then discovered when first needed,
    or the metadata itself. `dpop_key`: bind everything to this key. `http`: an
    HTTP client of the caller's, which then closes it; without one the library
    makes its own. `sleep`: for tests, takes seconds. Raises `Misconfigured`.
    """

    def __init__(
        self,
        server: str | ServerMetadata,
        client_id: str,
        authentication: Authentication,
        *,
        dpop_key: KeyPair | None = None,
        http: httpx2.AsyncClient | None = None,
        surroundings: Surroundings | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self._link: Final = Link.to(
            server, client_id, authentication, surroundings or Surroundings()
        )
        self.dpop_key: Final = dpop_key
        self._owned = None
        if http is None:
            http = self._owned = make_async_client(cleartext=is_cleartext(self._link.issuer))
        self._http: Final = http
        self._sleep: Final = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<AsyncClient {self._link.client_id!r} at {self._link.issuer!r}>"

    async def aclose(self) -> None:
        """Close the connections that the library opened; pending requests live on."""
        if self._owned is not None:
            await self._owned.aclose()

    async def metadata(self) -> ServerMetadata:
        """The server's metadata. Raises `DiscoveryFailed`, `Unavailable`."""
        return await self._run(self._link.discover())

    @overload
    async def request_token(
        self,
        grant_type: str = ...,
        *,
        scope: str | Iterable[str] = ...,
        resource: str | Iterable[str] = ...,
        authorization_details: Sequence[Detail] = ...,
        parameters: Mapping[str, str | Secret] = ...,
        defer: Literal[False],
        on_partial: OnPartial = ...,
    ) -> Token: ...

    @overload
    async def request_token(
        self,
        grant_type: str = ...,
        *,
        scope: str | Iterable[str] = ...,
        resource: str | Iterable[str] = ...,
        authorization_details: Sequence[Detail] = ...,
        parameters: Mapping[str, str | Secret] = ...,
        defer: bool = ...,
        on_partial: OnPartial = ...,
    ) -> "Token | AsyncPendingToken": ...

    async def request_token(
        self,
        grant_type: str = names.GRANT_CLIENT_CREDENTIALS,
        *,
        scope: str | Iterable[str] = (),
        resource: str | Iterable[str] = (),
        authorization_details: Sequence[Detail] = (),
        parameters: Mapping[str, str | Secret] = MappingProxyType({}),
        defer: bool = True,
        on_partial: OnPartial = "accept",
    ) -> "Token | AsyncPendingToken":
        """Ask once: a token, a pending handle, or an exception that says no.

        `parameters` are those of the grant itself, such as `code`. `defer`: say
        that "not yet" is an acceptable answer. `on_partial="reject"`: a token
        that grants less than asked is revoked at once, and `PartialGrant` raised.
        """
        wish = Wish(
            grant_type=grant_type,
            access=Access.of(
                scope=scope, resource=resource, authorization_details=authorization_details
            ),
            parameters=parameters,
            defer=defer,
            on_partial=on_partial,
        )
        answer = await self._run(ask(self._link, wish, key=self.dpop_key))
        return AsyncPendingToken(self, answer) if isinstance(answer, Pursuit) else answer

    async def resume(
        self, path: str | PathLike[str], *, seal: Seal | None = None
    ) -> "AsyncPendingToken":
        """Take up a request that was saved, here or in another process. Sends nothing.

        It goes on with its own DPoP key and token endpoint, whatever this
        client has. Raises `StateUnreadable`, `ForeignState`.
        """
        link = self._link
        held, saved = await anyio.to_thread.run_sync(
            partial(read_state, Path(path), seal, issuer=link.issuer, client_id=link.client_id)
        )
        return AsyncPendingToken(self, Pursuit.resumed(link, held), saved)

    async def revoke(self, token: Token) -> None:
        """Revoke an access token; returns only if the server confirmed that.

        Raises `CancelNotSupported` if the server does not revoke tokens.
        """
        await self._run(revoke_token(self._link, token))

    async def _run(self, flow: Flow[T], handle: "AsyncPendingToken | None" = None) -> T:
        reply: Reply = None
        try:
            while True:
                step = flow.send(reply)
                reply = None
                match step:
                    case Send():
                        reply = await perform_async(self._http, step)
                    case Pause():
                        await self._pause(step.seconds, handle)
                    case Tell() | Keep() | Forget():
                        if handle is not None:
                            await handle._note(step)
                    case _:
                        assert_never(step)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            # Whatever broke off the wait (Ctrl-C, a hook that raised): the flow cleans up now.
            flow.close()

    async def _pause(self, seconds: float, handle: "AsyncPendingToken | None") -> None:
        if self._sleep is not None:
            await self._sleep(seconds)
            return
        woken = anyio.Event() if handle is None else handle._woken
        with anyio.move_on_after(seconds):
            await woken.wait()
            if handle is not None:
                handle._woken = anyio.Event()


class AsyncPendingToken:
    """A request that somebody still has to decide. May be shared between tasks.

    At most one task polls at a time. `wait` waits for its turn, `poll` never does.
    A task that waits may be cancelled at any time; the request lives on.
    """

    def __init__(
        self, client: AsyncClient, pursuit: Pursuit, saved: SavedState | None = None
    ) -> None:
        self._client: Final = client
        self._pursuit: Final = pursuit
        self._saved = saved
        self._hook: Callable[[Progress], object] | None = None
        self._turn: Final = anyio.Lock()
        self._woken = anyio.Event()

    def __repr__(self) -> str:
        return f"<AsyncPendingToken at {self.issuer!r}, expires {self.expires_at}>"

    @property
    def issuer(self) -> str:
        return self._pursuit.held.issuer

    @property
    def requested(self) -> Access:
        return self._pursuit.held.requested

    @property
    def expires_at(self) -> datetime | None:
        """When the deferral code ends (not the token), if the server told it."""
        return self._pursuit.held.expires_at

    @property
    def dpop_key(self) -> KeyPair | None:
        """The key that the first request proved; every poll and the token need it."""
        return self._pursuit.held.key

    @property
    def progress(self) -> Progress:
        """What is known, without asking the server."""
        return self._pursuit.progress()

    async def poll(self) -> Token | Progress:
        """Poll once if the pace allows; else send nothing, and tell when it will.

        Returns the token, as often as asked. Raises what ended the request
        (`AccessDenied`, `Expired`, `InvalidGrant`, `PartialGrant`, `Cancelled`,
        `ServerRefused`, `MalformedResponse`), again without asking the server.
        An answer that did not come is progress (`Waiting.UNREACHABLE`).
        """
        try:
            self._turn.acquire_nowait()
        except anyio.WouldBlock:
            return self._pursuit.result or self.progress
        try:
            return await self._client._run(self._pursuit.poll(), self)
        finally:
            self._turn.release()

    async def wait(
        self,
        *,
        on_progress: Callable[[Progress], object] | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109  # ends no request, unlike a cancel scope
    ) -> Token:
        """Poll at the pace that the server allows until there is a token.

        `on_progress`, a function or a coroutine function, is called at the
        start and after each poll. Raises as
        `poll`; and `StillPending` when `timeout` is over, which ends nothing:
        call again, or resume later.
        """
        async with self._turn:
            self._hook = on_progress
            try:
                return await self._client._run(self._pursuit.wait(timeout), self)
            finally:
                self._hook = None

    async def cancel(self) -> None:
        """Withdraw the request; returns only if the server confirmed that.

        May be called while another task waits: a poll that is under way then
        may still bring the token, and `wait` (or the next `poll`) hands it over;
        otherwise they raise `Cancelled`. Raises `AlreadyGranted`;
        `CancelNotSupported` (the server does not list deferral codes; polling
        stops all the same); `Unavailable`, `ServerRefused` (nothing is known to
        be cancelled; it may be called again).
        """
        try:
            await self._client._run(self._pursuit.cancel(), self)
        finally:
            self._woken.set()

    async def save(self, path: str | PathLike[str], *, seal: Seal | None = None) -> None:
        """Save the request, sealed, so that another process can `resume` it.

        The file (mode 0600) follows the request: it is rewritten when the pace
        changes, and removed when the request has ended. Without `seal` its key
        is kept in a file beside it (`<path>.key`), removed with it. Holds the
        private DPoP key, not the client's credentials. Raises `OSError`, and
        what ended the request if it has.
        """
        self._pursuit.check_open()
        saved = await anyio.to_thread.run_sync(SavedState.at, Path(path), seal)
        await anyio.to_thread.run_sync(saved.write, self._pursuit.held)
        self._saved = saved

    async def _note(self, step: Tell | Keep | Forget) -> None:
        if isinstance(step, Tell):
            if self._hook is not None:
                told = self._hook(step.progress)
                if isawaitable(told):
                    await told
        elif self._saved is not None:
            await anyio.to_thread.run_sync(follow, self._saved, step)
