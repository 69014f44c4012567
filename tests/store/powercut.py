"""Power cuts: what a disk may hold after one, rebuilt from everything that was written to it.

`Recorder` is a VFS under the real store. It passes everything on and writes
down every write, truncation, deletion and sync, and between them what the store
acknowledged. `images` replays that journal to random points and makes of each
what a disk may hold if the power fails there: what was synced is there; of what
was not, any part, in units of 512 bytes. A write does not harm its neighbours
(SQLite's "powersafe overwrite"), and a disk does not lie about a sync.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import apsw

SECTOR: Final = 512

# --- the journal


@dataclass(frozen=True, slots=True)
class Write:
    file: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    file: str
    size: int


@dataclass(frozen=True, slots=True)
class Delete:
    file: str


@dataclass(frozen=True, slots=True)
class Sync:
    file: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The caller was told; `what` is the test's own."""

    what: Any


Entry: TypeAlias = Write | Truncate | Delete | Sync | Acknowledged


class Recorder(apsw.VFS):
    """Registers itself under `name`; the journal is in the order of what happened."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.journal: list[Entry] = []
        super().__init__(name, "")

    def acknowledge(self, what: Any) -> None:
        self.journal.append(Acknowledged(what))

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _File(self.journal, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        name = Path(filename).name
        self.journal += [Delete(name), Sync(name)] if syncdir else [Delete(name)]


class _File(apsw.VFSFile):
    def __init__(
        self, journal: list[Entry], name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._file = Path(path or "temporary").name
        self._journal = journal
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._journal.append(Write(self._file, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._journal.append(Truncate(self._file, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._journal.append(Sync(self._file))


# --- images


@dataclass(frozen=True, slots=True)
class Image:
    """What the disk holds, and what had been acknowledged before the power failed."""

    at: int
    files: dict[str, bytes]
    acknowledged: tuple[Any, ...]

    def write_to(self, folder: Path) -> None:
        for name, data in self.files.items():
            (folder / name).write_bytes(data)


def images(
    journal: Sequence[Entry], count: int, rng: random.Random, first: int = 0
) -> Iterator[Image]:
    """`count` images, in the order of their cuts, none before the place `first`."""
    disk = _Disk()
    done = 0
    for at in sorted(rng.randint(first, len(journal)) for _ in range(count)):
        for entry in journal[done:at]:
            disk.take(entry)
        done = at
        yield Image(at, disk.cut(rng), tuple(disk.acknowledged))


@dataclass(slots=True)
class _OnDisk:
    synced: bytearray | None = None  # None: the folder does not show the file
    waiting: list[Write | Truncate | Delete] = field(default_factory=list)


class _Disk:
    def __init__(self) -> None:
        self.files: dict[str, _OnDisk] = {}
        self.acknowledged: list[Any] = []

    def take(self, entry: Entry) -> None:
        match entry:
            case Acknowledged(what):
                self.acknowledged.append(what)
            case Sync(name):
                file = self.files.setdefault(name, _OnDisk())
                for waiting in file.waiting:
                    file.synced = _done(file.synced, waiting)
                file.waiting.clear()
            case Write(name) | Truncate(name) | Delete(name):
                self.files.setdefault(name, _OnDisk()).waiting.append(entry)

    def cut(self, rng: random.Random) -> dict[str, bytes]:
        # Nothing, everything, and everything between: each finds other mistakes.
        kept = rng.choice((0.0, 1.0, 0.5, rng.random()))
        left: dict[str, bytes] = {}
        for name, file in self.files.items():
            data = None if file.synced is None else bytearray(file.synced)
            for waiting in file.waiting:
                for part in _torn(waiting, kept, rng):
                    data = _done(data, part)
            if data is not None:
                left[name] = bytes(data)
        return left


def _done(data: bytearray | None, entry: Write | Truncate | Delete) -> bytearray | None:
    match entry:
        case Delete():
            return None
        case Truncate(_, size):
            data = data or bytearray()
            del data[size:]
            return data.ljust(size, b"\0")
        case Write(_, offset, new):
            data = (data or bytearray()).ljust(offset, b"\0")
            data[offset : offset + len(new)] = new
            return data


def _torn(
    entry: Write | Truncate | Delete, kept: float, rng: random.Random
) -> Iterator[Write | Truncate | Delete]:
    """The parts of `entry` that reached the disk."""
    if not isinstance(entry, Write):
        if rng.random() < kept:
            yield entry
        return
    end = entry.offset + len(entry.data)
    start = entry.offset
    whole = rng.random() < 0.5
    survives = rng.random() < kept
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        if survives if whole else rng.random() < kept:
            yield Write(entry.file, start, entry.data[start - entry.offset : stop - entry.offset])
        start = stop
