"""The outbox beside what makes its messages idle, in every order (T-162; SEC-RACE-16)."""

from datetime import timedelta

from abeyance.acts.deliver import LEASE, deliver
from tests.covers import covers
from tests.isolation.ground import Ground
from tests.served import Served
from tests.server.test_several import until


async def work(at: Served, _: str) -> str:
    """Send what is due, as the server does with each message."""
    now = at.clock.now()
    claimed = await at.house.store.claim_messages(now=now, lease=now + LEASE, limit=10)
    for each in claimed:
        await deliver(at.house, each)
    return f"claimed {len(claimed)}"


async def due(ground: Ground) -> str:
    """A deferral that has been approved, whose client is to be called now."""
    code = await ground.approved()
    key = await ground.here.key_of(code)
    await until(lambda: all(each.house.answering.is_out(key) for each in ground.servers))
    ground.here.clock.move(2)
    return code


async def calls(ground: Ground, at: Served, code: str) -> str:
    """How often its client was called, also if a worker comes later."""
    at.clock.move((LEASE + timedelta(seconds=1)).total_seconds())
    late = await work(at, code)
    assert late == "claimed 0"
    told = [each.body["deferral_code"] for each in ground.network.posts]
    ground.network.posts.clear()
    assert set(told) <= {code}
    return f"{len(told)} calls"


@covers("T-162", "SEC-RACE-16", "DTR-CANC-02", "EXT-NOTIFY-06")
async def test_a_callback_beside_a_cancellation_is_sent_once_or_never(ground: Ground) -> None:
    async def seen(at: Served, code: str) -> str:
        return await calls(ground, at, code)

    async def prepare() -> str:
        return await due(ground)

    await ground.explore(
        prepare,
        {"worker": work, "cancel": ground.cancel},
        {
            ("claimed 1", "done", "1 calls"),
            ("claimed 1", "done", "0 calls"),
            ("claimed 0", "done", "0 calls"),
        },
        ends=seen,
        judged=False,
    )


@covers("SEC-RACE-16", "EXT-NOTIFY-03")
async def test_of_two_workers_one_has_the_message(ground: Ground) -> None:
    async def seen(at: Served, code: str) -> str:
        return await calls(ground, at, code)

    async def prepare() -> str:
        return await due(ground)

    await ground.explore(
        prepare,
        {"one": work, "other": work},
        {("claimed 1", "claimed 0", "1 calls"), ("claimed 0", "claimed 1", "1 calls")},
        ends=seen,
        judged=False,
        fine=True,
    )


@covers("SEC-RACE-16", "DTR-CANC-02", "DTR-RD-22")
async def test_who_has_withdrawn_since_the_claim_is_not_called(ground: Ground) -> None:
    code, at = await due(ground), ground.here
    now = at.clock.now()
    [claimed] = await at.house.store.claim_messages(now=now, lease=now + LEASE, limit=10)
    assert await ground.cancel(at, code) == "done"
    await deliver(at.house, claimed)
    assert await calls(ground, at, code) == "0 calls"
