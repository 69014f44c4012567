"""`abeyance token`: get a token, and wait for it if somebody has to decide first.

Prints the token on standard output and nothing else there; how the wait goes is
told on standard error. A wait that is broken off is kept in a sealed file, and
the same command with that file goes on with it (T-236).
"""

import importlib
import io
import json
import sys
import webbrowser
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter

from abeyance.cli.app import NO, OK
from abeyance.cli.calls import BadCall
from abeyance.cli.credentials import (
    read_authentication,
    read_certificate,
    read_proof_key,
    read_text,
)
from abeyance.cli.waiting import Wait, say
from abeyance.client import (
    AccessDenied,
    Client,
    ClientError,
    ForeignState,
    Misconfigured,
    OnPartial,
    PendingToken,
    StateUnreadable,
    Token,
)
from abeyance.client.keys import render_private_pem
from abeyance.wire.strict_json import NotStrictJson, parse_json

Output: TypeAlias = Literal["json", "token"]
How: TypeAlias = Literal["client", "code", "device"]


def token(
    *,
    issuer: str,
    client_id: str,
    flow: How = "client",
    public: Annotated[bool, Parameter(negative=())] = False,
    client_secret_file: Path | None = None,
    secret_in_body: Annotated[bool, Parameter(negative=())] = False,
    private_key: Path | None = None,
    alg: str | None = None,
    certificate: Path | None = None,
    certificate_key: Path | None = None,
    dpop: bool = True,
    dpop_key: Path | None = None,
    scope: str = "",
    resource: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    authorization_details: str | None = None,
    defer: bool = True,
    on_partial: OnPartial = "accept",
    timeout: Annotated[float | None, Parameter(negative=())] = None,
    state: Path | None = None,
    keep: Path | None = None,
    port: Annotated[int, Parameter(negative=())] = 0,
    cancel_on_interrupt: Annotated[bool, Parameter(negative=())] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
    output: Annotated[Output, Parameter(name=["--output", "-o"])] = "json",
    connect: Annotated[Callable[..., Client], Parameter(parse=False)] = Client,
) -> int:
    """Get a token, waiting for a decision if need be.

    With --flow code a browser opens, in which a person lets the client act for
    them (authorization code with PKCE; the client is registered with the redirect
    URI http://127.0.0.1/callback). With --flow device a code is printed, which a
    person types at the server's page on any other screen.
    The client secret comes from a file or from the environment variable
    ABEYANCE_CLIENT_SECRET (or ABEYANCE_CLIENT_SECRET_FILE), never from the
    command line. Exit codes: 0 there is a token, 1 the answer is no, 2 the call
    is wrong, 3 nobody has decided yet, 130 interrupted.

    Parameters
    ----------
    issuer
        The authorization server; http only on this machine.
    client_id
        The client's id.
    flow
        client: the client acts for itself; code: for a person, who agrees in a browser here;
        device: for a person, who types a code in a browser anywhere.
    public
        The client has no credentials (token_endpoint_auth_method none).
    client_secret_file
        A file that holds the client secret and nothing else.
    secret_in_body
        Send the secret in the body (client_secret_post), not in a header.
    private_key
        Authenticate with private_key_jwt and this key (JWK or PEM) instead of a secret.
    alg
        The algorithm of a PEM key that fits more than one (RSA: PS256 or RS256).
    certificate
        A certificate to show to the server, in PEM, with those that issued it. Without another
        credential it authenticates the client (tls_client_auth, self_signed_tls_client_auth);
        beside one, tokens are bound to it if the client is registered so.
    certificate_key
        The key of the certificate, unless it is in the same file.
    dpop
        Bind the request and the token to a key.
    dpop_key
        The key to bind to (JWK or PEM); made if it is not there. Without it a
        new key is made and printed with the token.
    scope
        What is asked, separated by spaces.
    resource
        A resource server; may be repeated.
    authorization_details
        JSON, or @ and the name of a file that holds it.
    defer
        Accept "not yet" as an answer.
    on_partial
        What to do with a token that grants less than asked; reject revokes it.
    timeout
        How many seconds to wait; the request is kept.
    state
        Where a request that waits is kept, sealed. If it is there, it goes on.
    keep
        Keep the token in this file, sealed. The next call takes it from there,
        and refreshes it when it has run out; only one of several calls at once does.
    port
        The port of the redirect URI; any free one if it is left out.
    cancel_on_interrupt
        Withdraw the request at Ctrl-C; else it is kept.
    quiet
        Do not tell how the wait goes.
    output
        json, or the access token alone.
    """
    if timeout is not None and not 0 <= timeout <= 1e9:
        raise BadCall("--timeout", "is no sensible number of seconds", "Leave it out to wait.")
    if keep is not None and state is not None:
        raise BadCall("--state", "is given beside --keep, which has its own", "Leave one out.")
    shown = read_certificate(certificate, certificate_key)
    authentication = read_authentication(
        client_secret_file, secret_in_body, private_key, alg, public, certified=shown is not None
    )
    key = read_proof_key(dpop, dpop_key, printed=output == "json")
    asked = {
        "scope": scope,
        "resource": resource,
        "authorization_details": _details(authorization_details),
        "defer": defer,
        "on_partial": on_partial,
    }
    resume_with = ["abeyance", "token", "--issuer", issuer, "--client-id", client_id]
    resume_with += _named("--client-secret-file", client_secret_file)
    resume_with += _named("--private-key", private_key) + _named("--dpop-key", dpop_key)
    resume_with += ["--secret-in-body"] * secret_in_body + _named("--alg", alg)
    resume_with += _named("--certificate", certificate)
    resume_with += _named("--certificate-key", certificate_key)
    resume_with += ["--no-dpop"] * (not dpop) + ["--public"] * public
    patience = None if timeout is None else timedelta(seconds=timeout)
    try:
        with connect(issuer, client_id, authentication, dpop_key=key, certificate=shown) as client:
            wait = Wait(
                client,
                ask=lambda: _ask(client, flow, asked, port),
                state=state,
                timeout=patience,
                cancel=cancel_on_interrupt,
                quiet=quiet,
                resume_with=resume_with,
            )
            got = wait.obtain(key) if keep is None else wait.keep(keep)
    except Misconfigured as wrong:
        raise BadCall("--issuer", str(wrong), "See: abeyance token --help") from None
    except (StateUnreadable, ForeignState) as wrong:
        raise BadCall("--state", str(wrong), "Name another file to make a new request.") from None
    except ClientError as failure:
        _explain(failure)
        return NO
    if isinstance(got, int):
        return got
    # A key that stands in no file of the caller's would be lost with this process.
    in_file = dpop_key is not None and key is not None and got.dpop_key == key
    print(_render(got, output, show_key=not in_file))
    return OK


def _ask(client: Client, flow: How, asked: Mapping[str, Any], port: int) -> Token | PendingToken:
    if flow == "client":
        answer: Token | PendingToken = client.request_token(**asked)
        return answer
    if flow == "device":
        return _on_a_device(client, asked)
    try:
        return client.authorize_in_browser(**asked, open_browser=_open, port=port)
    except OSError as fault:
        raise BadCall(
            "--port", f"cannot be listened on ({fault.strerror})", "Name another one."
        ) from None


def _on_a_device(client: Client, asked: Mapping[str, Any]) -> Token | PendingToken:
    begun = {name: value for name, value in asked.items() if name != "on_partial"}
    request = client.device_request(**begun)
    say(f"On any screen, open\n  {request.verification_uri}\nand type\n  {request.user_code}")
    if request.verification_uri_complete is not None:
        say(f"or open this there, and compare the code:\n  {request.verification_uri_complete}")
        drawn = draw_qr(request.verification_uri_complete) if sys.stderr.isatty() else None
        if drawn is not None:
            say(drawn)
    return client.await_device(request, on_partial=asked["on_partial"])


def draw_qr(text: str) -> str | None:
    """A QR code of just this text, for a terminal (DEV-QR-01); `None` without the extra `qr`."""
    try:
        segno = importlib.import_module("segno")
    except ImportError:
        return None
    drawn = io.StringIO()
    segno.make_qr(text, error="m").terminal(drawn, compact=True)
    return drawn.getvalue().rstrip("\n")


def _open(url: str) -> None:
    # Printed in any case: the browser may be on another machine, or there may be none.
    say(f"Open this in your browser, and agree there:\n  {url}")
    webbrowser.open(url)


def _details(given: str | None) -> list[Any]:
    if given is None:
        return []
    text = read_text("--authorization-details", Path(given[1:])) if given[:1] == "@" else given
    try:
        value = parse_json(text)
    except NotStrictJson as bad:
        raise BadCall("--authorization-details", f"is not JSON: {bad}", "Mend it.") from None
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise BadCall("--authorization-details", "is not a list of objects", "Mend it.")
    return value


def _named(argument: str, path: Path | str | None) -> list[str]:
    return [] if path is None else [argument, str(path)]


def _explain(failure: ClientError) -> None:
    say(f"{failure}.")
    if isinstance(failure, AccessDenied) and failure.remark:
        say(f'The reviewer writes: "{failure.remark}"')
    description = getattr(failure, "description", None)
    if description:
        say(f'The server writes: "{description}"')


def _render(got: Token, output: Output, *, show_key: bool) -> str:
    if output == "token":
        return got.access_token.reveal()
    told: dict[str, Any] = {
        "access_token": got.access_token.reveal(),
        "token_type": got.token_type,
        "expires_at": None if got.expires_at is None else got.expires_at.isoformat(),
        "scope": " ".join(got.scope),
        "authorization_details": list(got.authorization_details),
        "refresh_token": None if got.refresh_token is None else got.refresh_token.reveal(),
        "missing": {
            "scope": " ".join(got.missing.scope),
            "authorization_details": list(got.missing.authorization_details),
        }
        if got.partial
        else None,
        "dpop_key": (
            render_private_pem(got.dpop_key).decode("ascii")
            if show_key and got.dpop_key is not None
            else None
        ),
    }
    return json.dumps({name: value for name, value in told.items() if value not in (None, "", [])})
