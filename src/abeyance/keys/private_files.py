"""Files that only their owner reads (OAUTH-SEC-06, SEC-STORE-08).

What is refused rather than mended: a file that others could read may have been
read, and a link leads wherever somebody else wants.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LARGEST: Final = 64 * 1024


class UnsafeKeys(Exception):
    """The keys cannot be used as they lie there: which path, what is wrong, what to do."""

    def __init__(self, path: Path, problem: str, fix: str) -> None:
        super().__init__(path, problem, fix)
        self.path = path
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}. {self.fix}"


def make_private_folder(folder: Path) -> None:
    """Make the folder for us alone, or check the one that is there. Raises `UnsafeKeys`."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    except OSError as error:
        raise UnsafeKeys(
            folder, f"cannot be made ({error.strerror})", "Name a data folder that can be written."
        ) from None
    check_private_folder(folder)


def check_private_folder(folder: Path) -> None:
    """Check that the folder is there, and is ours alone. Raises `UnsafeKeys`."""
    try:
        found = folder.lstat()
    except OSError as error:
        raise UnsafeKeys(
            folder,
            f"cannot be looked at ({error.strerror})",
            "Name the data folder of a server that has been started once.",
        ) from None
    if stat.S_ISLNK(found.st_mode):
        raise UnsafeKeys(folder, "is a link", "Name the folder itself.")
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeKeys(folder, "is not a folder", "Move it away.")
    _check_owner_only(folder, found, "chmod 700")


def read_private(path: Path) -> bytes:
    """Read a file that nobody else can read. Raises `UnsafeKeys`, `FileNotFoundError`."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        problem = "is a link" if path.is_symlink() else f"cannot be read ({error.strerror})"
        raise UnsafeKeys(path, problem, "Put the file itself there.") from None
    with os.fdopen(opened, "rb") as file:
        # Of the opened file, not of the path, which may mean another one by now.
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeKeys(path, "is not a plain file", "Put the file itself there.")
        _check_owner_only(path, found, "chmod 600")
        return file.read(_LARGEST)


def write_private(path: Path, content: bytes) -> bool:
    """Make the file with its whole content, or return `False` if there is one already.

    Whoever looks sees no file or all of it, also after a crash: it is written
    and synced under another name, then linked to its own.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(opened, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
    finally:
        draft.unlink()
    _sync_folder(path.parent)
    return True


def move_private(path: Path, to: Path) -> None:
    """Give the file another name in its folder, for good."""
    path.rename(to)
    _sync_folder(to.parent)


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _check_owner_only(path: Path, found: os.stat_result, command: str) -> None:
    if found.st_uid != os.geteuid():
        raise UnsafeKeys(path, "belongs to another user", "Run as its owner, or chown it.")
    if found.st_mode & _OTHERS:
        raise UnsafeKeys(
            path,
            f"can be used by others (mode {stat.S_IMODE(found.st_mode):04o})",
            f"Run: {command} {path} - and if others may have read it, make new keys.",
        )
