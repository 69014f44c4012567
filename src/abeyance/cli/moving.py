"""`abeyance export` and `import`: a whole store from one kind of database to another.

All of it or nothing: an import is one transaction on an empty store, and is read back before it
stands. What holds for a copy holds for an archive: only the last word of a store goes on as it is.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from abeyance.acts.restoring import Restored, check_here, restore_earlier, restore_last
from abeyance.cli import common
from abeyance.cli.app import OK
from abeyance.cli.calls import BadCall
from abeyance.cli.keeping import run, tell
from abeyance.server.clock import SystemClock
from abeyance.server.settings import Settings
from abeyance.server.stores import find_url, open_store
from abeyance.store.archive import BadArchive, Head, Source, bring_in, read_head, write_archive
from abeyance.store.drafted import drafted
from abeyance.store.migrations import read_migrations
from abeyance.store.ports import Mark
from abeyance.store.sqlite import SqliteStore, schema
from abeyance.store.sqlite import moving as sqlite
from abeyance.store.sqlite.copying import brought

Now = Annotated[Callable[[], datetime], Parameter(parse=False)]
_now: Final = SystemClock().now


def export(
    file: Path,
    /,
    *,
    move: Annotated[bool, Parameter(negative=())] = False,
    config: Path | None = None,
    data: str | None = None,
    now: Now = _now,
) -> int:
    """Write the whole store to a new file, from which import makes one of either kind.

    It is one moment of the store, also while servers run on it. The keys are not in it.

    Parameters
    ----------
    file
        The new file.
    move
        The last word of a store on which no server runs: it is not served here any more, and
        loses nothing where it is brought in.
    config
        The configuration file (TOML); else the one that ABEYANCE_CONFIG names.
    data
        The folder for keys and database, instead of the configured one.
    """
    settings = common.load(config, {"data": data})
    head = Head(_newest(), f"{now():%Y-%m-%dT%H:%M:%SZ}", move)
    counts = run(_move_out(settings, file, head) if move else _write(settings, file, head))
    _show(counts)
    if move:
        tell("the store has moved: it is not served here any more")
    tell(f"the keys are not in it: bring {settings.data / 'keys'} as well, another way")
    return OK


def import_(
    file: Path, /, *, config: Path | None = None, data: str | None = None, now: Now = _now
) -> int:
    """Bring an exported store into the configured one, where nothing is yet.

    All of it or nothing; what has arrived is read back and compared. An archive made without
    --move is an earlier state, and is treated as restore does.

    Parameters
    ----------
    file
        What export has written.
    config
        The configuration file (TOML); else the one that ABEYANCE_CONFIG names.
    data
        The folder for keys and database, instead of the configured one.
    """
    settings = common.load(config, {"data": data})
    try:
        with file.open("rb") as lines:
            head = read_head(lines)
            if head.schema != _newest():
                raise BadArchive(f"has schema {head.schema}, this program knows {_newest()}")
            counts, done = run(_bring_in(settings, head, lines, now()))
    except OSError as fault:
        raise BadCall(str(file), f"cannot be read ({fault.strerror})", "Name another.") from None
    _show(counts)
    print(f"closed {done.closed}, waiting {done.waiting}")
    return OK


def _newest() -> int:
    return read_migrations(schema.FOLDER)[-1].version


def _show(counts: Mapping[str, int]) -> None:
    width = max(map(len, counts))
    for table, rows in counts.items():
        if rows:
            print(f"{table:<{width}}  {rows}")


# --- out


async def _move_out(settings: Settings, file: Path, head: Head) -> Mapping[str, int]:
    async with open_store(settings, None) as kept:
        if settings.store.url is not None:
            from abeyance.store.postgres import moving as postgres

            await postgres.check_alone(settings.store.url.reveal())
        await check_here(kept.store)
        await kept.store.put_mark(Mark.MOVED, head.at)
        try:
            return await _write(settings, file, head)
        except BaseException:
            await kept.store.put_mark(Mark.MOVED, None)
            raise


async def _write(settings: Settings, file: Path, head: Head) -> Mapping[str, int]:
    async with _moment(settings) as (version, source):
        if version != head.schema:
            raise BadCall(
                "the store",
                f"has schema {version}, this program knows {head.schema}",
                "Export with the program that serves it, or start the newer one once.",
            )
        with drafted(file) as draft, draft.open("wb") as out:
            return await write_archive(source, head, out)


@asynccontextmanager
async def _moment(settings: Settings) -> AsyncIterator[tuple[int, Source]]:
    if (url := find_url(settings)) is not None:
        from abeyance.store.postgres import moving as postgres

        async with postgres.moment(url.reveal()) as found:
            yield found
        return
    if not settings.store.path.exists():
        raise BadCall(str(settings.store.path), "is not there", "Check the data folder.")
    with sqlite.moment(settings.store.path) as found:
        yield found


# --- in


async def _bring_in(
    settings: Settings, head: Head, lines: Iterator[bytes], now: datetime
) -> tuple[Mapping[str, int], Restored]:
    if settings.store.url is not None:
        return await _into_postgres(settings, settings.store.url.reveal(), head, lines, now)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with brought(settings.store.path) as draft:
        await (await SqliteStore.open(draft)).close()  # makes the tables
        with sqlite.transaction(draft) as target:
            counts = await bring_in(lines, target)
        store = await SqliteStore.open(draft)
        try:
            if head.last:
                return counts, await restore_last(store, now=now)
            return counts, await restore_earlier(store, now=now)
        finally:
            await store.close()


async def _into_postgres(
    settings: Settings, url: str, head: Head, lines: Iterator[bytes], now: datetime
) -> tuple[Mapping[str, int], Restored]:
    from abeyance.store.postgres import moving as postgres

    async with open_store(settings, None) as kept:
        await postgres.check_alone(url)
        async with postgres.transaction(url):
            pass  # it is empty
        # Nobody serves it before it is what it shall be, also if we die between here and there.
        await kept.store.put_mark(Mark.COPY, head.at)
        try:
            async with postgres.transaction(url) as target:
                counts = await bring_in(lines, target)
        except BaseException:
            await kept.store.put_mark(Mark.COPY, None)
            raise
        if head.last:
            return counts, await restore_last(kept.store, now=now)
        return counts, await restore_earlier(kept.store, now=now)
