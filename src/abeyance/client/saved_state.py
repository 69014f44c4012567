"""A pending request on disk: sealed, mode 0600, replaced as a whole (T-236, T-237).

It holds the deferral code and the private DPoP key, never the client's own
credentials. It names its issuer and client, and is refused for any other.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from abeyance.client.access import Access
from abeyance.client.addresses import BadAddress, check_endpoint
from abeyance.client.errors import ForeignState, StateUnreadable
from abeyance.client.exchange import Forget, Keep
from abeyance.client.held import Held
from abeyance.client.keys import render_private_pem
from abeyance.client.link import log
from abeyance.client.private_file import read_private, write_private
from abeyance.client.sealing import KeyFile, Seal, Sealer, new_sealer, unseal
from abeyance.proofs.jwk import parse_private_pem
from abeyance.wire.secret import Secret


@dataclass(frozen=True, slots=True)
class SavedState:
    """Where a request is saved, and how it is sealed; `key_file` goes when the state goes."""

    path: Path
    sealer: Sealer
    key_file: Path | None

    @classmethod
    def at(cls, path: Path, seal: Seal | None) -> "SavedState":
        """Prepare to save; without a seal, a key file is made beside. Raises `OSError`."""
        if seal is not None:
            return cls(path, new_sealer(seal), None)
        beside = _key_beside(path)
        return cls(path, new_sealer(KeyFile(beside)), beside)

    def write(self, held: Held) -> None:
        """Raises `OSError`."""
        write_private(self.path, self.sealer.seal(_render(held)))

    def remove(self) -> None:
        """Raises `OSError`, not if it is gone already."""
        self.path.unlink(missing_ok=True)
        if self.key_file is not None:
            self.key_file.unlink(missing_ok=True)


def read_state(
    path: Path, seal: Seal | None, *, issuer: str, client_id: str
) -> tuple[Held, SavedState]:
    """Read what was saved by this client for this issuer.

    Raises `StateUnreadable`, and `ForeignState` before anything could be sent
    to a server that the code does not belong to (DTR-RESP-07).
    """
    beside = None
    if seal is None:
        beside = _key_beside(path)
        seal = KeyFile(beside)
    try:
        sealed = read_private(path)
    except OSError as fault:
        raise StateUnreadable(
            f"The saved request cannot be read: {fault.strerror or fault}"
        ) from None
    content, sealer = unseal(sealed, seal)
    held = _parse(content)
    if held.issuer != issuer:
        raise ForeignState("The saved request belongs to another issuer")
    if held.client_id != client_id:
        raise ForeignState("The saved request belongs to another client")
    return held, SavedState(path, sealer, beside)


def _key_beside(path: Path) -> Path:
    return path.with_name(path.name + ".key")


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    scope: list[str]
    resources: list[str]
    authorization_details: list[dict[str, Any]]


class _Key(msgspec.Struct, forbid_unknown_fields=True):
    pem: str
    alg: str
    kid: str | None


class _State(msgspec.Struct, forbid_unknown_fields=True):
    issuer: str
    token_endpoint: str
    client_id: str
    deferral_code: str
    key: _Key | None
    requested: _Asked
    on_partial: Literal["accept", "reject"]
    interval: float
    penalties: int
    opened_at: float
    expires_at: float | None
    nonce: str | None = None
    notification_token: str | None = None


def _render(held: Held) -> bytes:
    state = _State(
        issuer=held.issuer,
        token_endpoint=held.token_endpoint,
        client_id=held.client_id,
        deferral_code=held.code.reveal(),
        key=(
            None
            if held.key is None
            else _Key(
                pem=render_private_pem(held.key).decode("ascii"),
                alg=held.key.alg,
                kid=held.key.public.kid,
            )
        ),
        requested=_Asked(
            scope=list(held.requested.scope),
            resources=list(held.requested.resources),
            authorization_details=[dict(each) for each in held.requested.authorization_details],
        ),
        on_partial=held.on_partial,
        interval=held.interval.total_seconds(),
        penalties=held.penalties,
        opened_at=held.opened_at.timestamp(),
        expires_at=None if held.expires_at is None else held.expires_at.timestamp(),
        nonce=None if held.nonce is None else held.nonce.reveal(),
        notification_token=(
            None if held.notification_token is None else held.notification_token.reveal()
        ),
    )
    return msgspec.json.encode(state)


def _parse(content: bytes) -> Held:
    # The seal proves that we wrote it; what fails here is another version's.
    try:
        state = msgspec.json.decode(content, type=_State)
        check_endpoint(state.token_endpoint, issuer=state.issuer)
        return Held(
            issuer=state.issuer,
            token_endpoint=state.token_endpoint,
            client_id=state.client_id,
            code=Secret(state.deferral_code),
            key=(
                None
                if state.key is None
                else parse_private_pem(
                    state.key.pem.encode("ascii"), alg=state.key.alg, kid=state.key.kid
                )
            ),
            requested=Access(
                scope=tuple(state.requested.scope),
                resources=tuple(state.requested.resources),
                authorization_details=tuple(state.requested.authorization_details),
            ),
            on_partial=state.on_partial,
            interval=timedelta(seconds=state.interval),
            penalties=state.penalties,
            opened_at=datetime.fromtimestamp(state.opened_at, UTC),
            expires_at=(
                None if state.expires_at is None else datetime.fromtimestamp(state.expires_at, UTC)
            ),
            nonce=None if state.nonce is None else Secret(state.nonce),
            notification_token=(
                None if state.notification_token is None else Secret(state.notification_token)
            ),
        )
    except (msgspec.MsgspecError, BadAddress, ValueError, OverflowError):
        raise StateUnreadable("The saved request was written by another version") from None


def follow(saved: SavedState, step: Keep | Forget) -> None:
    """Bring the file up to date. A full disk must not cost the token that just came."""
    try:
        if isinstance(step, Keep):
            saved.write(step.held)
        else:
            saved.remove()
    except OSError:
        log.warning("the saved request could not be brought up to date")
