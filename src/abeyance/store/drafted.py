"""New files that are there whole or not at all, and are their owner's alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PRIVATE: Final = 0o600
_BESIDE: Final = ("", "-wal", "-shm", "-journal", ".lock")  # what SQLite and we lay there


class NotCopied(Exception):
    """Nothing was copied: which file, what is wrong, what to do."""

    def __init__(self, path: Path, problem: str, fix: str) -> None:
        super().__init__(path, problem, fix)
        self.fix = fix
        self._text = f"{path}: {problem}. {fix}"

    def __str__(self) -> str:
        return self._text


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """A new private file beside `path`, which gets its name if all goes well."""
    draft = path.with_name(f"{path.name}.draft")
    if path.exists():
        raise NotCopied(path, "is there already", "Name another file, or move it away.")
    for name in _BESIDE[1:4]:
        if path.with_name(path.name + name).exists():
            raise NotCopied(path, f"has left a {name} behind", "Move it away as well.")
    try:
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, _PRIVATE))
    except FileExistsError:
        raise NotCopied(
            draft, "is there already", "If nobody is writing it, an earlier try left it: remove it."
        ) from None
    except OSError as error:
        raise NotCopied(draft, f"cannot be made ({error.strerror})", "Name a folder.") from None
    try:
        yield draft
        _sync(draft)
        os.link(draft, path)  # never over another one
        _sync(path.parent)
    except FileExistsError:
        raise NotCopied(path, "is there already", "Name another file.") from None
    finally:
        for name in _BESIDE:
            draft.with_name(draft.name + name).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
