"""`abeyance token`: get a token, and wait for it if somebody has to decide first.

Prints the token on standard output and nothing else there; how the wait goes is
told on standard error. A wait that is broken off is kept in a sealed file, and
the same command with that file goes on with it (T-236).
"""

import json
import os
import secrets
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from cyclopts import Parameter

from abeyance.cli.app import INTERRUPTED, NO, OK
from abeyance.cli.calls import BadCall
from abeyance.client import (
    AccessDenied,
    Authentication,
    CancelNotSupported,
    Client,
    ClientError,
    ClientSecretBasic,
    ClientSecretPost,
    ForeignState,
    Misconfigured,
    OnPartial,
    PendingToken,
    PrivateKeyJwt,
    Progress,
    StateUnreadable,
    StillPending,
    Token,
    generate_key,
)
from abeyance.client.keys import render_private_pem
from abeyance.client.private_file import create_private, read_private
from abeyance.proofs.jwk import BadKey, KeyPair, parse_private_jwk, parse_private_pem
from abeyance.wire.strict_json import NotStrictJson, parse_json, parse_json_object

WAITING: Final = 3
"""Exit code: nobody has decided yet."""

SECRET: Final = "ABEYANCE_CLIENT_SECRET"
SECRET_FILE: Final = "ABEYANCE_CLIENT_SECRET_FILE"

Output: TypeAlias = Literal["json", "token"]


def token(
    *,
    issuer: str,
    client_id: str,
    client_secret_file: Path | None = None,
    secret_in_body: Annotated[bool, Parameter(negative=())] = False,
    private_key: Path | None = None,
    alg: str | None = None,
    dpop: bool = True,
    dpop_key: Path | None = None,
    scope: str = "",
    resource: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    authorization_details: str | None = None,
    defer: bool = True,
    on_partial: OnPartial = "accept",
    timeout: Annotated[float | None, Parameter(negative=())] = None,
    state: Path | None = None,
    cancel_on_interrupt: Annotated[bool, Parameter(negative=())] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
    output: Annotated[Output, Parameter(name=["--output", "-o"])] = "json",
    connect: Annotated[Callable[..., Client], Parameter(parse=False)] = Client,
) -> int:
    """Get a token with client credentials, waiting for a decision if need be.

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
    client_secret_file
        A file that holds the client secret and nothing else.
    secret_in_body
        Send the secret in the body (client_secret_post), not in a header.
    private_key
        Authenticate with private_key_jwt and this key (JWK or PEM) instead of a secret.
    alg
        The algorithm of a PEM key that fits more than one (RSA: PS256 or RS256).
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
    cancel_on_interrupt
        Withdraw the request at Ctrl-C; else it is kept.
    quiet
        Do not tell how the wait goes.
    output
        json, or the access token alone.
    """
    if timeout is not None and not 0 <= timeout <= 1e9:
        raise BadCall("--timeout", "is no sensible number of seconds", "Leave it out to wait.")
    authentication = _authentication(client_secret_file, secret_in_body, private_key, alg)
    key = _proof_key(dpop, dpop_key, output)
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
    resume_with += ["--no-dpop"] * (not dpop)
    try:
        with connect(issuer, client_id, authentication, dpop_key=key) as client:
            wait = _Wait(
                client,
                state=state,
                timeout=None if timeout is None else timedelta(seconds=timeout),
                cancel=cancel_on_interrupt,
                quiet=quiet,
                resume_with=resume_with,
            )
            got = wait.obtain(asked, key)
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


@dataclass(slots=True, kw_only=True)
class _Line:
    """One line on standard error that is overwritten on a terminal, and repeated elsewhere."""

    quiet: bool
    last: str = ""

    def tell(self, text: str) -> None:
        if not self.quiet and text != self.last:
            if sys.stderr.isatty():
                print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            else:
                print(text, file=sys.stderr, flush=True)
        self.last = text

    def end(self) -> None:
        if self.last and not self.quiet and sys.stderr.isatty():
            print(file=sys.stderr)
        self.last = ""


class _Wait:
    """From the first request, or a saved one, to a token or an exit code."""

    def __init__(
        self,
        client: Client,
        *,
        state: Path | None,
        timeout: timedelta | None,
        cancel: bool,
        quiet: bool,
        resume_with: Sequence[str],
    ) -> None:
        self._client = client
        self._state = state
        self._timeout = timeout
        self._cancel = cancel
        self._line = _Line(quiet=quiet)
        self._resume_with = resume_with

    def obtain(self, asked: Mapping[str, Any], key: KeyPair | None) -> Token | int:
        if self._state is not None and self._state.exists():
            pending = self._client.resume(self._state)
            _check_same_key(pending, key)
            self._line.tell("Going on with the saved request.")
        else:
            answer = self._client.request_token(**asked)
            if isinstance(answer, Token):
                return answer
            pending = answer
            if self._state is not None:
                _save(pending, self._state)
        try:
            return pending.wait(on_progress=self._show, timeout=self._timeout)
        except StillPending:
            self._line.end()
            self._keep(pending)
            return WAITING
        except KeyboardInterrupt:
            self._line.end()
            return self._break_off(pending)
        finally:
            self._line.end()

    def _show(self, progress: Progress) -> None:
        step = f" ({progress.description})" if progress.description else ""
        left = (
            ""
            if progress.expires_in is None
            else f", expires at {_clock_time(progress.expires_in)}"
        )
        self._line.tell(f"Not yet: {progress.state.value}{step}{left}")

    def _break_off(self, pending: PendingToken) -> int:
        if self._cancel:
            try:
                pending.cancel()
            except CancelNotSupported:
                _say(
                    "The server does not offer to cancel; the request stays open until it expires."
                )
            else:
                _say("The request was cancelled.")
        else:
            self._keep(pending)
        return INTERRUPTED

    def _keep(self, pending: PendingToken) -> None:
        if self._state is None:
            self._state = _new_state_file()
            _save(pending, self._state)
        command = shlex.join([*self._resume_with, "--state", str(self._state)])
        _say(f"The request waits on. To go on with it:\n  {command}")


def _authentication(
    secret_file: Path | None, in_body: bool, private_key: Path | None, alg: str | None
) -> Authentication:
    if private_key is not None:
        if secret_file is not None or in_body:
            raise BadCall("--private-key", "is given beside a secret", "Choose one of the two.")
        return PrivateKeyJwt(_read_key("--private-key", private_key, alg))
    named = os.environ.get(SECRET_FILE)
    if secret_file is None and named:
        secret_file = Path(named)
    if secret_file is not None:
        text = _read_text("--client-secret-file", secret_file).strip()
    else:
        text = os.environ.get(SECRET, "")
    if not text:
        raise BadCall(
            "client",
            "there is neither a secret nor a key to authenticate with",
            f"Give --client-secret-file or --private-key, or set {SECRET}.",
        )
    return ClientSecretPost(text) if in_body else ClientSecretBasic(text)


def _proof_key(dpop: bool, path: Path | None, output: Output) -> KeyPair | None:
    if not dpop:
        if path is not None:
            raise BadCall("--dpop-key", "is given with --no-dpop", "Leave one of them out.")
        return None
    if path is None:
        if output == "token":
            raise BadCall(
                "--output",
                "a token that is bound to a key is of no use without the key",
                "Give --dpop-key FILE (made if it is not there), or --no-dpop, or -o json.",
            )
        return generate_key()
    if not path.exists():
        made = generate_key()
        try:
            create_private(path, render_private_pem(made))
        except OSError as fault:
            raise BadCall(
                "--dpop-key", f"cannot be written ({fault.strerror})", "Name another place."
            ) from None
        return made
    return _read_key("--dpop-key", path, None)


def _read_key(argument: str, path: Path, alg: str | None) -> KeyPair:
    try:
        content = read_private(path)
    except OSError as fault:
        raise BadCall(
            argument,
            f"cannot be read ({fault.strerror or fault})",
            "Name a file that only you can read.",
        ) from None
    try:
        if content.lstrip().startswith(b"{"):
            return parse_private_jwk(parse_json_object(content))
        return parse_private_pem(content, alg=alg)
    except (BadKey, NotStrictJson) as bad:
        raise BadCall(
            argument, f"cannot be used: {bad}", "Give a private key as JWK or PEM."
        ) from None


def _check_same_key(pending: PendingToken, key: KeyPair | None) -> None:
    kept = pending.dpop_key
    if (kept is None) != (key is None):
        raise BadCall(
            "--dpop",
            "the saved request was made without a key"
            if kept is None
            else "the saved request is bound to a key",
            "Use --no-dpop." if kept is None else "Leave --no-dpop out.",
        )


def _details(given: str | None) -> list[Any]:
    if given is None:
        return []
    text = _read_text("--authorization-details", Path(given[1:])) if given[:1] == "@" else given
    try:
        value = parse_json(text)
    except NotStrictJson as bad:
        raise BadCall("--authorization-details", f"is not JSON: {bad}", "Mend it.") from None
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise BadCall("--authorization-details", "is not a list of objects", "Mend it.")
    return value


def _read_text(argument: str, path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as fault:
        raise BadCall(
            argument, f"cannot be read ({fault.strerror})", "Name a file that is there."
        ) from None
    except UnicodeDecodeError:
        raise BadCall(argument, "is not UTF-8 text", "Name another file.") from None


def _save(pending: PendingToken, path: Path) -> None:
    try:
        pending.save(path)
    except OSError as fault:
        raise BadCall(
            "--state", f"cannot be written ({fault.strerror})", "Name another place."
        ) from None


def _new_state_file() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    folder = Path(home) / "abeyance" / "pending"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / secrets.token_hex(4)


def _named(argument: str, path: Path | str | None) -> list[str]:
    return [] if path is None else [argument, str(path)]


def _clock_time(ahead: timedelta) -> str:
    # Of the machine's own zone: a person reads it here and now.
    at = (datetime.now(UTC) + ahead).astimezone()
    return at.strftime("%H:%M:%S" if ahead < timedelta(hours=20) else "%Y-%m-%d %H:%M")


def _explain(failure: ClientError) -> None:
    _say(f"{failure}.")
    if isinstance(failure, AccessDenied) and failure.remark:
        _say(f'The reviewer writes: "{failure.remark}"')
    description = getattr(failure, "description", None)
    if description:
        _say(f'The server writes: "{description}"')


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


def _say(text: str) -> None:
    print(f"abeyance: {text}", file=sys.stderr)
