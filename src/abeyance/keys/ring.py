"""The keys of a running server: the folder, looked at again now and then.

A key that is laid down by command is noticed without a restart (OAUTH-OIDC-16); one
that cannot be used never breaks a server that serves: what was good before stays,
and its instants still come.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from abeyance.keys.folder import Keys, check_algorithms, load_or_create, read_schedule
from abeyance.keys.private_files import UnsafeKeys
from abeyance.keys.roots import DerivedKeys, Root, Roots, read_roots, take_out_root
from abeyance.keys.schedule import Scheduled
from abeyance.proofs.jwk import KeyPair, KeySet

LOOK_EVERY: Final = 5.0  # seconds

_log = structlog.get_logger("abeyance.keys")


class KeyRing:
    """The keys as they stand whenever they are asked for.

    `now` and `tick` are the house's clock. The folder is looked at only when a
    signing key is asked for, and read only when something was moved in it.
    """

    def __init__(
        self,
        folder: Path,
        keys: Keys,
        *,
        now: Callable[[], datetime],
        tick: Callable[[], float],
        algorithms: Collection[str] | None = None,
    ) -> None:
        self._folder = folder
        self._roots = keys.roots
        self._known = keys.roots.known_at(now())
        self._heir_at = keys.roots.changes_at(now())
        self._schedule = keys.schedule
        self._standing = keys.schedule.standing(now())
        self._now = now
        self._tick = tick
        self._algorithms = algorithms
        self._looked = tick()
        self._seen: int | None = None
        self._settled = False
        self._complained = False
        self._listeners: list[Callable[[Scheduled], None]] = []
        self._heirs: list[Callable[[], None]] = []

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        now: Callable[[], datetime],
        tick: Callable[[], float],
        id_tokens: Iterable[str] = (),
        algorithms: Collection[str] | None = None,
    ) -> "KeyRing":
        """Load the keys, making what is missing, also for ID tokens.

        `algorithms`: those by which access tokens may be signed, from the start and whatever
        is laid down later; `None` for all. Raises `UnsafeKeys`.
        """
        keys = load_or_create(folder, now=now(), id_tokens=id_tokens)
        check_algorithms(keys.schedule, algorithms, now())
        return cls(folder, keys, now=now, tick=tick, algorithms=algorithms)

    def on_change(self, tell: Callable[[Scheduled], None]) -> None:
        """Call `tell` with the key that signs, whenever it is another one than before."""
        self._listeners.append(tell)

    @property
    def scheduled(self) -> Scheduled:
        """The key that signs, and from when on."""
        self._look()
        return self._standing.signing

    @property
    def signing(self) -> KeyPair:
        return self.scheduled.pair

    def for_id_tokens(self, alg: str) -> KeyPair | None:
        """The key that signs ID tokens of this algorithm, if there is one."""
        self._look()
        return self._standing.for_id_tokens.get(alg)

    @property
    def recognised(self) -> KeySet:
        """Those that are published, and older ones by which a hint is known as ours."""
        self._look()
        return self._standing.recognised

    @property
    def published(self) -> KeySet:
        """The same object for as long as nothing changes."""
        self._look()
        return self._standing.published

    # --- roots: as they were when the folder was looked at last, since what is polled asks

    def on_root(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever other roots are known, or another one is used."""
        self._heirs.append(tell)

    def look(self) -> None:
        """Look at the folder, and at the clock: where no key signs, nobody else does."""
        self._look()

    @property
    def derived(self) -> DerivedKeys:
        """The keys by which things are made now."""
        return self._known[0].keys

    @property
    def known(self) -> tuple[DerivedKeys, ...]:
        """Those by which things may have been made: those of `derived` first."""
        return tuple(each.keys for each in self._known)

    def derived_at(self, at: datetime) -> DerivedKeys:
        """The keys by which things were made at an instant; the same for every process."""
        return self._roots.used_at(at).keys

    @property
    def outgoing(self) -> tuple[Root, ...]:
        """Roots that another one has succeeded; the last is the one before the present one."""
        return self._roots.outgoing_at(self._now())

    @property
    def root(self) -> Root:
        """The present one."""
        return self._known[0]

    def retire(self, root: Root) -> None:
        """Take an outgoing root out of use, for every process. Raises `OSError`, `UnsafeKeys`."""
        take_out_root(self._folder, root)
        self._inherit(read_roots(self._folder, self._roots.all), self._now())

    @property
    def nonce_keys(self) -> tuple[bytes, ...]:
        return tuple(each.nonce_key for each in self.known)

    def pseudonym(self, value: str) -> str:
        return self.derived.pseudonym(value)

    def pseudonyms(self, value: str) -> tuple[str, ...]:
        """By every root there is or was: the present one first."""
        every = (*self._known, *self._roots.retired)
        return tuple(each.keys.pseudonym(value) for each in every)

    def _look(self) -> None:
        tick, now = self._tick(), self._now()
        read = False
        if tick - self._looked >= LOOK_EVERY:
            self._looked = tick
            read = self._read()
        if read or not self._standing.holds_at(now):
            self._judge(now)
        if read or (self._heir_at is not None and now >= self._heir_at):
            self._inherit(self._roots, now)

    def _read(self) -> bool:
        """Read the folder if something was moved in it; is the schedule another one?"""
        modified = self._modified()
        # Twice after each change: what is moved within one step of the file system's
        # clock, some milliseconds, leaves the same time behind.
        if modified == self._seen and self._settled:
            return False
        try:
            schedule = read_schedule(self._folder, self._schedule.keys)
            check_algorithms(schedule, self._algorithms, self._now())
            roots = read_roots(self._folder, self._roots.all)
        except (UnsafeKeys, OSError) as fault:
            self._complain(fault)
            return False
        self._complained = False
        self._seen, self._settled = modified, modified == self._seen
        before = (self._schedule, self._roots)
        self._schedule, self._roots = schedule, roots
        return (schedule, roots) != before

    def _inherit(self, roots: Roots, now: datetime) -> None:
        before, self._roots = self._known, roots
        self._known, self._heir_at = roots.known_at(now), roots.changes_at(now)
        if self._known[0] != before[0]:
            _log.info("another root is used", root=self._known[0].id)
        if self._known != before:
            for tell in self._heirs:
                tell()

    def _judge(self, now: datetime) -> None:
        before, after = self._standing, self._schedule.standing(now)
        if after.published == before.published:
            after = replace(after, published=before.published)
        else:
            _log.info("another set of keys is published", keys=len(after.published))
        for alg, pair in after.for_id_tokens.items():
            known = before.for_id_tokens.get(alg)
            if pair.kid not in (after.signing.kid, None if known is None else known.kid):
                _log.info("another key signs ID tokens", alg=alg, kid=pair.kid)
        self._standing, signing = after, after.signing
        if signing.kid != before.signing.kid:
            _log.info("another key signs", file=signing.path.name, alg=signing.pair.alg)
            for tell in self._listeners:
                tell(signing)

    def _complain(self, fault: UnsafeKeys | OSError) -> None:
        if self._complained:
            return
        self._complained = True
        if isinstance(fault, UnsafeKeys):
            about = {"file": fault.path.name, "problem": fault.problem}
        else:
            about = {"problem": fault.strerror or type(fault).__name__}
        _log.error("keys cannot be used, those that were there stay", **about)

    def _modified(self) -> int | None:
        try:
            return self._folder.stat().st_mtime_ns
        except OSError:
            return None
