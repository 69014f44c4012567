"""Less, never more: what a decision may change (test plan section H; EXT-NARROW, EXT-BOUND)."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from abeyance.acts.decide import NotCounted, Obstacle, Vote, decide, review
from abeyance.parties.client import ClientId
from abeyance.pending.choosing import Choice
from abeyance.pending.votes import Verdict
from abeyance.wire import names
from tests.config import CONFIG, EXPORT, PAYMENT
from tests.covers import covers
from tests.served import Served, serve

BUDGETED = {**EXPORT, "budget": {"amount": "100.00", "currency": "EUR"}}


def choice(
    *items: str,
    parts: dict[str, frozenset[str]] | None = None,
    limits: dict[str, dict[str, Decimal]] | None = None,
    lifetime: timedelta = timedelta(minutes=30),
) -> Choice:
    return Choice(items=frozenset(items), parts=parts or {}, limits=limits or {}, lifetime=lifetime)


@covers("T-144", "EXT-NARROW-01", "EXT-NARROW-02", "OAUTH-SCOPE-04", "DTR-INV-01", "SEC-TM-06")
async def test_a_narrowed_scope_is_what_answer_and_token_say(served: Served) -> None:
    code = await served.s1.defer(scope="read write")
    await served.approve(code, choice("scope:read"))
    token = await served.s1.poll(code)
    assert token.json["scope"] == token.claims()["scope"] == "read"


@covers("EXT-NARROW-01", "EXT-NARROW-02", "EXT-NARROW-03", "T-144")
async def test_a_divisible_detail_is_granted_in_part(served: Served) -> None:
    code = await served.s1.defer(authorization_details=[PAYMENT, BUDGETED])
    kept = frozenset({"tables:0", "tables:2"})
    await served.approve(
        code,
        choice(
            "detail:1",
            parts={"detail:1": kept},
            limits={"detail:1": {"budget": Decimal("40.50")}},
        ),
    )
    token = await served.s1.poll(code)
    assert token.json["authorization_details"] == [
        {
            "type": "export",
            "tables": ["customers", "leads"],
            "budget": {"amount": "40.50", "currency": "EUR"},
        }
    ]
    assert token.claims()["authorization_details"] == token.json["authorization_details"]


@covers("T-143", "SEC-UI-17", "DTR-INV-01", "OAUTH-DEFER-05")
async def test_a_decision_that_would_add_anything_is_refused(served: Served) -> None:
    code = await served.s1.defer(scope="read", authorization_details=[BUDGETED])
    for wider in (
        choice("scope:read", "scope:write"),
        choice("detail:1"),
        choice("detail:0", parts={"detail:0": frozenset({"tables:3"})}),
        choice("detail:0", limits={"detail:0": {"budget": Decimal(101)}}),
        choice("scope:read", lifetime=timedelta(minutes=31)),
        choice(),
    ):
        refused = await served.vote(code, choice=wider)
        assert isinstance(refused, NotCounted)
        assert refused.obstacle is Obstacle.INVALID
    loaded = await served.house.store.find_loaded(await served.key_of(code))
    assert loaded is not None
    assert (loaded.ballots, loaded.held.version) == ((), 1)
    assert (await served.s1.poll(code)).error == "authorization_pending"


@covers("EXT-BOUND-01", "EXT-NARROW-05", "OAUTH-DEFER-10", "EXT-BOUND-04")
async def test_a_token_ends_no_later_than_its_approval(served: Served) -> None:
    code = await served.s1.defer()
    await served.approve(code, choice("scope:read", lifetime=timedelta(minutes=5)))
    served.clock.move(100)
    token = await served.s1.poll(code)
    assert token.json["expires_in"] == 200
    claims = token.claims()
    assert claims["exp"] - claims["iat"] == 200
    assert claims["iat"] == int(served.clock.now().timestamp())


@covers("EXT-BOUND-01", "EXT-STALE-05", "OAUTH-DEFER-06")
async def test_an_approval_that_has_run_out_gives_no_token(served: Served) -> None:
    code = await served.s1.defer()
    await served.approve(code, choice("scope:read", lifetime=timedelta(minutes=5)))
    served.clock.move(300)
    for _ in range(2):
        assert (await served.s1.poll(code)).error == "access_denied"


@covers("SEC-TOK-27", "DTR-RD-17")
@pytest.mark.parametrize(
    ("lost", "error"),
    [(names.GRANT_CLIENT_CREDENTIALS, "access_denied"), (names.GRANT_DEFERRED, None)],
)
async def test_the_originating_grant_is_still_needed_and_the_deferred_one_is_not(
    served: Served, lost: str, error: str | None
) -> None:
    client = await served.house.store.find_client(ClientId("s1"))
    assert client is not None
    await served.house.store.put_client(
        replace(client, grant_types=client.grant_types | {names.GRANT_DEFERRED})
    )
    code = await served.s1.defer()
    await served.approve(code)
    await served.house.store.put_client(replace(client, grant_types=client.grant_types - {lost}))
    answer = await served.s1.poll(code)
    assert answer.json.get("error") == error
    await served.house.store.put_client(client)


@covers("T-146", "T-147", "DTR-RD-09", "DTR-INV-01")
async def test_what_grew_meanwhile_does_not_grow_what_was_asked(tmp_path: Path) -> None:
    async with serve(tmp_path) as before:
        code = await before.s1.defer(scope="read")
        await before.approve(code)
    s1 = 'scope = ["now", "never", "read", "write", "brief"]\nresources = ["https://rs.example"]'
    assert CONFIG.count(s1) == 2
    more = (
        'default_scope = ["read", "write"]\n'
        'resources = ["https://rs.example", "https://rs2.example"]'
    )
    wider = CONFIG.replace(s1, s1.partition("\n")[0] + "\n" + more, 1).replace(
        'approval_lifetime = "30m"', 'approval_lifetime = "8h"'
    )
    async with serve(tmp_path, config=wider, extra='[lifetimes]\naccess_token = "1h"') as after:
        token = await after.s1.poll(code)
        assert (token.json["scope"], token.json["expires_in"]) == ("read", 1_800), "as was approved"
        claims = token.claims()
        assert (claims["aud"], claims["exp"] - claims["iat"]) == ("https://rs.example", 1_800)


@covers("T-145", "T-147", "DTR-RD-09", "SEC-TOK-27", "OAUTH-CLI-07", "T-201")
async def test_a_registration_that_shrank_meanwhile_gives_no_token(tmp_path: Path) -> None:
    async with serve(tmp_path) as before:
        shrunk, kept = await before.s1.defer(scope="write"), await before.s1.defer(scope="read")
        for code in (shrunk, kept):
            await before.approve(code)
    s1 = 'secret_file = "{data}/s1.secret"\nscope = ["now", "never", "read", "write", "brief"]'
    assert s1 in CONFIG
    smaller = CONFIG.replace(s1, s1.replace(', "write"', "") + '\ndefault_scope = ["read", "now"]')
    async with serve(tmp_path, config=smaller) as after:
        assert (await after.s1.poll(shrunk)).error == "access_denied"
        assert (await after.s1.poll(kept)).json["scope"] == "read"
    async with serve(tmp_path) as again:
        assert (await again.s1.poll(shrunk)).error == "access_denied"


@covers(
    "SEC-UI-15",
    "SEC-UI-16",
    "EXT-EVID-01",
    "EXT-EVID-02",
    "EXT-EVID-03",
    "SEC-TM-07",
    "EXT-DECIDE-02",
    "SEC-TM-09",
)
async def test_a_vote_on_something_else_than_what_stands_does_not_count(served: Served) -> None:
    one, two = await served.s1.defer(scope="read"), await served.s1.defer(scope="write")
    rita = next(each for each in await served.house.store.list_people() if each.id == "rita")
    shown = await review(served.house, rita, await served.key_of(one))
    assert shown is not None
    good = Vote(verdict=Verdict.APPROVE, seen=shown.disclosure.digest, version=1)
    for key, vote in (
        (await served.key_of(two), good),
        (await served.key_of(one), Vote(verdict=Verdict.APPROVE, seen="", version=1)),
        (await served.key_of(one), Vote(verdict=Verdict.APPROVE, seen=good.seen, version=2)),
    ):
        refused = await decide(served.house, rita, key, vote)
        assert isinstance(refused, NotCounted)
        assert refused.obstacle is Obstacle.CHANGED
    await decide(served.house, rita, await served.key_of(one), good)
    loaded = await served.house.store.find_loaded(await served.key_of(one))
    assert loaded is not None
    [ballot] = loaded.ballots
    assert (ballot.voter, ballot.seen, ballot.version) == ("rita", good.seen, 1)
    assert ballot.shown == shown.disclosure.object
    replayed = await decide(served.house, rita, await served.key_of(one), good)
    assert isinstance(replayed, NotCounted)


@covers("SEC-UI-20", "EXT-DECIDE-03", "SEC-TM-11")
async def test_nobody_decides_for_a_client_of_their_own(served: Served) -> None:
    code = await served.c1.defer()
    own = await served.vote(code, by="omar")
    assert isinstance(own, NotCounted)
    assert own.obstacle is Obstacle.OWN_REQUEST
    await served.approve(code)


@covers("EXT-DECIDE-07", "SEC-UI-27")
async def test_a_request_of_other_reviewers_does_not_exist_for_me(served: Served) -> None:
    code = await served.s1.defer(scope="brief")
    refused = await served.vote(code, by="omar")
    assert isinstance(refused, NotCounted)
    assert refused.obstacle is Obstacle.UNKNOWN


@covers("EXT-NARROW-03", "SEC-UI-11")
async def test_two_equal_payments_are_two_payments(served: Served) -> None:
    code = await served.s1.defer(authorization_details=[PAYMENT, PAYMENT])
    await served.approve(code, choice("detail:1"))
    token = await served.s1.poll(code)
    assert token.json["authorization_details"] == [PAYMENT]
