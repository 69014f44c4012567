"""The folder of keys: what lies in it and what is made of it.

    root.key                        32 random bytes; every other secret is derived from it
    signing-20260304T120000Z.pem    a signing key, which signs from that instant on

Each purpose has its own key (OAUTH-SEC-07). All signing keys are published, the
youngest whose instant has come signs; so a key may be laid there before its
first use (OAUTH-META-07).
"""

import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from abeyance.keys.making import new_private_pem
from abeyance.keys.private_files import (
    UnsafeKeys,
    make_private_folder,
    read_private,
    write_private,
)
from abeyance.proofs.jwk import BadKey, KeyPair, KeySet, parse_private_pem
from abeyance.wire.base64url import parse_base64url, render_base64url

__all__ = ["Keys", "UnsafeKeys", "load_or_create"]

ROOT: Final = "root.key"
ROOT_BYTES: Final = 32
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_SIGNING = re.compile(r"signing-([0-9]{8}T[0-9]{6}Z)\.pem", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """`nonce_key` makes DPoP nonces, `log_key` names in logs what must not be named."""

    signing: KeyPair
    published: KeySet
    nonce_key: bytes = field(repr=False)
    log_key: bytes = field(repr=False)

    def pseudonym(self, value: str) -> str:
        """A short keyed hash by which log lines about one value meet (OAUTH-LOG-03)."""
        return hmac.new(self.log_key, value.encode(), "sha256").hexdigest()[:12]


def load_or_create(folder: Path, *, now: datetime) -> Keys:
    """Load the keys, making what is missing.

    Raises `UnsafeKeys` for what others could read, for links, and for what is
    no key.
    """
    make_private_folder(folder)
    root = _load_root(folder / ROOT)
    signing = _load_signing(folder)
    if not signing:
        name = f"signing-{now.astimezone(UTC).strftime(_STAMP)}.pem"
        write_private(folder / name, new_private_pem())
        signing = _load_signing(folder)
    due = [pair for at, pair in signing if at <= now] or [signing[0][1]]
    return Keys(
        signing=due[-1],
        # The youngest first, since some clients only try one.
        published=KeySet(tuple(pair.public for _, pair in reversed(signing))),
        nonce_key=_derive(root, "dpop nonce"),
        log_key=_derive(root, "log"),
    )


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


def _load_signing(folder: Path) -> list[tuple[datetime, KeyPair]]:
    """All signing keys, the oldest first."""
    pairs: dict[str, tuple[datetime, KeyPair]] = {}
    for path in sorted(folder.iterdir()):
        found = _SIGNING.fullmatch(path.name)
        if not found:
            continue
        try:
            at = datetime.strptime(found[1], _STAMP).replace(tzinfo=UTC)
            pair = parse_private_pem(read_private(path))
        except BadKey as error:
            raise UnsafeKeys(path, f"is no signing key: {error}", "Move it away.") from None
        except ValueError:
            raise UnsafeKeys(path, "has no instant in its name", "Rename it.") from None
        pairs.setdefault(pair.kid, (at, pair))
    return list(pairs.values())


def _derive(root: bytes, purpose: str) -> bytes:
    # The root is uniformly random, so HKDF needs no salt (RFC 5869 §3.1).
    label = f"abeyance 1 {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=label).derive(root)
