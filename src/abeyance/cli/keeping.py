"""`abeyance backup` and `restore`: copies of the store, and what an earlier one may still do.

Keys are not in a copy: whoever has only the one or only the other can do nothing with it
(OAUTH-SEC-10, SEC-STORE-06).
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from cyclopts import Parameter

from abeyance.acts.restoring import Restored, check_here, restore_earlier, restore_last
from abeyance.cli import common
from abeyance.cli.app import OK
from abeyance.cli.calls import BadCall
from abeyance.server.clock import SystemClock
from abeyance.server.settings import Settings
from abeyance.server.stores import open_store
from abeyance.store.ports import Mark, StoreAway, StoreInUse, StoreTooNew
from abeyance.store.sqlite import SqliteStore
from abeyance.store.sqlite.copying import back_up, put_back

T = TypeVar("T")

Now = Annotated[Callable[[], datetime], Parameter(parse=False)]
_now: Final = SystemClock().now
_SEE: Final = "See docs/operations.md, Backup and restore."


def backup(
    file: Path,
    /,
    *,
    move: Annotated[bool, Parameter(negative=())] = False,
    config: Path | None = None,
    data: str | None = None,
    now: Now = _now,
) -> int:
    """Copy the database to a new file, also while the server runs. The keys are not in it.

    The copy is one moment of the store, checked, and its owner's alone. It is not served as it
    is: restore says what an earlier state may still do.

    Parameters
    ----------
    file
        The new file.
    move
        The last copy, of a stopped server: the store is not served here any more, and loses
        nothing where it is restored.
    config
        The configuration file (TOML); else the one that ABEYANCE_CONFIG names.
    data
        The folder for keys and database, instead of the configured one.
    """
    settings = common.load(config, {"data": data})
    _check_file(settings)
    at = f"{now():%Y-%m-%dT%H:%M:%SZ}"
    if move:
        run(_move(settings, file, at))
        tell("the store has moved: it is not served here any more")
    else:
        back_up(settings.store.path, file, at=at)
    print(file)
    tell(f"the keys are not in it: keep {settings.data / 'keys'} as well, and elsewhere")
    return OK


def restore(
    file: Path | None = None,
    /,
    *,
    config: Path | None = None,
    data: str | None = None,
    now: Now = _now,
) -> int:
    """Bring back a copy, so that nothing is issued twice. The server must be stopped.

    A copy made with --move goes on where it was. With any other, what was decided, collected or
    taken back since then is lost: what was approved but not collected is closed, and so is
    whatever else could become a token; people sign in and agree anew. What waits goes on waiting.

    Parameters
    ----------
    file
        A file that backup has made; there must be no database yet. Without it, the store that is
        there is taken for an earlier state of itself, however it was brought back.
    config
        The configuration file (TOML); else the one that ABEYANCE_CONFIG names.
    data
        The folder for keys and database, instead of the configured one.
    """
    settings = common.load(config, {"data": data})
    done = run(_restore_here(settings, now()) if file is None else _bring(settings, file, now()))
    print(f"closed   {done.closed}")
    print(f"waiting  {done.waiting}")
    if done.lost:
        tell(f"look again at whom and what was disabled or changed since the copy. {_SEE}")
    return OK


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it, and tell an operator what stands in the way. Raises `BadCall`."""
    try:
        return asyncio.run(work)
    except StoreInUse as fault:
        raise BadCall("the store", str(fault), "Nothing was changed.") from None
    except (StoreAway, StoreTooNew) as fault:
        raise BadCall("the store", str(fault), _SEE) from None


def tell(text: str) -> None:
    print(f"abeyance: {text}", file=sys.stderr)


async def _move(settings: Settings, file: Path, at: str) -> None:
    store = await SqliteStore.open(settings.store.path)
    try:
        await check_here(store)
        await store.put_mark(Mark.MOVED, at)
        try:
            back_up(settings.store.path, file, at=None)
        except BaseException:
            await store.put_mark(Mark.MOVED, None)
            raise
    finally:
        await store.close()


async def _bring(settings: Settings, file: Path, now: datetime) -> Restored:
    _check_file(settings)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with put_back(file, settings.store.path) as draft:
        store = await SqliteStore.open(draft)
        try:
            whole = await store.find_mark(Mark.COPY) is None
            if whole and await store.find_mark(Mark.MOVED) is not None:
                return await restore_last(store, now=now)
            return await restore_earlier(store, now=now)
        finally:
            await store.close()


async def _restore_here(settings: Settings, now: datetime) -> Restored:
    async with open_store(settings, None) as kept:
        return await restore_earlier(kept.store, now=now)


def _check_file(settings: Settings) -> None:
    if settings.store.url is not None:
        raise BadCall(
            "the store",
            "is a PostgreSQL database, which has its own ways of copying",
            f"Use pg_dump or its archive of changes. {_SEE}",
        )
