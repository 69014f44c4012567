"""Copies of the store of a running server, and going on from one (docs/operations.md)."""

import asyncio
import stat
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path

import apsw
import pytest

from abeyance.cli import keeping, main
from abeyance.parties.person import PersonId
from abeyance.store.drafted import NotCopied
from abeyance.store.ports import StoreElsewhere
from abeyance.store.sqlite.copying import back_up
from tests.covers import covers
from tests.people.house import Flow, open_people, web
from tests.served import Served, serve

MOVED = "moved.db"
LEDGER = "https://ledger.example"


async def copy(served: Served, folder: Path, name: str = "copy.db") -> Path:
    """What `abeyance backup` makes of the store beneath a server that runs."""
    file = folder / name
    call = partial(keeping.backup, file, config=folder / "abeyance.toml", now=served.clock.now)
    assert await asyncio.to_thread(call) == 0
    return file


async def restore(folder: Path, file: Path | None, at: datetime) -> None:
    """As after the loss of the disk, if there is a file."""
    if file is not None:
        lose(folder)
    call = partial(keeping.restore, file, config=folder / "abeyance.toml", now=lambda: at)
    assert await asyncio.to_thread(call) == 0


def lose(folder: Path) -> None:
    for left in folder.glob("abeyance.db*"):
        left.unlink()


def names(folder: Path, pattern: str = "*") -> list[str]:
    return [each.name for each in folder.glob(pattern)]


@covers("T-136", "DTR-SEC-03", "OAUTH-DEFER-12")
async def test_what_waited_in_a_copy_waits_on_with_its_code_and_its_key(tmp_path: Path) -> None:
    async with serve(tmp_path) as before:
        code = await before.c1.defer()
        file = await copy(before, tmp_path)
    await restore(tmp_path, file, before.clock.now())
    async with serve(tmp_path) as after:
        assert (await after.c1.without_proof().poll(code)).error == "invalid_dpop_proof"
        assert (await after.c1.poll(code)).error == "authorization_pending"
        await after.approve(code)
        after.clock.move(5)
        assert (await after.c1.poll(code)).json["token_type"] == "DPoP"


@covers("DTR-POLL-03", "DTR-CANC-05")
async def test_an_approval_that_a_copy_does_not_know_to_be_collected_is_closed(
    tmp_path: Path,
) -> None:
    async with serve(tmp_path) as before:
        collected, uncollected = await before.c1.defer(), await before.c1.defer()
        await before.approve(collected)
        await before.approve(uncollected)
        file = await copy(before, tmp_path)
        assert (await before.c1.poll(collected)).status == 200
    await restore(tmp_path, file, before.clock.now())
    async with serve(tmp_path) as after:
        for code in (collected, uncollected):
            after.clock.move(5)
            assert (await after.c1.poll(code)).error == "access_denied"
        assert (await after.c1.defer()) not in (collected, uncollected)


@covers("DTR-POLL-03")
async def test_what_was_decided_since_a_copy_says_so_to_whoever_decides_again(
    tmp_path: Path,
) -> None:
    async with serve(tmp_path) as before:
        code = await before.c1.defer()
        file = await copy(before, tmp_path)
        await before.deny(code)
    await restore(tmp_path, file, before.clock.now())
    async with serve(tmp_path) as after:
        events = await after.house.store.find_events(await after.key_of(code))
        assert [each.event for each in events] == ["opened", "restored"]
        assert (await after.c1.poll(code)).error == "authorization_pending"


@covers("OAUTH-DEFER-12")
async def test_a_store_that_has_moved_goes_on_where_it_is_restored_and_only_there(
    tmp_path: Path,
) -> None:
    async with serve(tmp_path) as before:
        waiting, approved = await before.c1.defer(), await before.c1.defer()
        await before.approve(approved)
        at = before.clock.now()
    file = tmp_path / MOVED
    config = tmp_path / "abeyance.toml"
    call = partial(keeping.backup, file, move=True, config=config, now=lambda: at)
    assert await asyncio.to_thread(call) == 0
    with pytest.raises(StoreElsewhere, match="goes on elsewhere"):
        async with serve(tmp_path):
            pass
    await restore(tmp_path, file, at)
    async with serve(tmp_path) as after:
        assert (await after.c1.poll(waiting)).error == "authorization_pending"
        assert (await after.c1.poll(approved)).json["token_type"] == "DPoP"


async def test_a_copy_that_was_only_put_in_place_is_not_served(tmp_path: Path) -> None:
    async with serve(tmp_path) as before:
        approved = await before.c1.defer()
        await before.approve(approved)
        file = await copy(before, tmp_path)
    (tmp_path / "abeyance.db").write_bytes(file.read_bytes())
    with pytest.raises(StoreElsewhere, match="abeyance restore"):
        async with serve(tmp_path):
            pass
    await restore(tmp_path, None, before.clock.now())
    async with serve(tmp_path) as after:
        assert (await after.c1.poll(approved)).error == "access_denied"


@covers("OAUTH-RT-04", "OAUTH-AUTHZ-12")
async def test_no_earlier_family_or_consent_comes_back_to_life(tmp_path: Path) -> None:
    async with open_people(tmp_path) as before:
        flow = Flow(web(before, "many"))
        first = await flow.redeem(await flow.code(scope="now read", resource=LEDGER))
        token = str(first.json["refresh_token"])
        file = await copy(before, tmp_path)
        assert (await flow.refresh(token)).status == 200
    await restore(tmp_path, file, before.clock.now())
    async with open_people(tmp_path) as after:
        assert (await Flow(web(after, "many")).refresh(token)).error == "invalid_grant"
        assert list(await after.house.store.list_consents(person=PersonId("uma"))) == []


@covers("SEC-STORE-06", "OAUTH-SEC-10", "OAUTH-SEC-06")
async def test_a_copy_is_its_owners_alone_whole_and_without_keys(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        code = await served.c1.defer(client_notification_token="n" * 30)
        file = await copy(served, tmp_path)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert names(tmp_path, "copy.db*") == ["copy.db"]
        assert code.encode() not in file.read_bytes()
        for key in (tmp_path / "keys").iterdir():
            assert key.read_bytes().strip() not in file.read_bytes()
        with closing(apsw.Connection(str(file))) as db:
            assert db.execute("PRAGMA integrity_check").get == "ok"


async def test_nothing_is_copied_over_a_file_or_from_what_is_no_store(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        file = await copy(served, tmp_path)
        before = file.read_bytes()
        with pytest.raises(NotCopied, match="is there already"):
            await copy(served, tmp_path)
        assert file.read_bytes() == before
    other = tmp_path / "other.db"
    for content in (b"", b"no database at all" * 100):
        other.write_bytes(content)
        with pytest.raises(NotCopied):
            back_up(other, tmp_path / "never.db", at="now")
        with pytest.raises(NotCopied):
            await asyncio.to_thread(keeping.restore, other, data=str(tmp_path / "new"))
    assert not (tmp_path / "never.db").exists()
    assert names(tmp_path / "new", "abeyance.db*[!k]") == []


async def test_a_damaged_copy_is_not_restored(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        for _ in range(20):
            await served.s1.defer()
        file = await copy(served, tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:8192] + bytes(4096) + whole[12288:])
    with pytest.raises(NotCopied):
        await asyncio.to_thread(keeping.restore, file, data=str(tmp_path / "new"))
    assert names(tmp_path / "new") == ["abeyance.db.lock"]


async def test_nothing_is_restored_beneath_a_server_or_over_a_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", str(tmp_path / "abeyance.toml")]
    async with serve(tmp_path) as served:
        file = await copy(served, tmp_path)
        for call in (["restore", str(file)], ["restore"], ["backup", "--move", "x.db"]):
            assert await asyncio.to_thread(main, [*call, *config]) == 2
            assert "is in use by" in capsys.readouterr().err
    assert await asyncio.to_thread(main, ["restore", str(file), *config]) == 2
    assert "is there already" in capsys.readouterr().err
