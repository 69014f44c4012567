"""Files that only their owner reads: mode 0600 from the first moment, replaced as a whole."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MODE: Final = 0o600
MAX_SIZE: Final = 1 << 20


class Exposed(OSError):
    """The file can be read or changed by others."""


def write_private(path: Path, content: bytes) -> None:
    """Write, so that a crash leaves the old content or the new, never a part. Raises `OSError`."""
    with _beside(path, content) as complete:
        complete.replace(path)
    _sync_folder(path.parent)


def create_private(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet; raises `FileExistsError` and other `OSError`."""
    with _beside(path, content) as complete:
        # A link, unlike a rename, refuses to replace; and nobody ever reads half a key.
        path.hardlink_to(complete)
    _sync_folder(path.parent)


def read_private(path: Path) -> bytes:
    """Read a file of at most 1 MiB; raises `Exposed` if others have access, and other `OSError`."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
            raise Exposed(f"others have access to {path.name}; it must have mode 0600")
        return file.read(MAX_SIZE)


@contextlib.contextmanager
def _beside(path: Path, content: bytes) -> Iterator[Path]:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # The name survives a power cut only if the folder is synced too (POSIX).
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
