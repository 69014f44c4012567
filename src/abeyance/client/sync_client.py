"""The blocking client: performs the steps of the flows, and nothing else."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Literal, Self, assert_never, overload

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
from abeyance.client.transport import make_client, perform
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.secret import Secret


class Client:
    """One OAuth client at one authorization server. May be shared between threads.

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
        http: httpx2.Client | None = None,
        surroundings: Surroundings | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._link: Final = Link.to(
            server, client_id, authentication, surroundings or Surroundings()
        )
        self.dpop_key: Final = dpop_key
        self._owned = None
        if http is None:
            http = self._owned = make_client(cleartext=is_cleartext(self._link.issuer))
        self._http: Final = http
        self._sleep: Final = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._link.client_id!r} at {self._link.issuer!r}>"

    def close(self) -> None:
        """Close the connections that the library opened; pending requests live on."""
        if self._owned is not None:
            self._owned.close()

    def metadata(self) -> ServerMetadata:
        """The server's metadata. Raises `DiscoveryFailed`, `Unavailable`."""
        return self._run(self._link.discover())

    @overload
    def request_token(
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
    def request_token(
        self,
        grant_type: str = ...,
        *,
        scope: str | Iterable[str] = ...,
        resource: str | Iterable[str] = ...,
        authorization_details: Sequence[Detail] = ...,
        parameters: Mapping[str, str | Secret] = ...,
        defer: bool = ...,
        on_partial: OnPartial = ...,
    ) -> "Token | PendingToken": ...

    def request_token(
        self,
        grant_type: str = names.GRANT_CLIENT_CREDENTIALS,
        *,
        scope: str | Iterable[str] = (),
        resource: str | Iterable[str] = (),
        authorization_details: Sequence[Detail] = (),
        parameters: Mapping[str, str | Secret] = MappingProxyType({}),
        defer: bool = True,
        on_partial: OnPartial = "accept",
    ) -> "Token | PendingToken":
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
        answer = self._run(ask(self._link, wish, key=self.dpop_key))
        return PendingToken(self, answer) if isinstance(answer, Pursuit) else answer

    def resume(self, path: str | PathLike[str], *, seal: Seal | None = None) -> "PendingToken":
        """Take up a request that was saved, here or in another process. Sends nothing.

        It goes on with its own DPoP key and token endpoint, whatever this
        client has. Raises `StateUnreadable`, `ForeignState`.
        """
        link = self._link
        held, saved = read_state(Path(path), seal, issuer=link.issuer, client_id=link.client_id)
        return PendingToken(self, Pursuit.resumed(link, held), saved)

    def revoke(self, token: Token) -> None:
        """Revoke an access token; returns only if the server confirmed that.

        Raises `CancelNotSupported` if the server does not revoke tokens.
        """
        self._run(revoke_token(self._link, token))

    def _run(self, flow: Flow[T], handle: "PendingToken | None" = None) -> T:
        reply: Reply = None
        try:
            while True:
                step = flow.send(reply)
                reply = None
                match step:
                    case Send():
                        reply = perform(self._http, step)
                    case Pause():
                        self._pause(step.seconds, handle)
                    case Tell() | Keep() | Forget():
                        if handle is not None:
                            handle._note(step)
                    case _:
                        assert_never(step)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            # Whatever broke off the wait (Ctrl-C, a hook that raised): the flow cleans up now.
            flow.close()

    def _pause(self, seconds: float, handle: "PendingToken | None") -> None:
        woken = threading.Event() if handle is None else handle._woken
        if self._sleep is not None:
            self._sleep(seconds)
        elif woken.wait(seconds):
            woken.clear()


class PendingToken:
    """A request that somebody still has to decide. May be shared between threads.

    At most one thread polls at a time. `wait` waits for its turn, `poll` never does.
    """

    def __init__(self, client: Client, pursuit: Pursuit, saved: SavedState | None = None) -> None:
        self._client: Final = client
        self._pursuit: Final = pursuit
        self._saved = saved
        self._hook: Callable[[Progress], object] | None = None
        self._turn: Final = threading.Lock()
        self._woken: Final = threading.Event()

    def __repr__(self) -> str:
        return f"<PendingToken at {self.issuer!r}, expires {self.expires_at}>"

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

    def poll(self) -> Token | Progress:
        """Poll once if the pace allows; else send nothing, and tell when it will.

        Returns the token, as often as asked. Raises what ended the request
        (`AccessDenied`, `Expired`, `InvalidGrant`, `PartialGrant`, `Cancelled`,
        `ServerRefused`, `MalformedResponse`), again without asking the server.
        An answer that did not come is progress (`Waiting.UNREACHABLE`).
        """
        if not self._turn.acquire(blocking=False):
            return self._pursuit.result or self.progress
        try:
            return self._client._run(self._pursuit.poll(), self)
        finally:
            self._turn.release()

    def wait(
        self,
        *,
        on_progress: Callable[[Progress], object] | None = None,
        timeout: timedelta | None = None,
    ) -> Token:
        """Poll at the pace that the server allows until there is a token.

        `on_progress` is called at the start and after each poll. Raises as
        `poll`; and `StillPending` when `timeout` is over, which ends nothing:
        call again, or resume later.
        """
        with self._turn:
            self._hook = on_progress
            self._woken.clear()
            try:
                return self._client._run(self._pursuit.wait(timeout), self)
            finally:
                self._hook = None

    def interrupt(self) -> None:
        """Let a `wait` in another thread raise `StillPending` at once."""
        self._pursuit.interrupt()
        self._woken.set()

    def cancel(self) -> None:
        """Withdraw the request; returns only if the server confirmed that.

        May be called while another thread waits: a poll that is under way then
        may still bring the token, and `wait` (or the next `poll`) hands it over;
        otherwise they raise `Cancelled`. Raises `AlreadyGranted`;
        `CancelNotSupported` (the server does not list deferral codes; polling
        stops all the same); `Unavailable`, `ServerRefused` (nothing is known to
        be cancelled; it may be called again).
        """
        try:
            self._client._run(self._pursuit.cancel(), self)
        finally:
            self._woken.set()

    def save(self, path: str | PathLike[str], *, seal: Seal | None = None) -> None:
        """Save the request, sealed, so that another process can `resume` it.

        The file (mode 0600) follows the request: it is rewritten when the pace
        changes, and removed when the request has ended. Without `seal` its key
        is kept in a file beside it (`<path>.key`), removed with it. Holds the
        private DPoP key, not the client's credentials. Raises `OSError`, and
        what ended the request if it has.
        """
        self._pursuit.check_open()
        saved = SavedState.at(Path(path), seal)
        saved.write(self._pursuit.held)
        self._saved = saved

    def _note(self, step: Tell | Keep | Forget) -> None:
        if isinstance(step, Tell):
            if self._hook is not None:
                self._hook(step.progress)
        elif self._saved is not None:
            follow(self._saved, step)
