"""A root follows another beneath a running server: nothing that the old one made is lost."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from abeyance.acts import interact
from abeyance.acts.erasing import erase_person, find_erased
from abeyance.acts.interact import Visited
from abeyance.acts.resealing import NOTICED, RETIRED, SHORT_LIVED, Resealed, reseal, retire_outgoing
from abeyance.acts.sealing import callback_place, handle_place
from abeyance.keys.roots import Root, read_roots
from abeyance.keys.rotating import succeed_root
from abeyance.parties.person import Person, PersonId
from abeyance.proofs.sealing import NONCE_BYTES, seal, unseal
from abeyance.store.ports import Sealed
from tests.config import CONFIG
from tests.covers import covers
from tests.devices.house import Viewer, open_devices, tv
from tests.devices.test_pages import WRONG
from tests.exchange.house import Agent, is_refused, open_house
from tests.people.house import Flow, open_people, web
from tests.people.test_interaction import deferred as deferred_with_step
from tests.people.test_interaction import path_of, signed_in
from tests.people.test_refresh_deferred import held_family
from tests.served import Served, serve
from tests.server.test_callbacks import TOKEN, deferred, settle, world


def succeed(served: Served, folder: Path) -> Root:
    """Another root, used from now on, and noticed."""
    now = served.clock.now()
    root = succeed_root(folder / "keys", at=now, now=now)
    served.clock.move(5)
    served.house.keys.look()
    assert served.house.keys.root.id == root.id
    return root


async def visit(served: Served, path: str) -> Visited | None:
    """What Uma finds at an address."""
    uma = await served.house.store.find_person(PersonId("uma"))
    assert uma is not None
    return await interact.visit(served.house, uma, path.removeprefix("/interact/"))


async def all_sealed(served: Served) -> list[Sealed]:
    return list(await served.house.store.list_sealed(after=None, limit=999))


async def sealed_by(served: Served, root: Root) -> list[Sealed]:
    """All that is sealed, when the server has come so far."""
    async with asyncio.timeout(30):
        while True:
            found = await all_sealed(served)
            if all(opens(root, each) for each in found):
                return found


def opens(root: Root, sealed: Sealed) -> bool:
    place = handle_place if sealed.seq is None else callback_place
    return unseal(sealed.value, root.keys.seal_key, about=place(sealed.key)) is not None


@covers("OAUTH-SEC-05", "OAUTH-SEC-07", "OAUTH-DEFER-12")
async def test_what_an_old_root_sealed_is_sealed_anew_and_still_sent(tmp_path: Path) -> None:
    async with world(tmp_path) as (served, network):
        old = served.house.keys.root
        codes = [await deferred(served, client_notification_token=TOKEN) for _ in range(150)]
        new = succeed(served, tmp_path)
        code = await deferred(served)
        before = await all_sealed(served)
        assert [sum(opens(root, each) for each in before) for root in (old, new)] == [150, 1]
        # By the task of the server itself.
        served.clock.move(NOTICED.total_seconds() + 5)
        after = await sealed_by(served, new)
        assert len(after) == 151
        assert not any(opens(old, each) for each in after)
        for each in (codes[0], code):
            await served.deny(each)
        await settle(lambda: len(network.posts) == 2)
        assert {post.body["deferral_code"] for post in network.posts} == {codes[0], code}


@covers("EXT-IDEMP-06", "OAUTH-RT-11")
async def test_a_refresh_that_is_asked_again_gets_the_code_that_an_old_root_sealed(
    tmp_path: Path,
) -> None:
    async with open_people(tmp_path) as served:
        flow, token, first = await held_family(served)
        for _ in range(2):
            succeed(served, tmp_path)
            again = await flow.refresh(token, defer=True, scope="read")
            assert again.code == first.code
            assert (await reseal(served.house)).anew == 1
        assert (await reseal(served.house)).anew == 0


@covers("OAUTH-SEC-07")
async def test_what_another_process_seals_anew_first_is_counted_there_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_people(tmp_path) as served:
        await held_family(served)
        house, listed = served.house, served.house.store.list_sealed
        succeed(served, tmp_path)

        async def overtaken(**where: Any) -> Sequence[Sealed]:
            page = await listed(**where)
            monkeypatch.undo()
            assert await reseal(house) == Resealed(anew=1)
            return page

        monkeypatch.setattr(house.store, "list_sealed", overtaken)
        assert await reseal(house) == Resealed(overtaken=1)


@covers("OAUTH-SEC-07")
async def test_an_old_root_stays_while_somebody_still_seals_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_people(tmp_path) as served:
        await held_family(served)
        house, old = served.house, served.house.keys.root
        replaced = house.store.replace_sealed
        succeed(served, tmp_path)

        async def overtaken(before: Sealed, value: bytes) -> bool:
            place = handle_place(before.key)
            opened = unseal(before.value, old.keys.seal_key, about=place)
            assert opened is not None
            again = seal(opened, old.keys.seal_key, about=place, nonce=value[:NONCE_BYTES])
            assert await replaced(before, again)
            return await replaced(before, value)

        served.clock.move((SHORT_LIVED + house.terms.device).total_seconds())
        with monkeypatch.context() as patch:
            patch.setattr(house.store, "replace_sealed", overtaken)
            assert await retire_outgoing(house) == ()
            [left] = await all_sealed(served)
            assert opens(old, left)


@covers("EXT-INTERACT-09", "DTR-IURI-01", "DTR-IURI-03")
async def test_an_address_of_an_old_root_leads_where_it_led(tmp_path: Path) -> None:
    async with open_people(tmp_path) as served:
        flow = Flow(web(served))
        code, path = await deferred_with_step(flow)
        uma = await signed_in(served, "uma")
        before, seen = await uma.get(path), await visit(served, path)
        succeed(served, tmp_path)
        assert (await uma.get(path)).text == before.text
        assert await visit(served, path) == seen, "with the code that its client shows"
        served.clock.move(6)
        fresh = path_of(await flow.client.poll(code))
        assert fresh != path
        assert (await uma.get(fresh)).answer.status == 200


@covers("OAUTH-DPOP-08", "OAUTH-DPOP-09")
async def test_a_nonce_of_an_old_root_is_taken_for_as_long_as_it_lives(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        nonces, now = served.house.nonces, served.clock.now
        old = nonces.mint_nonce(now())
        succeed(served, tmp_path)
        assert nonces.mint_nonce(now()) != old
        assert nonces.accepts(old, now()) is not None
        assert nonces.accepts(nonces.mint_nonce(now()), now()) is not None
        served.clock.move(300)
        assert nonces.accepts(old, now()) is None


@covers("OAUTH-LOG-07")
async def test_who_was_erased_under_a_root_that_is_gone_is_not_replaced(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        house, zoe = served.house, Person(id=PersonId("zoe"), name="Zoe", roles=frozenset())
        await house.store.put_person(zoe)
        erased = await erase_person(house, zoe, by="operator")
        succeed(served, tmp_path)
        served.clock.move((SHORT_LIVED + house.terms.device).total_seconds())
        assert len(await retire_outgoing(house)) == 1
        found = await find_erased(house, zoe.id)
        assert found is not None
        assert found.id == erased


@covers("OAUTH-SEC-07", "OAUTH-DEFER-12", "SEC-STORE-07")
async def test_an_old_root_goes_when_nothing_needs_it_and_not_before(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        house, code = served.house, await served.c1.defer()
        old, new = house.keys.root, succeed(served, tmp_path)
        assert await retire_outgoing(house) == ()
        served.clock.move((SHORT_LIVED + house.terms.device).total_seconds())
        await served.house.store.check()
        assert await retire_outgoing(house) == (old,)
        assert [each.id for each in read_roots(tmp_path / "keys").all] == [new.id]
        assert (tmp_path / "keys" / f"retired-root-{old.id}.key").exists()
        events = await house.store.list_security_events(1)
        assert [(each.event, each.detail) for each in events] == [(RETIRED, old.id)]
        assert (await served.c1.poll(code)).error == "expired_token"
    async with serve(tmp_path) as again:
        assert again.house.keys.root.id == new.id


@covers("OAUTH-DEFER-12")
async def test_an_old_root_stays_while_a_request_waits_that_is_older(tmp_path: Path) -> None:
    long = CONFIG.replace('lifetime = "1h"', 'lifetime = "3d"')
    async with serve(tmp_path, config=long) as served:
        await served.c1.defer()
        old = served.house.keys.root
        succeed(served, tmp_path)
        served.clock.move(timedelta(days=2).total_seconds())
        assert await retire_outgoing(served.house) == ()
        served.clock.move(timedelta(days=1).total_seconds())
        assert await retire_outgoing(served.house) == (old,)


@covers("OAUTH-JWTB-02", "EXT-GRANT-05")
async def test_an_assertion_is_used_once_though_the_root_is_another_by_then(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path) as served:
        agent = Agent.of(served)
        used, unused = agent.idp.assertion(), agent.idp.assertion()
        assert (await agent.bring(used, scope="now")).status == 200
        succeed(served, tmp_path)
        assert is_refused(await agent.bring(used, scope="now"), "invalid_grant")
        for status in (200, 400):
            assert (await agent.bring(unused, scope="now")).status == status


@covers("DEV-UC-03", "OAUTH-DEFER-12")
async def test_a_user_code_is_typed_in_though_the_root_is_another_by_then(tmp_path: Path) -> None:
    async with open_devices(tmp_path) as served:
        device = await tv(served).begin()
        succeed(served, tmp_path)
        assert WRONG not in (await Viewer(served).type(device.code)).text
        newer = await tv(served).begin()
        assert WRONG not in (await Viewer(served).type(newer.code)).text
