"""Erasing a person: nothing of theirs is left, nothing of others is lost, nobody is them again."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from abeyance.acts.erasing import erase_person, pseudonym_of
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.store.ports import AsAsker, AsReviewer, StoreAway, Wanted
from abeyance.store.sql.store import SqlStore
from tests.admin.office import open_office, ops
from tests.covers import covers
from tests.people.house import Flow, web
from tests.people.test_repeating import is_active
from tests.served import Served

UMA, RITA = PersonId("uma"), PersonId("rita")
ZACHARIAS: Final = PersonId("zacharias.zwoelf")
NAME: Final = "Z. von Zwoelfender"
MAIL: Final = "zz@mail.example"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_office(tmp_path) as running:
        yield running
        for path, answer in running.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"


async def add_zacharias(served: Served) -> None:
    """Somebody whom no configuration declares, with Uma's password."""
    uma = await served.house.store.find_person(UMA)
    assert uma is not None
    await served.house.store.put_person(
        replace(uma, id=ZACHARIAS, name=NAME, email=MAIL, declared=False)
    )


def names_in(folder: Path) -> list[str]:
    files = b"".join(each.read_bytes() for each in folder.rglob("abeyance.db*"))
    return [name for name in (ZACHARIAS, NAME, MAIL) if name.encode() in files]


@covers("SEC-STORE-16", "OAUTH-LOG-07")
async def test_nothing_that_is_theirs_is_left_and_nothing_of_it_works(tmp_path: Path) -> None:
    async with open_office(tmp_path) as served:
        await add_zacharias(served)
        flow = Flow(web(served), ZACHARIAS)
        waits = await flow.deferred()
        approved = await flow.deferred()
        await served.approve(approved)
        tokens = (await flow.redeem(await flow.code(scope="now"))).json
        assert await is_active(served, tokens["access_token"])
        caller = await ops(served)
        await caller.post("/signals", {"person_id": ZACHARIAS})
        store = served.house.store
        web_ = await store.find_client(ClientId("web"))
        assert web_ is not None
        await store.put_client(replace(web_, owner=ZACHARIAS))
        erased = await caller.call("DELETE", f"/people/{ZACHARIAS}")
        becomes = pseudonym_of(served.house, ZACHARIAS)
        assert (erased.status, erased.json) == (200, {"id": becomes})
        for code in (waits, approved):
            served.clock.move(6)
            assert (await web(served).poll(code)).error == "access_denied"
        assert not await is_active(served, tokens["access_token"])
        assert (await caller.get(f"/people/{ZACHARIAS}")).status == 404
        assert await store.list_sessions(ZACHARIAS) == []
        assert await store.list_consents(person=ZACHARIAS) == []
        assert (await store.find_client(ClientId("web"))) == replace(web_, owner=None)
        wanted = Wanted(whose=AsAsker(ZACHARIAS))
        assert not await store.count_requests(wanted, now=served.clock.now(), at_most=9)
        events = await store.list_security_events(100)
        signed_in = [each for each in events if each.event == "signed_in"]
        assert {each.actor for each in signed_in} == {f"person:{becomes}"}
        assert ("person_erased", becomes) in {(each.event, each.detail) for each in events}
    assert names_in(tmp_path) == []


@covers("SEC-STORE-16", "OAUTH-LOG-07")
async def test_what_a_reviewer_decided_stands_and_is_theirs_under_a_pseudonym(
    served: Served,
) -> None:
    uma = Flow(web(served))
    approved, denied, waits = await uma.deferred(), await uma.deferred(), await uma.deferred()
    await served.approve(approved)
    await served.deny(denied, "Too much")
    rita = await served.house.store.find_person(RITA)
    assert rita is not None
    keys = [await served.key_of(code) for code in (approved, denied)]
    before = [await served.house.store.find_loaded(key) for key in keys]
    becomes = await erase_person(served.house, rita, by="operator")
    for key, was in zip(keys, before, strict=True):
        after = await served.house.store.find_loaded(key)
        assert after is not None
        assert was is not None
        [ballot], [former] = after.ballots, was.ballots
        assert ballot == replace(former, voter=becomes)
        assert after.snapshot == replace(
            was.snapshot,
            plan=replace(
                was.snapshot.plan,
                reviewers=was.snapshot.plan.reviewers - {RITA} | {becomes},
            ),
        )
        actors = {each.actor for each in await served.house.store.find_events(key)}
        assert f"person:{becomes}" in actors
        assert f"person:{RITA}" not in actors
    for whose, count in ((RITA, 0), (becomes, 3)):
        wanted = Wanted(whose=AsReviewer(whose))
        found = await served.house.store.count_requests(wanted, now=served.clock.now(), at_most=9)
        assert found == count
    assert (await web(served).poll(approved)).status == 200
    assert (await web(served).poll(denied)).error == "access_denied"
    served.clock.move(6)
    assert (await web(served).poll(waits)).error == "authorization_pending"
    now = served.clock.now()
    for nobody in (RITA, becomes):
        assert not await served.house.store.count_waiting(nobody, now=now, at_most=9)
    assert await served.house.store.count_waiting(PersonId("ada"), now=now, at_most=9) == 1


async def test_nobody_else_is_touched(served: Served) -> None:
    await add_zacharias(served)
    uma, other = Flow(web(served)), Flow(web(served), ZACHARIAS)
    waits, token = await uma.deferred(), await uma.redeem(await uma.code(scope="now"))
    await other.deferred()
    store = served.house.store
    loaded = await store.find_loaded(await served.key_of(waits))
    person, consents = await store.find_person(UMA), await store.list_consents(person=UMA)
    caller = await ops(served)
    assert (await caller.call("DELETE", f"/people/{ZACHARIAS}")).status == 200
    assert await store.find_loaded(await served.key_of(waits)) == loaded
    assert await store.find_person(UMA) == person
    assert await store.list_consents(person=UMA) == consents
    assert await is_active(served, token.json["access_token"])
    assert (await web(served).poll(waits)).error == "authorization_pending"


@covers("SEC-STORE-16")
async def test_an_erasure_that_is_cut_short_anywhere_is_done_by_calling_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, pages = SqlStore.erase_person, 0

    async def cut(self: SqlStore, *args: Any, **more: Any) -> Any:
        nonlocal pages
        pages -= 1
        if pages < 0:
            raise StoreAway("the power has gone")
        return await real(self, *args, **more)

    async with open_office(tmp_path) as served:
        await add_zacharias(served)
        flow = Flow(web(served), ZACHARIAS)
        codes = [await flow.deferred() for _ in range(2)]
        monkeypatch.setattr(SqlStore, "erase_person", cut)
        runs = 0
        while (person := await served.house.store.find_person(ZACHARIAS)) is not None:
            assert person.enabled is (runs == 0)
            pages = runs
            runs += 1
            try:
                await erase_person(served.house, person, by="operator")
            except StoreAway:
                continue
        assert runs > 3
        for code in codes:
            assert (await web(served).poll(code)).error == "access_denied"
    assert names_in(tmp_path) == []


async def test_nobody_takes_the_place_of_who_was_erased(served: Served) -> None:
    await add_zacharias(served)
    caller = await ops(served)
    becomes = (await caller.call("DELETE", f"/people/{ZACHARIAS}")).json["id"]
    for body, code in (
        ({"id": ZACHARIAS, "name": "Another"}, "erased"),
        ({"id": "erased-0", "name": "Another"}, "unfit"),
    ):
        answer = await caller.post("/people", body)
        assert answer.status in (409, 422)
        assert answer.json["code"] == code
    for path in ("enable", "invite"):
        assert (await caller.post(f"/people/{becomes}/{path}")).json["code"] == "erased"
    assert (await caller.call("DELETE", f"/people/{becomes}")).json["code"] == "erased"
    left = await served.house.store.find_person(becomes)
    assert left is not None
    assert not left.enabled


async def test_whom_the_configuration_declares_is_not_erased(served: Served) -> None:
    caller, before = await ops(served), await served.house.store.find_person(UMA)
    answer = await caller.call("DELETE", f"/people/{UMA}")
    assert (answer.status, answer.json["code"]) == (409, "declared")
    assert (await caller.call("DELETE", "/people/nobody")).status == 404
    reader = await ops(served, "abeyance:read")
    assert (await reader.call("DELETE", f"/people/{UMA}")).status == 403
    assert await served.house.store.find_person(UMA) == before
