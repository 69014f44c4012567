"""What is written down of a request, and what of it names nobody (audit, votes, identifiers)."""

import itertools
from pathlib import Path

from abeyance.pending.disclosure import TEMPLATE_ID, TEMPLATE_VERSION
from abeyance.pending.votes import Verdict
from abeyance.server.pages.desk import render_request_id
from tests.config import CONFIG, PAYMENT, without
from tests.covers import covers
from tests.served import Served, serve


@covers("OAUTH-LOG-05", "EXT-DECIDE-04", "EXT-DECIDE-06")
async def test_every_transition_stands_in_the_audit_with_who_and_what(served: Served) -> None:
    approved, denied, cancelled = [await served.s1.defer() for _ in range(3)]
    await served.approve(approved)
    await served.s1.poll(approved)
    await served.deny(denied, "no")
    await served.s1.revoke(cancelled)
    stories = [
        [(each.event, each.actor) for each in await served.house.store.find_events(key)]
        for key in [await served.key_of(code) for code in (approved, denied, cancelled)]
    ]
    assert stories == [
        [("opened", "client:s1"), ("approved", "person:rita"), ("redeemed", "client:s1")],
        [("opened", "client:s1"), ("denied", "person:rita")],
        [("opened", "client:s1"), ("cancelled", "client:s1")],
    ]
    before = served.house.counters.authentication_failures._value.get()
    await served.post("/token", [("client_id", "s1"), ("client_secret", "x" * 40)])
    assert served.house.counters.authentication_failures._value.get() == before + 1


@covers("SEC-STORE-12", "EXT-EVID-06", "EXT-DECIDE-02", "SEC-TM-29")
async def test_a_vote_keeps_who_how_and_what_was_shown(served: Served) -> None:
    code = await served.s1.defer(authorization_details=[PAYMENT])
    await served.vote(code, Verdict.DENY, reason="not now", shareable=True)
    loaded = await served.house.store.find_loaded(await served.key_of(code))
    assert loaded is not None
    [ballot] = loaded.ballots
    assert (ballot.voter, ballot.authenticated, ballot.at) == (
        "rita", "password", served.clock.now(),
    )  # fmt: skip
    assert ballot.seen.startswith("sha-256:")
    assert ballot.shown["template"] == {"id": TEMPLATE_ID, "version": TEMPLATE_VERSION}


@covers("T-221", "SEC-UI-27", "SEC-UI-29")
async def test_names_of_requests_tell_neither_order_nor_count(served: Served) -> None:
    codes = [await served.s1.defer() for _ in range(20)]
    shown = [render_request_id(await served.key_of(code)) for code in codes]
    assert len(set(shown)) == 20
    assert shown != sorted(shown)
    for one, two in itertools.pairwise(shown):
        assert one[:6] != two[:6]
    for code, name in zip(codes, shown, strict=True):
        assert code[:16] not in name


@covers("T-203", "EXT-STALE-01", "SEC-RACE-10", "EXT-DECIDE-03")
async def test_a_decision_stands_when_its_reviewer_leaves_and_an_open_vote_does_not_count(
    tmp_path: Path,
) -> None:
    async with serve(tmp_path) as before:
        decided, waiting = await before.s1.defer(), await before.s1.defer()
        await before.approve(decided)
    smaller = without(CONFIG, 'id = "rita"').replace('"rita", ', "").replace('"rita"', '"omar"')
    async with serve(tmp_path, config=smaller) as after:
        assert (await after.s1.poll(decided)).status == 200
        refused = await after.vote(waiting, by="rita")
        assert getattr(refused, "obstacle", None) is not None


@covers("EXT-GRANT-06")
async def test_a_client_acting_for_itself_is_bound_to_itself_and_its_key(served: Served) -> None:
    code = await served.c1.defer()
    loaded = await served.house.store.find_loaded(await served.key_of(code))
    assert loaded is not None
    assert (loaded.snapshot.client, loaded.snapshot.subject) == ("c1", "client:c1")
    assert loaded.snapshot.binding.bound == served.keys["d1"].public.jkt


@covers("SEC-DOS-20")
async def test_a_store_that_is_away_is_told_by_readiness_and_not_by_liveness(
    served: Served,
) -> None:
    from abeyance.store.ports import StoreAway

    async def away() -> None:
        raise StoreAway("gone")

    served.house.store.check = away  # type: ignore[method-assign]
    assert (await served.get("/livez")).status == 200
    ready = await served.get("/readyz")
    assert ready.status == 503
    assert b"gone" not in ready.body
    served.answers.clear()  # 503 is what this test is about
