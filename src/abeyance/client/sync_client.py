"""The blocking client: performs the steps of the flows, and nothing else."""

import threading
import webbrowser
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, Literal, Self, assert_never, overload

import httpx2

from abeyance.client.access import Access, Detail
from abeyance.client.addresses import is_cleartext
from abeyance.client.asking import Wish, ask
from abeyance.client.authentication import Authentication
from abeyance.client.authorizing import (
    AuthorizationRequest,
    begin,
    belongs_to,
    exchange_wish,
)
from abeyance.client.callbacks import Callbacks
from abeyance.client.certificate import ClientCertificate
from abeyance.client.devices import DeviceRequest, await_device, begin_device
from abeyance.client.exchange import Flow, Forget, Keep, Pause, Reply, Send, T, Tell
from abeyance.client.exchanging import TypedToken, exchange_parameters
from abeyance.client.identity import USUAL_ALG, Identity, ask_userinfo, identify
from abeyance.client.link import Link
from abeyance.client.loopback import Loopback
from abeyance.client.metadata import ServerMetadata
from abeyance.client.progress import Progress
from abeyance.client.pursuit import Pursuit
from abeyance.client.refreshing import refresh
from abeyance.client.resources import ResourceMetadata, ask_resource
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
    or the metadata itself. `dpop_key`: bind everything to this key. `can_interact`:
    the program can show somebody an address at which they must act; the server is
    told so. `callbacks`: where this program takes callbacks. `certificate`: shown in
    every handshake. `http`: an HTTP client of the caller's, which then closes it, and
    which shows the certificate by itself; without one the library makes its own. `sleep`:
    for tests, takes seconds. Raises `Misconfigured`.
    """

    def __init__(
        self,
        server: str | ServerMetadata,
        client_id: str,
        authentication: Authentication,
        *,
        dpop_key: KeyPair | None = None,
        can_interact: bool = False,
        callbacks: Callbacks | None = None,
        certificate: ClientCertificate | None = None,
        http: httpx2.Client | None = None,
        surroundings: Surroundings | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.link: Final = Link.to(
            server,
            client_id,
            authentication,
            surroundings or Surroundings(),
            can_interact=can_interact,
            callbacks=callbacks,
            certificate=certificate,
            own_http=http is not None,
        )
        self.dpop_key: Final = dpop_key
        self._owned = None
        if http is None:
            http = self._owned = make_client(
                cleartext=is_cleartext(self.link.issuer), certificate=certificate
            )
        self._http: Final = http
        self.sleep: Final = sleep

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
        return f"<Client {self.link.client_id!r} at {self.link.issuer!r}>"

    def close(self) -> None:
        """Close the connections that the library opened; pending requests live on."""
        if self._owned is not None:
            self._owned.close()

    def metadata(self) -> ServerMetadata:
        """The server's metadata. Raises `DiscoveryFailed`, `Unavailable`."""
        return self._run(self.link.discover())

    def resource_metadata(self, resource: str) -> ResourceMetadata:
        """What a resource says about itself (RFC 9728), by its identifier.

        Raises `DiscoveryFailed` if that is of another resource, or one of the two does not
        know the other; `Misconfigured`, `Unavailable`.
        """
        return self._run(ask_resource(self.link, resource))

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
        answer = self._run(ask(self.link, wish, key=self.dpop_key))
        return PendingToken(self, answer) if isinstance(answer, Pursuit) else answer

    def exchange_token(
        self,
        subject: Token | TypedToken,
        *,
        actor: Token | TypedToken | None = None,
        audience: str | None = None,
        requested_token_type: str | None = None,
        scope: str | Iterable[str] = (),
        resource: str | Iterable[str] = (),
        authorization_details: Sequence[Detail] = (),
        defer: bool = True,
        on_partial: OnPartial = "accept",
    ) -> "Token | PendingToken":
        """Exchange a token for another one, or an assertion for another server (RFC 8693).

        With `actor` the result says who acts for the subject. Raises as `request_token`.
        """
        return self.request_token(
            names.GRANT_TOKEN_EXCHANGE,
            scope=scope,
            resource=resource,
            authorization_details=authorization_details,
            parameters=exchange_parameters(
                subject, actor, audience, requested_token_type, key=self.dpop_key
            ),
            defer=defer,
            on_partial=on_partial,
        )

    def use_assertion(
        self,
        assertion: Secret,
        *,
        scope: str | Iterable[str] = (),
        resource: str | Iterable[str] = (),
        authorization_details: Sequence[Detail] = (),
        defer: bool = True,
        on_partial: OnPartial = "accept",
    ) -> "Token | PendingToken":
        """Redeem another issuer's assertion, such as an ID-JAG (RFC 7523). It is spent also
        where the answer is "not yet". Raises as `request_token`.
        """
        return self.request_token(
            names.GRANT_JWT_BEARER,
            scope=scope,
            resource=resource,
            authorization_details=authorization_details,
            parameters={names.ASSERTION: assertion},
            defer=defer,
            on_partial=on_partial,
        )

    def authorization_request(
        self,
        redirect_uri: str,
        *,
        scope: str | Iterable[str] = (),
        resource: str | Iterable[str] = (),
        authorization_details: Sequence[Detail] = (),
        parameters: Mapping[str, str] = MappingProxyType({}),
        defer: bool = True,
    ) -> AuthorizationRequest:
        """Where to send a person, so that they let this client act for them.

        `parameters` are further ones of the request, such as `login_hint`. Keep
        what is returned until the person comes back, and only for that browser.
        Raises `DiscoveryFailed`, `Unavailable`, `Misconfigured`.
        """
        access = Access.of(
            scope=scope, resource=resource, authorization_details=authorization_details
        )
        return self._run(
            begin(
                self.link,
                redirect_uri=redirect_uri,
                access=access,
                defer=defer,
                parameters=parameters,
                key=self.dpop_key,
            )
        )

    def exchange_code(
        self,
        request: AuthorizationRequest,
        returned: str | Mapping[str, str],
        *,
        on_partial: OnPartial = "accept",
    ) -> "Token | PendingToken":
        """Redeem the code with which the person came back: a token, or "not yet".

        `returned`: the URL that the browser came to, its query, or the parameters.
        Raises `NotOurs` if it does not answer this request (nothing is redeemed
        then), `AccessDenied` if the person said no, and as `request_token`.
        """
        wish = exchange_wish(self.link, request, returned, on_partial=on_partial)
        answer = self._run(ask(self.link, wish, key=self.dpop_key))
        return PendingToken(self, answer) if isinstance(answer, Pursuit) else answer

    def authorize_in_browser(
        self,
        *,
        scope: str | Iterable[str] = (),
        resource: str | Iterable[str] = (),
        authorization_details: Sequence[Detail] = (),
        parameters: Mapping[str, str] = MappingProxyType({}),
        defer: bool = True,
        on_partial: OnPartial = "accept",
        open_browser: Callable[[str], object] = webbrowser.open,
        port: int = 0,
        path: str = "/callback",
        timeout: timedelta = timedelta(minutes=10),
    ) -> "Token | PendingToken":
        """The whole flow for a program on this machine: listen, open a browser, redeem.

        The client is registered with `http://127.0.0.1<path>`, any port. Raises
        `NobodyCame`, `OSError` (nothing can listen), and as `exchange_code`.
        """
        with Loopback(port=port, path=path) as loopback:
            request = self.authorization_request(
                loopback.redirect_uri,
                scope=scope,
                resource=resource,
                authorization_details=authorization_details,
                parameters=parameters,
                defer=defer,
            )
            open_browser(request.url)
            returned = loopback.wait(timeout.total_seconds(), partial(belongs_to, request))
        return self.exchange_code(request, returned, on_partial=on_partial)

    def device_request(
        self,
        *,
        scope: str | Iterable[str] = (),
        resource: str | Iterable[str] = (),
        authorization_details: Sequence[Detail] = (),
        parameters: Mapping[str, str] = MappingProxyType({}),
        defer: bool = True,
    ) -> DeviceRequest:
        """What to show a person who types a code elsewhere (RFC 8628): for programs without a
        browser. Ask anew only when somebody wants it. Raises as `authorization_request`, and
        what the server refuses with.
        """
        access = Access.of(
            scope=scope, resource=resource, authorization_details=authorization_details
        )
        return self._run(
            begin_device(
                self.link, access=access, defer=defer, parameters=parameters, key=self.dpop_key
            )
        )

    def await_device(
        self, request: DeviceRequest, *, on_partial: OnPartial = "accept"
    ) -> "Token | PendingToken":
        """Poll until the person has answered: a token, or "not yet" if somebody else must agree
        as well. Raises `AccessDenied` if they said no, `Expired`, and as `request_token`.
        """
        answer = self._run(await_device(self.link, request, on_partial=on_partial))
        return PendingToken(self, answer) if isinstance(answer, Pursuit) else answer

    def refresh(
        self,
        token: Token | Secret,
        *,
        scope: str | Iterable[str] = (),
        resource: str | Iterable[str] = (),
        authorization_details: Sequence[Detail] = (),
        defer: bool = True,
        on_partial: OnPartial = "accept",
    ) -> "Token | PendingToken":
        """A fresh token for the same, or for less: what is given here narrows it.

        A bare refresh token, such as one from a database, goes with the client's own key.
        A refresh can be told to wait; nothing is spent until it succeeds. If what the wait
        brings has no refresh token, the old one stays in force. Do not
        refresh one token from two places at once: see `TokenSource`. Raises
        `InvalidGrant` once the grant has ended, `Misconfigured` without a refresh
        token, and as `request_token`.
        """
        access = Access.of(
            scope=scope, resource=resource, authorization_details=authorization_details
        )
        answer = self._run(
            refresh(
                self.link,
                token,
                access=access,
                defer=defer,
                on_partial=on_partial,
                key=self.dpop_key,
            )
        )
        return PendingToken(self, answer) if isinstance(answer, Pursuit) else answer

    def resume(self, path: str | PathLike[str], *, seal: Seal | None = None) -> "PendingToken":
        """Take up a request that was saved, here or in another process. Sends nothing.

        It goes on with its own DPoP key and token endpoint, whatever this
        client has. Raises `StateUnreadable`, `ForeignState`.
        """
        link = self.link
        held, saved = read_state(Path(path), seal, issuer=link.issuer, client_id=link.client_id)
        return PendingToken(self, Pursuit.resumed(link, held), saved)

    def identify(self, token: Token, *, algorithm: str = USUAL_ALG) -> Identity:
        """Who signed in, by the ID token that came with this token (OpenID Connect).

        `algorithm`: the one that the client is registered with (`id_token_signed_response_alg`).
        Raises `NotIdentified` for one that is not to be believed, `Misconfigured` if there is
        none, `DiscoveryFailed`, `Unavailable`. The token stays good, and it may be tried again.
        """
        return self._run(identify(self.link, token, algorithm=algorithm))

    def userinfo(self, token: Token, identity: Identity) -> Mapping[str, Any]:
        """What the server tells about whoever was identified; `token` is one for UserInfo.

        Raises `ServerRefused` for a token that does not let us ask, `NotIdentified` for claims
        about somebody else, `MalformedResponse`, `DiscoveryFailed`, `Unavailable`.
        """
        return self._run(ask_userinfo(self.link, token, identity))

    def revoke(self, token: Token) -> None:
        """Revoke an access token; returns only if the server confirmed that.

        Raises `CancelNotSupported` if the server does not revoke tokens.
        """
        self._run(revoke_token(self.link, token))

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
        if self.sleep is not None:
            self.sleep(seconds)
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
        pursuit.be_called(self.notified)

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

    def notified(self) -> None:
        """A callback for this request has come. Whatever it says, the answer is polled for."""
        self._pursuit.notified()
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
            return
        if isinstance(step, Forget):
            self._pursuit.be_called_no_more()
        if self._saved is not None:
            follow(self._saved, step)
