"""Root secrets: what every key is derived from that is not for signing, and their succession.

    root.key                    the first one
    root-20260304T120000Z.key   one that is used from that instant on
    retired-root-....key        one that is used no more

The youngest whose instant has come is used for whatever is made. Those before it still open and
recognise what they have made, until a server has sealed all of it anew and nothing waits that is
older (`acts/resealing.py`); the next one is recognised as soon as it lies there, since another
process may be ahead. Handles do not depend on any of them.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from abeyance.keys.private_files import UnsafeKeys, move_private, read_private, write_private
from abeyance.wire.base64url import parse_base64url, render_base64url

ROOT: Final = "root.key"
ROOT_BYTES: Final = 32
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_LATER: Final = re.compile(r"root-([0-9]{8}T[0-9]{6}Z)\.key", re.ASCII)
_RETIRED: Final = "retired-root-*.key"
_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedKeys:
    """The keys that are derived from one root, one for each purpose.

    `nonce_key` makes DPoP nonces, `log_key` names in logs what must not be named,
    `interaction_key` proves that an interaction URI is ours, `seal_key` seals what
    must be sent again, `assertion_key` makes the home of an assertion,
    `user_code_key` hides user codes.
    """

    nonce_key: bytes = field(repr=False)
    log_key: bytes = field(repr=False)
    interaction_key: bytes = field(repr=False)
    seal_key: bytes = field(repr=False)
    assertion_key: bytes = field(repr=False)
    user_code_key: bytes = field(repr=False)

    def pseudonym(self, value: str) -> str:
        """A short keyed hash by which log lines about one value meet (OAUTH-LOG-03)."""
        return hmac.new(self.log_key, value.encode(), "sha256").hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Root:
    """A root and the instant from which it is used. `id` names it, and tells nothing of it."""

    id: str
    at: datetime
    path: Path
    keys: DerivedKeys


@dataclass(frozen=True, slots=True)
class Roots:
    """At least one, the oldest first. `retired` are for telling whom we have erased."""

    all: tuple[Root, ...]
    retired: tuple[Root, ...] = ()

    def used_at(self, now: datetime) -> Root:
        """The one by which things are made."""
        return max((each for each in self.all if each.at <= now), default=self.all[0], key=_at)

    def known_at(self, now: datetime) -> tuple[Root, ...]:
        """All that may have made something: the one that is used first."""
        used = self.used_at(now)
        return (used, *(each for each in reversed(self.all) if each != used))

    def outgoing_at(self, now: datetime) -> tuple[Root, ...]:
        """Those that another one has succeeded."""
        used = self.used_at(now)
        return tuple(each for each in self.all if each.at < used.at)

    def changes_at(self, now: datetime) -> datetime | None:
        """When the next one comes into use."""
        return min((each.at for each in self.all if each.at > now), default=None)


def load_or_make_roots(folder: Path) -> Roots:
    """Read the roots, making the first one in an empty folder. Raises `UnsafeKeys`."""
    if not any(_named(folder)):
        content = render_base64url(secrets.token_bytes(ROOT_BYTES)).encode() + b"\n"
        write_private(folder / ROOT, content)  # another process may have been first
    return read_roots(folder)


def read_roots(folder: Path, known: Iterable[Root] = ()) -> Roots:
    """Raises `UnsafeKeys`, also if there is none, and `OSError`.

    `known` stay what they are: a file that was rewritten is no other root.
    """
    found, there = [], {each.path: each for each in known}
    for path, at in _named(folder):
        try:
            found.append(there.get(path) or _read(path, at))
        except FileNotFoundError:
            continue  # taken out of use at this moment
    if not found:
        raise UnsafeKeys(
            folder, "has no root secret", "Restore it from a backup, or make one: rotate --root."
        )
    retired = tuple(_read(path, _ALWAYS) for path in sorted(folder.glob(_RETIRED)))
    return Roots(tuple(sorted(found, key=_at)), retired)


def lay_down_root(folder: Path, *, at: datetime) -> Root:
    """Make the root that is used from `at` on. Raises `UnsafeKeys` if there is one of then."""
    path = folder / f"root-{at.astimezone(UTC).strftime(_STAMP)}.key"
    content = render_base64url(secrets.token_bytes(ROOT_BYTES)).encode() + b"\n"
    if not write_private(path, content):
        raise UnsafeKeys(path, "is there already", "Try again in a second.")
    return _read(path, at)


def take_out_root(folder: Path, root: Root) -> Path:
    """Take a root out of use; returns its file. Another process may have been first."""
    path = folder / f"retired-root-{root.id}.key"
    try:
        move_private(root.path, path)
    except FileNotFoundError:
        if not path.exists():
            raise
    return path


def _named(folder: Path) -> Iterator[tuple[Path, datetime]]:
    for path in sorted(folder.iterdir()):
        if path.name == ROOT:
            yield path, _ALWAYS
        elif name := _LATER.fullmatch(path.name):
            try:
                yield path, datetime.strptime(name[1], _STAMP).replace(tzinfo=UTC)
            except ValueError:
                raise UnsafeKeys(path, "has no instant in its name", "Rename it.") from None


def _read(path: Path, at: datetime) -> Root:
    try:
        root = parse_base64url(read_private(path).decode("ascii").strip())
    except ValueError:
        root = b""
    if len(root) != ROOT_BYTES:
        raise UnsafeKeys(
            path, "is not a root secret", "Restore it from a backup; without one, move it away."
        )
    return Root(hashlib.sha256(_derive(root, "id")).hexdigest()[:16], at, path, _derive_all(root))


def _at(root: Root) -> datetime:
    return root.at


def _derive_all(root: bytes) -> DerivedKeys:
    return DerivedKeys(
        nonce_key=_derive(root, "dpop nonce"),
        log_key=_derive(root, "log"),
        interaction_key=_derive(root, "interaction"),
        seal_key=_derive(root, "seal"),
        assertion_key=_derive(root, "assertion"),
        user_code_key=_derive(root, "user code"),
    )


def _derive(root: bytes, purpose: str) -> bytes:
    # The root is uniformly random, so HKDF needs no salt (RFC 5869 §3.1).
    label = f"abeyance 1 {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=label).derive(root)
