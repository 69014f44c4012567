"""A token that lives on, on disk: sealed, mode 0600, and one process at a time at work on it.

The lock is one of the operating system on a file beside it, so it goes with its
process however that ends. Whoever gets it reads the file first: the work may be
done. A request that waits stands in another file beside it (`.pending`), so that
whoever comes next goes on with it and asks nothing anew.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from abeyance.client.access import Access
from abeyance.client.errors import ForeignState, StateUnreadable
from abeyance.client.keys import render_private_pem
from abeyance.client.private_file import MODE, read_private, write_private
from abeyance.client.sealing import GRANT, KeyFile, Seal, new_sealer, unseal
from abeyance.client.token import Token
from abeyance.proofs.jwk import parse_private_pem
from abeyance.wire.secret import Secret


@dataclass(frozen=True, slots=True)
class GrantFile:
    """Where a token is kept. Without `seal` its key is a file beside it (`<path>.key`)."""

    path: Path
    seal: Seal | None = None

    @property
    def pending(self) -> Path:
        """Where a request of it that waits is saved."""
        return self.path.with_name(self.path.name + ".pending")

    @property
    def effective_seal(self) -> Seal:
        return self.seal or KeyFile(self.path.with_name(self.path.name + ".key"))

    def read(self, *, issuer: str, client_id: str) -> Token | None:
        """The token, `None` if there is none. Raises `StateUnreadable`, `ForeignState`."""
        try:
            sealed = read_private(self.path)
        except FileNotFoundError:
            return None
        except OSError as fault:
            why = fault.strerror or fault
            raise StateUnreadable(f"The kept token cannot be read: {why}") from None
        content, _ = unseal(sealed, self.effective_seal, GRANT)
        kept = _parse(content)
        if (kept.issuer, kept.client_id) != (issuer, client_id):
            raise ForeignState("The kept token belongs to another issuer or client")
        return _token(kept)

    def write(self, token: Token, *, issuer: str, client_id: str) -> None:
        """Replace what is kept. Raises `OSError`."""
        content = msgspec.json.encode(_keep(token, issuer, client_id))
        write_private(self.path, new_sealer(self.effective_seal).seal(content, GRANT))

    def forget(self) -> None:
        """Remove the token. Raises `OSError`, not if it is gone already."""
        self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Hold the lock if nobody has it; gives whether it is held. Raises `OSError`."""
        place = self.path.with_name(self.path.name + ".lock")
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT, MODE)
        try:
            # The file stays: removing it would let two hold "the" lock.
            yield _try_lock(descriptor)
        finally:
            os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    scope: list[str]
    resources: list[str]
    authorization_details: list[dict[str, Any]]


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    issuer: str
    client_id: str
    access_token: str
    token_type: str
    expires_at: float | None
    requested: _Asked
    granted: _Asked
    refresh_token: str | None
    key: str | None
    alg: str | None


def _keep(token: Token, issuer: str, client_id: str) -> _Kept:
    key = token.dpop_key
    return _Kept(
        issuer=issuer,
        client_id=client_id,
        access_token=token.access_token.reveal(),
        token_type=token.token_type,
        expires_at=None if token.expires_at is None else token.expires_at.timestamp(),
        requested=_asked(token.requested),
        granted=_asked(token.granted),
        refresh_token=None if token.refresh_token is None else token.refresh_token.reveal(),
        key=None if key is None else render_private_pem(key).decode("ascii"),
        alg=None if key is None else key.alg,
    )


def _asked(access: Access) -> _Asked:
    details = [dict(each) for each in access.authorization_details]
    return _Asked(list(access.scope), list(access.resources), details)


def _parse(content: bytes) -> _Kept:
    # The seal proves that we wrote it; what fails here is another version's.
    try:
        return msgspec.json.decode(content, type=_Kept)
    except msgspec.MsgspecError:
        raise StateUnreadable("The kept token was written by another version") from None


def _token(kept: _Kept) -> Token:
    at = kept.expires_at
    return Token(
        access_token=Secret(kept.access_token),
        token_type=kept.token_type,
        expires_at=None if at is None else datetime.fromtimestamp(at, UTC),
        requested=_access(kept.requested),
        granted=_access(kept.granted),
        refresh_token=None if kept.refresh_token is None else Secret(kept.refresh_token),
        dpop_key=(
            None if kept.key is None else parse_private_pem(kept.key.encode("ascii"), alg=kept.alg)
        ),
    )


def _access(asked: _Asked) -> Access:
    return Access(tuple(asked.scope), tuple(asked.resources), tuple(asked.authorization_details))
