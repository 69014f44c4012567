"""Nobody decides for a client of their own: as it was registered then, and as it is now."""

from pathlib import Path

from abeyance.acts.decide import NotCounted, Obstacle
from tests.config import CONFIG
from tests.covers import covers
from tests.served import Served, serve


@covers("EXT-DECIDE-03", "SEC-UI-20", "SEC-TM-11")
async def test_a_client_that_changed_hands_is_decided_by_neither_owner(tmp_path: Path) -> None:
    async with serve(tmp_path) as before:
        code = await before.c1.defer()
    handed = CONFIG.replace('owner = "omar"', 'owner = "rita"')
    async with serve(tmp_path, config=handed) as after:
        for owner in ("rita", "omar"):
            refused = await after.vote(code, by=owner)
            assert isinstance(refused, NotCounted)
            assert refused.obstacle is Obstacle.OWN_REQUEST


@covers("SEC-DOS-20")
async def test_asking_for_readiness_does_not_wear_the_disk_out(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        checks = await _checks(served, 50)
        assert checks == 1
        served.clock.move(1)
        assert await _checks(served, 50) == 1


async def _checks(served: Served, asked: int) -> int:
    check, count = served.house.store.check, 0

    async def counted() -> None:
        nonlocal count
        count += 1
        await check()

    served.house.store.check = counted  # type: ignore[method-assign]  # counts, then does it
    for _ in range(asked):
        assert (await served.get("/readyz")).status == 200
    served.house.store.check = check  # type: ignore[method-assign]  # as it was
    return count
