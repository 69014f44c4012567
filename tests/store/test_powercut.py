"""No power cut loses what was acknowledged, or leaves half of a change.

`POWER_CUTS` sets the number of disk images (the default takes seconds).
"""

import asyncio
import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from abeyance.pending.change import Applied, CastVote, TokenRecord
from abeyance.pending.message import Message, MessageKind
from abeyance.pending.request import Held
from abeyance.pending.states import Approved, Denied, Event, Pending, Redeemed
from abeyance.pending.votes import Verdict
from abeyance.store.ports import Store, StoreAway
from abeyance.store.sql.db import Db, Row
from abeyance.store.sqlite import SqliteStore, connection, writer
from abeyance.store.suite.ground import (
    a_ballot,
    a_request,
    a_token,
    advance,
    an_event,
    change,
)
from tests.covers import covers
from tests.store.powercut import Delete, Entry, Image, Recorder, Sync, Truncate, Write, images
from tests.tally import count

IMAGES: Final = int(os.environ.get("POWER_CUTS", "2000"))
SEED: Final = int(os.environ.get("POWER_CUT_SEED", "20261"))
FILE: Final = "abeyance.db"
REQUESTS: Final = 48
AT_ONCE: Final = 5


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller was told of one request: how it stands, and the token if it got one."""

    held: Held
    token: TokenRecord | None = None


# Images are many and short-lived: in memory where there is such a place.
FAST: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None

# --- the work that is recorded


async def record(folder: Path, name: str) -> Recorder:
    """Open, decide and redeem over a recording file system, several at once; in two sessions."""
    recorder = Recorder(name)
    for first in (0, REQUESTS // 2):
        store = await SqliteStore.open(folder / FILE, vfs=name)
        numbers = iter(range(first, first + REQUESTS // 2))
        await asyncio.gather(*(work(store, recorder, numbers) for _ in range(AT_ONCE)))
        await store.close()
    recorder.unregister()
    return recorder


async def work(store: Store, recorder: Recorder, numbers: Iterator[int]) -> None:
    for number in numbers:
        await live(store, recorder, denied=number % 4 == 3)


async def live(store: Store, recorder: Recorder, *, denied: bool) -> None:
    request = a_request()
    key = request.held.key
    token = a_token(key.home)
    verdict, event = (Verdict.DENY, Event.DENY) if denied else (Verdict.APPROVE, Event.APPROVE)
    decide = (advance(event, version=1), CastVote(1, a_ballot(verdict=verdict)))
    for step in (
        change(key, request, rows=(an_event("opened"), a_callback(request.held.expires_at))),
        change(key, *decide, rows=(an_event("decided"),)),
        change(key, advance(Event.REDEEM, version=2), rows=(token, an_event("redeemed"))),
    ):
        answer = await store.apply(step)
        if isinstance(answer, Applied):
            assert answer.current is not None
            redeemed = isinstance(answer.current.state, Redeemed)
            recorder.acknowledge(Told(answer.current, token if redeemed else None))


def a_callback(until: datetime) -> Message:
    """Waits for the end of the request, falls due with it, and goes with the redemption."""
    return Message(
        n=1, seq=0, kind=MessageKind.CALLBACK, to="shop", sealed=b"sealed", due_at=None,
        on_end=True, until=until,
    )  # fmt: skip


# --- what is found afterwards


async def judge(image: Image) -> str:
    """`kept`, `lost` (something acknowledged is not there), `half` or `corrupt`."""
    with tempfile.TemporaryDirectory(dir=FAST) as name:
        image.write_to(Path(name))
        try:
            store = await SqliteStore.open(Path(name) / FILE)
        except StoreAway:
            return "corrupt"
        try:
            if not await store._reader.run(is_sound):
                return "corrupt"
            for told in latest(image.acknowledged):
                if not await is_kept(store, told):
                    return "lost"
            half = [each for each in await store._reader.run(halves) if each]
            return "half" if half else "kept"
        except StoreAway:
            return "corrupt"
        finally:
            await store.close()


def latest(told: Sequence[Told]) -> list[Told]:
    return list({each.held.key: each for each in told}.values())


async def is_kept(store: Store, told: Told) -> bool:
    found = await store.find_held(told.held.handle)
    if found is None or found.version < told.held.version:
        return False
    if told.token is None:
        return found.version > told.held.version or found == told.held
    token = await store.find_token(told.held.key.home, told.token.jti)
    return found == told.held and token == told.token


async def is_sound(db: Db) -> bool:
    return (
        await db.rows("PRAGMA integrity_check") == [("ok",)]
        and await db.rows("PRAGMA foreign_key_check") == []
    )


async def halves(db: Db) -> Sequence[Row]:
    """Requests of which some of what was written in one change is there and some is not."""
    return await db.rows(
        """
        SELECT *
          FROM (SELECT state,
                       (SELECT count(*) FROM snapshot s WHERE s.home = r.home) AS snapshots,
                       (SELECT count(*) FROM inbox i WHERE i.home = r.home) AS waiting,
                       (SELECT count(*) FROM vote v WHERE v.home = r.home) AS votes,
                       (SELECT count(*) FROM token t WHERE t.home = r.home) AS tokens,
                       (SELECT count(*) FROM audit a WHERE a.home = r.home) AS events,
                       (SELECT count(*) FROM outbox o WHERE o.home = r.home) AS messages,
                       (SELECT count(due_at) FROM outbox o WHERE o.home = r.home) AS due
                  FROM request r)
         WHERE (state, snapshots, waiting, votes, tokens, events, messages, due) NOT IN (VALUES
                   ('pending', 1, 2, 0, 0, 1, 1, 0),
                   ('approved', 1, 0, 1, 0, 2, 1, 1),
                   ('denied', 1, 0, 1, 0, 2, 1, 1),
                   ('redeemed', 1, 0, 1, 1, 3, 0, 0))
        """
    )


async def verdicts(recorder: Recorder, count: int) -> Counter[str]:
    rng = random.Random(SEED)
    return Counter([await judge(image) for image in images(recorder.journal, count, rng)])


@pytest.fixture
def frequent_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_CHECKPOINT_IDLE", 30)
    monkeypatch.setattr(writer, "_CHECKPOINT_ANYWAY", 60)


@covers("SEC-RACE-12", "T-172")
@pytest.mark.usefixtures("frequent_checkpoints")
async def test_no_power_cut_loses_what_was_acknowledged_or_leaves_half_of_a_change(
    tmp_path: Path,
) -> None:
    recorder = await record(tmp_path, "power-full")
    told = [each.what for each in recorder.journal if hasattr(each, "what")]
    kinds = Counter(type(each.held.state) for each in told)
    assert kinds == {Pending: 48, Approved: 36, Denied: 12, Redeemed: 36}
    assert await verdicts(recorder, IMAGES) == {"kept": IMAGES}
    count("disk images", IMAGES)


@pytest.mark.usefixtures("frequent_checkpoints")
@pytest.mark.parametrize(
    ("setting", "fewer_syncs", "found"),
    [
        ("SYNCHRONOUS", "NORMAL", "lost"),
        ("SYNCHRONOUS", "OFF", "corrupt"),
        ("WHILE_SWITCHING", "FULL", "lost"),
    ],
)
async def test_the_cuts_do_find_what_a_store_with_fewer_syncs_loses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, fewer_syncs: str, found: str
) -> None:
    monkeypatch.setattr(connection, setting, fewer_syncs)
    recorder = await record(tmp_path, f"power-{setting}-{fewer_syncs}")
    assert (await verdicts(recorder, 60))[found] > 0


def test_an_image_holds_what_was_synced_and_any_part_of_the_rest() -> None:
    journal: list[Entry] = [
        Write("a", 0, b"x" * 2048),
        Sync("a"),
        Write("a", 0, b"y" * 2048),
        Write("b", 100, b"z"),
        Truncate("a", 512),
        Delete("b"),
    ]
    seen = [image.files for image in images(journal, 2_000, random.Random(1))]
    assert {} in seen
    assert any(files.get("a") == b"x" * 512 + b"y" * 1024 + b"x" * 512 for files in seen)
    assert any(files.get("a") == b"y" * 512 for files in seen)
    assert any(files.get("b") == bytes(100) + b"z" for files in seen)
    before_sync = [image for image in images(journal, 500, random.Random(2)) if image.at < 2]
    after_sync = [image for image in images(journal, 500, random.Random(2)) if image.at >= 2]
    assert any("a" not in image.files for image in before_sync)
    assert all(len(image.files["a"]) >= 512 for image in after_sync)
