"""Authenticated encryption of a saved state (AES-256-GCM), and where its key comes from.

One line of ASCII: `<kind>.1.<kdf>.<salt>.<nonce>.<sealed>`, each part base64url; all
before the last is authenticated with it, so that a file of one kind is never read as
another.
"""

import contextlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from abeyance.client.errors import StateUnreadable
from abeyance.client.private_file import create_private, read_private
from abeyance.wire.base64url import parse_base64url, render_base64url
from abeyance.wire.secret import Secret

PENDING: Final = "abeyance-pending"
GRANT: Final = "abeyance-grant"
_VERSION: Final = "1"
_KEY_SIZE: Final = 32
_NONCE_SIZE: Final = 12
_SALT_SIZE: Final = 16
_SCRYPT_N: Final = 1 << 15  # 32 MiB, about a tenth of a second


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A key of 32 random bytes that the caller keeps (`SealingKey.generate()` makes one)."""

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) != _KEY_SIZE:
            raise ValueError("a sealing key has 32 bytes")

    @classmethod
    def generate(cls) -> "SealingKey":
        return cls(secrets.token_bytes(_KEY_SIZE))


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A phrase that a person remembers (scrypt); prefer a key where no person is."""

    phrase: Secret


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file of mode 0600 with the key, made when first needed."""

    path: Path


Seal: TypeAlias = SealingKey | Passphrase | KeyFile


@dataclass(frozen=True, slots=True)
class Sealer:
    """A key that is ready to use; deriving it from a passphrase again and again would be slow."""

    kdf: str
    salt: bytes
    key: bytes = field(repr=False)

    def seal(self, content: bytes, kind: str = PENDING) -> bytes:
        nonce = secrets.token_bytes(_NONCE_SIZE)
        parts = (kind, _VERSION, self.kdf, render_base64url(self.salt), render_base64url(nonce))
        head = ".".join(parts)
        sealed = AESGCM(self.key).encrypt(nonce, content, head.encode("ascii"))
        return f"{head}.{render_base64url(sealed)}\n".encode("ascii")


def new_sealer(seal: Seal) -> Sealer:
    """Get the key ready, and make the key file if there is none.

    Raises `OSError`, and `StateUnreadable` for a file that holds something else.
    """
    if isinstance(seal, KeyFile):
        with contextlib.suppress(FileExistsError):
            create_private(seal.path, SealingKey.generate().key)
    return _sealer(seal, secrets.token_bytes(_SALT_SIZE))


def unseal(sealed: bytes, seal: Seal, kind: str = PENDING) -> tuple[bytes, Sealer]:
    """The content, and the sealer to seal it again. Raises `StateUnreadable`."""
    try:
        head, _, last = sealed.decode("ascii").rstrip("\n").rpartition(".")
        told, version, kdf, salt, nonce = head.split(".")
        content, number = parse_base64url(last), parse_base64url(nonce)
        sealer = _sealer(seal, parse_base64url(salt))
    except OSError:
        raise StateUnreadable("The key of the saved request cannot be read") from None
    except ValueError:
        raise StateUnreadable("This is not a saved request") from None
    if (told, version) != (kind, _VERSION) or len(number) != _NONCE_SIZE:
        raise StateUnreadable("This is not a saved request")
    if kdf != sealer.kdf:
        raise StateUnreadable("The saved request is sealed in another way")
    try:
        return AESGCM(sealer.key).decrypt(number, content, head.encode("ascii")), sealer
    except InvalidTag:
        raise StateUnreadable("The key does not fit, or the saved request was changed") from None


def _sealer(seal: Seal, salt: bytes) -> Sealer:
    match seal:
        case SealingKey():
            return Sealer("key", salt, seal.key)
        case KeyFile():
            key = read_private(seal.path)
            if len(key) != _KEY_SIZE:
                raise StateUnreadable("The key file does not hold a sealing key")
            return Sealer("key", salt, key)
        case Passphrase():
            derive = Scrypt(salt=salt, length=_KEY_SIZE, n=_SCRYPT_N, r=8, p=1).derive
            return Sealer("scrypt", salt, derive(seal.phrase.reveal().encode("utf-8")))
