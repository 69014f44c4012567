"""No power cut over the migrations, from the oldest schema on, loses a row or leaves half of one.

`POWER_CUTS` sets the number of disk images: a twentieth of them is made here.
"""

import random
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

import apsw
import pytest

from abeyance.pending.handles import HandleHash, Home
from abeyance.store.migrations import read_migrations
from abeyance.store.ports import StoreAway
from abeyance.store.sqlite import SqliteStore, connection, schema
from abeyance.store.sqlite.connection import connect_writer, prepare_file
from tests.covers import covers
from tests.store.powercut import Image, Recorder, images
from tests.store.test_powercut import FAST, FILE, IMAGES, SEED, is_sound
from tests.tally import count

KNOWN = read_migrations(schema.FOLDER)
REQUESTS = 12
OLD_REQUEST = """
    INSERT INTO request (home, n, version, state, detail, client_id, jkt, handle_digest,
                         opened_at, decide_by, expires_at, interval)
    VALUES (:home, 1, 1, :state, NULL, 'shop', NULL, :digest, 1, 2, 3, 5)
    """


def home_of(number: int) -> Home:
    return Home(number.to_bytes(16))


async def record(folder: Path, name: str) -> tuple[Recorder, int]:
    """A file of the first schema, with requests in it, is opened by this program; and where in
    the journal it was there.
    """
    recorder = Recorder(name)
    prepare_file(folder / FILE)
    db = connect_writer(folder / FILE, name)
    schema.migrate(db, KNOWN[:1])
    for number in range(REQUESTS):
        state = ("pending", "cancelled", "redeemed")[number % 3]
        digest = number.to_bytes(32)
        db.execute(OLD_REQUEST, {"home": home_of(number), "state": state, "digest": digest})
    recorder.acknowledge("filled")
    first = len(recorder.journal)
    db.close()
    store = await SqliteStore.open(folder / FILE, vfs=name)
    recorder.acknowledge("migrated")
    await store.close()
    recorder.unregister()
    return recorder, first


@cache
def shape(version: int) -> dict[str, str]:
    """The tables, indexes and triggers of a schema, as SQL."""
    db = apsw.Connection(":memory:")
    if version:
        schema.migrate(db, KNOWN[:version])
    return shape_of(db)


def shape_of(db: apsw.Connection) -> dict[str, str]:
    found = db.execute("SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema")
    return {str(name): str(sql) for name, sql in found}


async def judge(image: Image) -> str:
    """`kept`, or what is wrong: `corrupt`, `half` of a migration, `lost`, `undone`."""
    with tempfile.TemporaryDirectory(dir=FAST) as name:
        image.write_to(Path(name))
        try:
            db = apsw.Connection(str(Path(name) / FILE))
            version = schema.find_version(db)
            there = shape_of(db)
            db.close()
            store = await SqliteStore.open(Path(name) / FILE)
        except (StoreAway, apsw.Error):
            return "corrupt"
        try:
            if not await store._reader.run(is_sound):
                return "corrupt"
            if there != shape(version):
                return "half"
            if "migrated" in image.acknowledged and version < KNOWN[-1].version:
                return "undone"
            for number in range(REQUESTS):
                handle = HandleHash(home_of(number), number.to_bytes(32))
                if await store.find_held(handle) is None:
                    return "lost"
            return "kept"
        finally:
            await store.close()


async def verdicts(folder: Path, name: str, many: int) -> Counter[str]:
    recorder, first = await record(folder, name)
    rng = random.Random(SEED)
    cuts = images(recorder.journal, many, rng, first)
    return Counter([await judge(image) for image in cuts])


@covers("SEC-RACE-12", "T-172")
async def test_no_power_cut_over_the_migrations_loses_a_row_or_leaves_half(tmp_path: Path) -> None:
    many = IMAGES // 20
    assert await verdicts(tmp_path, "power-migrating", many) == {"kept": many}
    count("disk images", many)


async def test_the_cuts_do_find_what_fewer_syncs_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SYNCHRONOUS", "OFF")
    monkeypatch.setattr(connection, "WHILE_SWITCHING", "OFF")
    found = await verdicts(tmp_path, "power-migrating-off", 100)
    assert found["kept"] < 100, found
