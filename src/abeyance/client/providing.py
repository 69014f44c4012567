"""A token whenever one is needed: kept, refreshed, obtained, waited for (`TokenSource`).

The logic stands once, as a generator that yields what to do; `sync_source` and
`async_source` do it. One flight at a time over the tasks of a process (the driver
holds its lock) and, where the token is kept in a file, over processes.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias

from abeyance.client.authentication import Strength
from abeyance.client.errors import InvalidGrant, Misconfigured, StateUnreadable, StillPending
from abeyance.client.grant_file import GrantFile
from abeyance.client.link import Link, log
from abeyance.client.refreshing import with_refresh_token
from abeyance.client.token import Token

LEEWAY: Final = timedelta(seconds=30)
"""How long before its end a token counts as ended: what is sent now must arrive."""

_BETWEEN: Final = 0.2  # seconds between two tries for the lock of another process


@dataclass(frozen=True, slots=True)
class Do:
    """Call this; it touches files only."""

    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Refresh:
    """Refresh this; the answer is a token or, if that is acceptable, a pending handle."""

    token: Token
    defer: bool


@dataclass(frozen=True, slots=True)
class Obtain:
    """Call the caller's own function; the answer is a token or a pending handle."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Take up the saved request; the answer is a pending handle."""


@dataclass(frozen=True, slots=True)
class Save:
    """Save this pending handle beside the token."""

    pending: Any


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for this pending handle; the answer is a token."""

    pending: Any


@dataclass(frozen=True, slots=True)
class Rest:
    """Sleep for so many seconds."""

    seconds: float


Command: TypeAlias = Do | Refresh | Obtain | Resume | Save | Wait | Rest
Commands: TypeAlias = Generator[Command, Any, Token]


class Provider:
    """What both kinds of `TokenSource` share: the token in hand, and how to come by one."""

    def __init__(self, link: Link, file: GrantFile | None, *, can_obtain: bool) -> None:
        self._link = link
        self._file = file
        self._can_obtain = can_obtain
        self._token: Token | None = None
        self._unkept = False  # the token in hand replaces what the file still holds
        self._in_file: Token | None = None  # as of the last look

    def in_hand(self, rejected: Token | None) -> Token | None:
        """The token, if it can be used and is not the one that somebody rejected."""
        token = self._token
        return token if token is not None and self._is_good(token, rejected) else None

    def provide(self, rejected: Token | None, timeout: timedelta | None) -> Commands:
        """Come by a token. Raises what refreshing, obtaining and waiting raise; `StillPending`
        if another process was at work for longer than `timeout`.
        """
        if (token := self.in_hand(rejected)) is not None:
            return token
        if self._file is None:
            return (yield from self._come_by(rejected))
        until = (
            None if timeout is None else self._link.surroundings.tick() + timeout.total_seconds()
        )
        while True:
            # Entered and left here: nothing else may run between, and a killed driver lets go.
            with self._file.try_lock() as locked:
                if locked:
                    return (yield from self._come_by(rejected))
            if until is not None and self._link.surroundings.tick() >= until:
                raise StillPending
            yield Rest(_BETWEEN)

    def keep(self, token: Token) -> None:
        """Remember this token, in the file too. Raises `OSError`."""
        self._token = token
        if self._file is not None:
            self._unkept = True
            self._file.write(token, issuer=self._link.issuer, client_id=self._link.client_id)
            self._in_file, self._unkept = token, False

    def _come_by(self, rejected: Token | None) -> Commands:
        if self._file is not None:
            self._token = yield Do(self._read)
            if (token := self.in_hand(rejected)) is not None:
                return token
            if self._file.pending.exists():
                pending = yield from self._resume()
                if pending is not None:
                    return (yield from self._wait(pending, self._token))
        old = self._token
        if old is not None and old.refresh_token is not None:
            try:
                answer = yield Refresh(old, defer=self._may_wait(old))
            except InvalidGrant:
                # Revoked, run out, or withdrawn: whoever can must ask anew.
                yield Do(self._forget)
                if not self._can_obtain:
                    raise
            else:
                return (yield from self._take(answer, old))
        if not self._can_obtain:
            raise Misconfigured("There is no token, and nothing to obtain one with")
        answer = yield Obtain()
        return (yield from self._take(answer, None))

    def _take(self, answer: Any, old: Token | None) -> Commands:
        if not isinstance(answer, Token):
            if self._file is not None:
                yield Save(answer)
            return (yield from self._wait(answer, old))
        return (yield from self._kept(answer, old))

    def _wait(self, pending: Any, old: Token | None) -> Commands:
        token = yield Wait(pending)
        return (yield from self._kept(token, old))

    def _kept(self, token: Token, old: Token | None) -> Commands:
        if old is not None:
            token = with_refresh_token(token, old.refresh_token)
        # In hand first: neither a full disk nor a cancelled task may cost what just came.
        self._token, self._unkept = token, True
        yield Do(lambda: self._keep_if_possible(token))
        return token

    def _resume(self) -> Generator[Command, Any, Any]:
        try:
            return (yield Resume())
        except StateUnreadable:
            log.warning("a saved request that cannot be read was left alone")
            return None

    def _keep_if_possible(self, token: Token) -> None:
        try:
            self.keep(token)
        except OSError:
            log.warning("the token could not be kept")

    def _read(self) -> Token | None:
        if self._file is None:
            return self._token
        kept = self._file.read(issuer=self._link.issuer, client_id=self._link.client_id)
        if self._unkept and self._token is not None and _same(kept, self._in_file):
            # What the file holds was spent for the one in hand: shown again, it ends the grant.
            self._keep_if_possible(self._token)
            return self._token
        self._in_file, self._unkept = kept, False
        return kept

    def _forget(self) -> None:
        self._token, self._in_file, self._unkept = None, None, False
        if self._file is not None:
            self._file.forget()

    def _may_wait(self, token: Token) -> bool:
        """A public client may only wait with a key (DTR-SEC-01)."""
        public = self._link.authentication.strength is Strength.NONE
        return token.dpop_key is not None or not public

    def _is_good(self, token: Token, rejected: Token | None) -> bool:
        if rejected is not None and token.access_token.matches(rejected.access_token.digest()):
            return False
        return token.expires_at is None or (
            token.expires_at - LEEWAY > self._link.surroundings.now()
        )


def _same(one: Token | None, other: Token | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.access_token.matches(other.access_token.digest())
