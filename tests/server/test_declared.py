"""What the configuration declares, each start brings in; what has left it is closed (section M)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from abeyance.acts.administer import enable_client, enable_person
from abeyance.acts.dispose import disable_client, disable_person
from abeyance.parties.client import Client, ClientId
from abeyance.parties.person import Person, PersonId
from abeyance.server import declared
from abeyance.server.declared import invite_first_administrator
from abeyance.store.sql.store import SqlStore
from tests.config import CONFIG, without
from tests.covers import covers
from tests.served import serve

S1: Final = ClientId("s1")
RITA: Final = PersonId("rita")


@covers(
    "T-199",
    "T-201",
    "OAUTH-CLI-05",
    "OAUTH-DEFER-09",
    "SEC-TOK-27",
    "DTR-SEC-04",
    "SEC-TM-08",
    "OAUTH-CLI-01",
)
async def test_a_client_that_left_the_file_is_disabled_and_what_waits_is_closed(
    tmp_path: Path,
) -> None:
    async with serve(tmp_path) as before:
        waiting, approved = await before.s1.defer(), await before.s1.defer()
        await before.approve(approved)
    async with serve(tmp_path, config=without(CONFIG, 'id = "s1"')) as gone:
        for code in (waiting, approved):
            answer = await gone.s1.poll(code)
            assert (answer.status, answer.error) == (401, "invalid_client")
        assert (await gone.s1.ask(scope="now")).status == 401
        # Closed at the start already, not when somebody asks.
        assert (await gone.held(waiting)).version == 2
    async with serve(tmp_path) as back:
        for code in (waiting, approved):
            assert (await back.s1.poll(code)).error == "access_denied"
        assert (await back.s1.ask(scope="now")).status == 200


@covers("OAUTH-CLI-05", "OAUTH-DEFER-09")
@pytest.mark.parametrize("started_without", [True, False])
async def test_a_start_that_was_killed_between_fence_and_sweep_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started_without: bool
) -> None:
    async with serve(tmp_path) as before:
        waiting, approved = await before.s1.defer(), await before.s1.defer()
        await before.approve(approved)
    smaller = without(CONFIG, 'id = "s1"')

    async def killed(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as power:
        power.setattr(declared, "close_client", killed)
        with pytest.raises(KeyboardInterrupt):
            async with serve(tmp_path, config=smaller):
                pass
    if started_without:
        async with serve(tmp_path, config=smaller):
            pass
    async with serve(tmp_path) as back:
        for code in (waiting, approved):
            assert (await back.s1.poll(code)).error == "access_denied"


@covers("OAUTH-CLI-05", "EXT-STALE-01", "DTR-SEC-04", "OAUTH-DEFER-06")
async def test_what_somebody_disabled_stays_so_whatever_the_file_declares(tmp_path: Path) -> None:
    async with serve(tmp_path) as before:
        store = before.house.store
        s1, rita = await store.find_client(S1), await store.find_person(RITA)
        assert s1 is not None
        assert rita is not None
        await disable_client(before.house, s1, by="operator")
        await disable_person(before.house, rita, by="operator")
    # The file changes meanwhile, and the client leaves it and comes back.
    renamed = CONFIG.replace('name = "Hostile agent"', 'name = "Another agent"')
    for config in (CONFIG, without(CONFIG, 'id = "s1"'), renamed):
        async with serve(tmp_path, config=config) as again:
            store = again.house.store
            assert (await again.s1.ask(scope="now")).status == 401
            found, person = await store.find_client(S1), await store.find_person(RITA)
            assert found is not None
            assert person is not None
            assert not found.enabled
            assert not person.enabled
    async with serve(tmp_path) as enabling:
        await enable_client(enabling.house, s1, by="operator")
        await enable_person(enabling.house, rita, by="operator")
        assert (await enabling.s1.ask(scope="now")).status == 200
    async with serve(tmp_path) as after:
        assert (await after.s1.ask(scope="now")).status == 200
        assert await after.house.store.find_person(RITA) == rita


@covers("OAUTH-CLI-05", "EXT-STALE-04")
async def test_a_start_overtakes_nobody_who_disables_just_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(tmp_path):
        pass
    real = SqlStore.list_clients, SqlStore.list_people

    async def clients_then_the_fence(self: SqlStore) -> Sequence[Client]:
        seen = await real[0](self)
        for each in seen:
            if each.id == S1 and each.enabled:
                await self.put_client(replace(each, enabled=False, barred=True))
        return seen

    async def people_then_the_fence(self: SqlStore) -> Sequence[Person]:
        seen = await real[1](self)
        for each in seen:
            if each.id == RITA and each.enabled:
                await self.put_person(replace(each, enabled=False, barred=True))
        return seen

    renamed = CONFIG.replace('id = "s1"\nname = "', 'id = "s1"\nname = "New ').replace(
        'id = "rita"\nname = "', 'id = "rita"\nname = "New '
    )
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(SqlStore, "list_clients", clients_then_the_fence)
        meanwhile.setattr(SqlStore, "list_people", people_then_the_fence)
        async with serve(tmp_path, config=renamed) as served:
            client, person = (
                await served.house.store.find_client(S1),
                await served.house.store.find_person(RITA),
            )
    assert client is not None
    assert person is not None
    assert (client.name[:4], client.enabled) == ("New ", False)
    assert (person.name[:4], person.enabled) == ("New ", False)


@covers("SEC-UI-25", "EXT-DECIDE-03")
async def test_a_reviewer_who_left_the_file_decides_nothing(tmp_path: Path) -> None:
    async with serve(tmp_path) as before:
        code = await before.s1.defer()
    smaller = without(CONFIG, 'id = "rita"').replace('"rita", ', "").replace('"rita"', '"omar"')
    async with serve(tmp_path, config=smaller) as after:
        refused = await after.vote(code, by="rita")
        assert getattr(refused, "obstacle", None) is not None
        assert (await after.s1.poll(code)).error == "authorization_pending"


@covers("T-139")
async def test_a_new_secret_works_and_the_old_one_does_not_while_a_request_waits(
    tmp_path: Path,
) -> None:
    async with serve(tmp_path) as before:
        code = await before.c1.defer()
    rotated = CONFIG.replace('jwks_file = "{data}/c1.jwks"', 'jwks_file = "{data}/c2.jwks"')
    async with serve(tmp_path, config=rotated) as after:
        assert (await after.c1.poll(code)).status == 401
        renewed = after.c1
        renewed.key = after.keys["c2"]
        assert (await renewed.poll(code)).error == "authorization_pending"
        assert (await renewed.without_proof().poll(code)).error == "invalid_dpop_proof"


@covers("SEC-OPS-03")
async def test_the_first_administrator_gets_a_link_that_dies_unused(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        link = await invite_first_administrator(served.house)
        assert link is not None
        people = await served.house.store.list_people()
        admin = next(each for each in people if each.id == "admin")
        assert admin.password_hash is None
        assert link.reveal().startswith("https://as.example/welcome/")
        assert "welcome" not in repr(link)


@covers("EXT-STALE-03")
async def test_credentials_that_ran_out_meanwhile_do_not_end_the_wait(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        code = await served.c2.defer()
        served.clock.move(1_800)  # the assertion and the proof of the first request are long dead
        await served.approve(code)
        assert (await served.c2.poll(code)).status == 200


@covers("EXT-STALE-01", "DTR-SEC-04", "OAUTH-TOK-09", "OAUTH-DEFER-06")
async def test_a_grant_that_was_taken_away_gives_no_token(tmp_path: Path) -> None:
    async with serve(tmp_path) as before:
        code = await before.c2.defer()
        await before.approve(code)
    block = 'id = "c2"\nname = "Hostile agent"'
    taken = CONFIG.replace(block, block + "\ngrant_types = []")
    async with serve(tmp_path, config=taken) as after:
        assert (await after.c2.ask(scope="now")).error == "unauthorized_client"
        assert (await after.c2.poll(code)).error == "access_denied"
