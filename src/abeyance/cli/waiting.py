"""Waiting on the command line: one line of progress, and what is kept when it is broken off."""

import os
import secrets
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from abeyance.cli.app import INTERRUPTED
from abeyance.cli.calls import BadCall
from abeyance.client import (
    CancelNotSupported,
    Client,
    PendingToken,
    Progress,
    StillPending,
    Token,
    TokenSource,
)
from abeyance.proofs.jwk import KeyPair

WAITING: Final = 3
"""Exit code: nobody has decided yet."""


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


class Wait:
    """From the first request, or a saved one, to a token or an exit code."""

    def __init__(
        self,
        client: Client,
        *,
        ask: Callable[[], Token | PendingToken],
        state: Path | None,
        timeout: timedelta | None,
        cancel: bool,
        quiet: bool,
        resume_with: Sequence[str],
    ) -> None:
        self._client = client
        self._ask = ask
        self._state = state
        self._timeout = timeout
        self._cancel = cancel
        self._line = _Line(quiet=quiet)
        self._resume_with = resume_with
        self._told = ""  # the address that was shown last

    def keep(self, path: Path) -> Token | int:
        """A token that is kept there, refreshed, resumed or asked for."""
        source = TokenSource(
            self._client, self._ask, path=path, on_progress=self._show, timeout=self._timeout
        )
        try:
            return source.token()
        except StillPending:
            self._line.end()
            say("The request waits on; the same command goes on with it.")
            return WAITING
        except KeyboardInterrupt:
            self._line.end()
            say("The request waits on, if one was made; the same command goes on with it.")
            return INTERRUPTED
        except OSError as fault:
            raise BadCall(
                "--keep", f"cannot be used ({fault.strerror})", "Name another place."
            ) from None
        finally:
            self._line.end()

    def obtain(self, key: KeyPair | None) -> Token | int:
        if self._state is not None and self._state.exists():
            pending = self._client.resume(self._state)
            _check_same_key(pending, key)
            self._line.tell("Going on with the saved request.")
        else:
            answer = self._ask()
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
        if progress.interaction_uri is not None and progress.interaction_uri.reveal() != self._told:
            self._told = progress.interaction_uri.reveal()
            self._line.end()
            say(f"Somebody must do something first, here:\n  {self._told}")

    def _break_off(self, pending: PendingToken) -> int:
        if self._cancel:
            try:
                pending.cancel()
            except CancelNotSupported:
                say("The server does not offer to cancel; the request stays open until it expires.")
            else:
                say("The request was cancelled.")
        else:
            self._keep(pending)
        return INTERRUPTED

    def _keep(self, pending: PendingToken) -> None:
        if self._state is None:
            self._state = _new_state_file()
            _save(pending, self._state)
        command = shlex.join([*self._resume_with, "--state", str(self._state)])
        say(f"The request waits on. To go on with it:\n  {command}")


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


def _clock_time(ahead: timedelta) -> str:
    # Of the machine's own zone: a person reads it here and now.
    at = (datetime.now(UTC) + ahead).astimezone()
    return at.strftime("%H:%M:%S" if ahead < timedelta(hours=20) else "%Y-%m-%d %H:%M")


def say(text: str) -> None:
    print(f"abeyance: {text}", file=sys.stderr)
