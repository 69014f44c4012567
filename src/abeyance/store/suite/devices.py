"""Device sessions: who claims, answers and spends one, when several try at once."""
# ruff: noqa: S101

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from abeyance.parties.person import PersonId
from abeyance.pending.change import (
    AnswerDevice,
    Applied,
    BindDevice,
    Change,
    ClaimDevice,
    CloseHome,
    ContestDevice,
    OpenDevice,
    OpenGrant,
    SpendDevice,
    Step,
    Superseded,
)
from abeyance.pending.device import CLAIM, Claim, Device, DeviceStage
from abeyance.pending.handles import HandleKind, Home
from abeyance.pending.identity import Identity
from abeyance.pending.request import Binding
from abeyance.pending.states import Event
from abeyance.store.ports import Store
from abeyance.store.suite.granted import STALE, a_grant, a_handle
from abeyance.store.suite.ground import (
    ANN,
    ASKED,
    BEN,
    NOW,
    SHOP,
    TICK,
    Suite,
    a_home,
    covers,
    race,
    wins,
)

LIFE: Final = timedelta(minutes=10)


def a_device(home: Home, *, jkt: str | None = None, address: str = "192.0.2.1") -> Device:
    return Device(
        handle=a_handle(HandleKind.DEVICE_CODE, home),
        client=SHOP,
        asked=ASKED,
        binding=Binding(jkt),
        hinted=True,
        address=address,
        opened_at=NOW,
        decide_by=NOW + LIFE - timedelta(minutes=1),
        expires_at=NOW + LIFE,
        identity=Identity(nonce="n", acr="silver", amr=("pwd",)),
    )


def a_claim(person: PersonId = ANN, session: bytes = b"s" * 32, at: datetime = NOW) -> Claim:
    return Claim(person, session, at + CLAIM)


async def open_device(store: Store, device: Device | None = None) -> Device:
    device = device or a_device(a_home())
    assert await _take(store, device.home, OpenDevice(device, 50, 1000))
    return device


async def agree(store: Store, device: Device) -> None:
    claim = a_claim()
    assert await _take(store, device.home, ClaimDevice(claim, NOW))
    answer = AnswerDevice(claim, agrees=True, at=NOW)
    assert await _take(store, device.home, answer, OpenGrant(a_grant()))


async def _take(store: Store, home: Home, *steps: Step) -> bool:
    return isinstance(await store.apply(Change(home, steps)), Applied)


async def _stage(store: Store, device: Device) -> DeviceStage:
    found = await store.find_device(device.home)
    assert found is not None
    return found.device.stage


class DeviceSuite(Suite):
    """Who claims, answers and spends a device session, when several try at once."""

    @covers("DEV-MAP-01", "DEV-RESP-02")
    async def test_a_device_session_is_found_as_it_was_opened_and_by_its_home_alone(self) -> None:
        async with self.open_store() as store:
            device = await open_device(store)
            found = await store.find_device(device.home)
            assert found is not None
            assert (found.device, found.grant) == (device, None)
            assert await store.find_device(a_home()) is None
            assert not await _take(store, device.home, OpenDevice(device, 50, 1000))

    @covers("DEV-REQ-05")
    async def test_of_one_client_and_address_only_so_many_are_open(self) -> None:
        async with self.open_store() as store:
            first = [a_device(a_home()) for _ in range(5)]
            answers = await race(
                store, *(Change(each.home, (OpenDevice(each, 3, 1000),)) for each in first)
            )
            assert wins(answers) == 3
            elsewhere = a_device(a_home(), address="198.51.100.7")
            assert await _take(store, elsewhere.home, OpenDevice(elsewhere, 3, 1000))
            other = a_device(a_home(), address="198.51.100.8")
            assert not await _take(store, other.home, OpenDevice(other, 3, 4))
            later = replace(a_device(a_home()), opened_at=NOW + LIFE, expires_at=NOW + 2 * LIFE)
            assert await _take(store, later.home, OpenDevice(later, 3, 4))

    @covers("DEV-VER-06", "DEV-T14")
    async def test_of_twenty_who_confirm_at_once_one_claims(self) -> None:
        async with self.open_store() as store:
            device = await open_device(store)
            claims = [a_claim(PersonId(f"p{n}"), bytes([n]) * 32) for n in range(20)]
            answers = await race(
                store, *(Change(device.home, (ClaimDevice(each, NOW),)) for each in claims)
            )
            assert wins(answers) == 1
            found = await store.find_device(device.home)
            assert found is not None
            assert (
                found.device.claim
                == claims[next(n for n, each in enumerate(answers) if isinstance(each, Applied))]
            )

    @covers("DEV-VER-06")
    async def test_a_claim_may_be_renewed_by_its_holder_and_taken_when_it_is_over(self) -> None:
        async with self.open_store() as store:
            device = await open_device(store)
            assert await _take(store, device.home, ClaimDevice(a_claim(), NOW))
            assert await _take(store, device.home, ClaimDevice(a_claim(), NOW))
            other = a_claim(BEN, b"t" * 32)
            over = NOW + CLAIM
            assert not await _take(store, device.home, ClaimDevice(other, over - TICK))
            assert not await _take(
                store, device.home, AnswerDevice(a_claim(), agrees=True, at=over)
            )
            assert await _take(store, device.home, ClaimDevice(other, over))
            late = NOW + LIFE - timedelta(minutes=1)
            assert not await _take(store, device.home, ClaimDevice(a_claim(at=late), late))

    @covers("DEV-XD-03", "DEV-T14")
    async def test_the_second_other_account_ends_a_claimed_session(self) -> None:
        async with self.open_store() as store:
            device = await open_device(store)

            async def contest(who: str) -> bool:
                return await _take(store, device.home, ContestDevice(PersonId(who), NOW))

            assert not await contest("cat"), "nobody has claimed it"
            assert await _take(store, device.home, ClaimDevice(a_claim(), NOW))
            assert not await contest(ANN)
            assert await contest("cat")
            assert await contest("cat")
            assert await _stage(store, device) is DeviceStage.WAITING
            assert await contest("dan")
            assert await _stage(store, device) is DeviceStage.DENIED
            assert not await contest("eve")

    @covers("DEV-VER-07", "DEV-T15")
    async def test_of_yes_and_no_at_once_one_counts_and_stays(self) -> None:
        async with self.open_store() as store:
            device = await open_device(store)
            claim = a_claim()
            assert await _take(store, device.home, ClaimDevice(claim, NOW))
            foreign = AnswerDevice(a_claim(ANN, b"t" * 32), agrees=True, at=NOW)
            assert not await _take(store, device.home, foreign)
            answers = await race(
                store,
                Change(
                    device.home,
                    (AnswerDevice(claim, agrees=True, at=NOW), OpenGrant(a_grant())),
                ),
                Change(device.home, (AnswerDevice(claim, agrees=False, at=NOW),)),
            )
            assert wins(answers) == 1
            agreed = isinstance(answers[0], Applied)
            stage = await _stage(store, device)
            assert stage is (DeviceStage.AGREED if agreed else DeviceStage.DENIED)
            assert (await store.find_grant(device.home) is not None) is agreed

    @covers("DEV-T23", "DEV-POLL-10", "DEV-DTR-05")
    async def test_of_twenty_polls_after_the_yes_one_spends_the_code(self) -> None:
        async with self.open_store() as store:
            device = await open_device(store)
            spend = SpendDevice(NOW)
            assert not await _take(store, device.home, spend), "nobody has agreed"
            await agree(store, device)
            answers = await race(store, *[Change(device.home, (spend,))] * 20)
            assert wins(answers) == 1
            assert answers.count(Superseded(spend, None)) == 19
            found = await store.find_device(device.home)
            assert found is not None
            assert (found.device.stage, found.grant) == (DeviceStage.SPENT, a_grant())

    @covers("DEV-POLL-12", "DEV-POLL-11")
    async def test_nothing_is_spent_when_it_is_over_or_its_ground_is_gone(self) -> None:
        async with self.open_store() as store:
            device = await open_device(store)
            await agree(store, device)
            assert not await _take(store, device.home, SpendDevice(NOW + LIFE))
            assert await _take(store, device.home, CloseHome(Event.STALE, STALE, at=NOW))
            assert not await _take(store, device.home, SpendDevice(NOW))
            assert await _stage(store, device) is DeviceStage.DENIED

    @covers("DEV-BIND-02", "DEV-T26")
    async def test_of_two_keys_that_prove_themselves_first_one_binds(self) -> None:
        async with self.open_store() as store:
            device = await open_device(store)
            answers = await race(
                store, *(Change(device.home, (BindDevice(each),)) for each in ("k1", "k2"))
            )
            assert wins(answers) == 1
            found = await store.find_device(device.home)
            assert found is not None
            bound = "k1" if isinstance(answers[0], Applied) else "k2"
            assert found.device.binding == Binding(bound)
