"""The folder of keys: what lies in it and what is derived from it.

    root.key                        32 random bytes; every other secret is derived from it
    signing-20260304T120000Z.pem    a signing key, which signs from that instant on
    id-token-RS256-20260304T120000Z.pem  the same, for the ID tokens of one algorithm
    retired-20260304T120000Z-*.pem  one that was taken out of use; never read

Each purpose has its own key (OAUTH-SEC-07). Which signing key is for what, and when,
is `schedule`'s; laying down and taking out of use, `rotating`'s.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from abeyance.keys.making import ALGORITHMS, new_private_pem, parse_signing_pem
from abeyance.keys.private_files import (
    UnsafeKeys,
    make_private_folder,
    read_private,
    write_private,
)
from abeyance.keys.schedule import MAIN, Schedule, Scheduled
from abeyance.proofs.jwk import BadKey
from abeyance.wire.base64url import parse_base64url, render_base64url

ROOT: Final = "root.key"
ROOT_BYTES: Final = 32
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_SIGNING = re.compile(
    r"(?:signing|id-token-(ES256|EdDSA|RS256|PS256))-([0-9]{8}T[0-9]{6}Z)\.pem", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedKeys:
    """The keys that are derived from the root, one for each purpose.

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
class Keys:
    """All that lies in the folder."""

    schedule: Schedule
    derived: DerivedKeys


def load_or_create(folder: Path, *, now: datetime, id_tokens: Iterable[str] = ()) -> Keys:
    """Load the keys, making what is missing. `id_tokens`: the algorithms to sign them with.

    Raises `UnsafeKeys` for what others could read, for links, and for what is
    no key.
    """
    make_private_folder(folder)
    root = _load_root(folder / ROOT)
    if not _lines(read_signing(folder)) & {MAIN}:
        write_private(signing_path(folder, now), new_private_pem())
    schedule = read_schedule(folder)
    there = {*_lines(schedule.keys), schedule.standing(now).signing.pair.alg}
    wanted = set(id_tokens) - there
    missing = [alg for alg in ALGORITHMS if alg in wanted]
    for alg in missing:
        write_private(signing_path(folder, now, alg), new_private_pem(alg))
    return Keys(read_schedule(folder, schedule.keys) if missing else schedule, _derive_all(root))


def read_schedule(folder: Path, known: Iterable[Scheduled] = ()) -> Schedule:
    """Read the signing keys; raises `UnsafeKeys`, also if there is none, and `OSError`.

    `known` are keys that were read before, which need not be parsed again.
    """
    keys = read_signing(folder, known)
    if MAIN not in _lines(keys):
        raise UnsafeKeys(folder, "has no signing key", "Make one: abeyance keys rotate --now.")
    return Schedule(keys)


def read_signing(folder: Path, known: Iterable[Scheduled] = ()) -> tuple[Scheduled, ...]:
    """As `read_schedule`, but there may be none."""
    parsed = {each.digest: each.pair for each in known}
    found: dict[str, Scheduled] = {}
    for path in sorted(folder.iterdir()):
        if not (name := _SIGNING.fullmatch(path.name)):
            continue
        try:
            at = datetime.strptime(name[2], _STAMP).replace(tzinfo=UTC)
        except ValueError:
            raise UnsafeKeys(path, "has no instant in its name", "Rename it.") from None
        try:
            content = read_private(path)
            digest = hashlib.sha256(content).digest()
            pair = parsed.get(digest) or parse_signing_pem(content)
        except FileNotFoundError:
            continue  # taken out of use at this moment
        except BadKey as error:
            raise UnsafeKeys(path, f"is no signing key: {error}", "Move it away.") from None
        line = name[1] or MAIN
        if line not in (MAIN, pair.alg):
            raise UnsafeKeys(path, f"holds a key for {pair.alg}", "Rename it or move it away.")
        found.setdefault(pair.kid, Scheduled(at, pair, path, digest, line))
    return tuple(found.values())


def signing_path(folder: Path, at: datetime, line: str = MAIN) -> Path:
    """How the name of a signing key's file tells what it signs, and from when on."""
    kind = "signing" if line == MAIN else f"id-token-{line}"
    return folder / f"{kind}-{render_stamp(at)}.pem"


def _lines(keys: Iterable[Scheduled]) -> set[str]:
    return {each.line for each in keys}


def render_stamp(at: datetime) -> str:
    """An instant, to the second, as it stands in the names of files."""
    return at.astimezone(UTC).strftime(_STAMP)


def _load_root(path: Path) -> bytes:
    try:
        text = read_private(path)
    except FileNotFoundError:
        write_private(path, render_base64url(secrets.token_bytes(ROOT_BYTES)).encode() + b"\n")
        text = read_private(path)  # another process may have been first
    try:
        root = parse_base64url(text.decode("ascii").strip())
    except ValueError:
        root = b""
    if len(root) != ROOT_BYTES:
        raise UnsafeKeys(
            path, "is not a root secret", "Restore it from a backup; without one, move it away."
        )
    return root


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
