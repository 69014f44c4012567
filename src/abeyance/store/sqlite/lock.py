"""One process owns the file.

The lock is the kernel's, on a file beside the database: it ends with the
process, however that ends, so there is never a stale one to remove. The lock
file itself stays; removing it would let two processes hold "the" lock.
"""

import os
import sys
from pathlib import Path
from typing import Final

from abeyance.store.ports import StoreInUse

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PRIVATE: Final = 0o600
_MOST_DIGITS: Final = 20
_NO_FOLLOW: Final[int] = getattr(os, "O_NOFOLLOW", 0)


class FileLock:
    """The right to use one database file, until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, database: Path) -> "FileLock":
        """Lock `database` (resolved: two names of one file must meet at one lock).

        Raises `StoreInUse` if somebody else has it, this process included.
        """
        beside = lock_path(database)
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, PRIVATE)
        try:
            _lock(descriptor)
        except OSError:
            owner = _owner(descriptor)
            os.close(descriptor)
            raise StoreInUse(
                f"{database} is in use by {owner}. Stop that process, or name another data folder;"
                f" the lock ({beside.name}) ends with its owner"
            ) from None
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, str(os.getpid()).encode())
        return cls(descriptor)

    def release(self) -> None:
        os.close(self._descriptor)


def lock_path(database: Path) -> Path:
    return database.with_name(database.name + ".lock")


def _owner(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    digits = os.read(descriptor, _MOST_DIGITS)
    return f"process {digits.decode()}" if digits.isdigit() else "another process"


if sys.platform == "win32":

    def _lock(descriptor: int) -> None:
        # Behind the owner's number, which must stay readable.
        os.lseek(descriptor, _MOST_DIGITS, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:

    def _lock(descriptor: int) -> None:
        # flock, not fcntl's record locks: those do not keep this process from
        # itself and vanish when any descriptor of the file is closed.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
