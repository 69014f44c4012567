"""A first request that is sent again under its client's own name for it (EXT-IDEMP)."""

import asyncio
import json
from typing import Final

import pytest

from abeyance.acts import dispose
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.repetition import MOST_RECOVERIES
from abeyance.store.ports import AsReviewer, Wanted
from tests.answer import Answer
from tests.config import PAYMENT
from tests.covers import covers
from tests.people.house import Flow, public, web
from tests.people.test_refreshing import family, refresh_of
from tests.served import Caller, Served

NAME: Final = "r7rAd3mZpQ_kX9-4wTz1Lg"
RITA: Final = PersonId("rita")


def robot(served: Served) -> Caller:
    return web(served, "robot")


async def asked(served: Served) -> int:
    """How many requests reviewers have ever seen."""
    wanted = Wanted(whose=AsReviewer(RITA))
    return await served.house.store.count_requests(wanted, now=served.clock.now(), at_most=100)


async def is_active(served: Served, token: str) -> bool:
    answer = await web(served, "ledger").post("/introspect", [("token", token)])
    active: bool = answer.json["active"]
    return active


async def collected(caller: Caller, code: str) -> Answer:
    await caller.served.approve(code)
    answer = await caller.poll(code)
    assert answer.status == 200, answer.body
    return answer


# --- while it waits


@covers("T-075", "EXT-IDEMP-03", "EXT-IDEMP-06")
async def test_the_same_request_under_the_same_name_gets_the_same_code(served: Served) -> None:
    first = await robot(served).ask(deferral_request_id=NAME)
    served.clock.move(100)
    again = await robot(served).ask(deferral_request_id=NAME)
    assert first.error == again.error == "authorization_pending"
    assert again.code == first.code
    assert again.json["interval"] == first.json["interval"]
    assert again.json["expires_in"] == first.json["expires_in"] - 100
    assert await asked(served) == 1
    await served.approve(first.code)
    assert (await robot(served).ask(deferral_request_id=NAME)).code == first.code, "to be collected"
    assert (await robot(served).poll(first.code)).status == 200


@covers("EXT-IDEMP-08", "EXT-QUEUE-02")
@pytest.mark.parametrize("names", [(None, None), (NAME, None), (NAME, NAME + "2")])
async def test_equal_requests_without_one_name_are_two(
    served: Served, names: tuple[str | None, str | None]
) -> None:
    codes = [
        await robot(served).defer(**({} if name is None else {"deferral_request_id": name}))
        for name in names
    ]
    assert len(set(codes)) == 2
    assert await asked(served) == 2


@covers("EXT-IDEMP-01")
async def test_a_name_is_its_clients_own(served: Served) -> None:
    code = await robot(served).defer(deferral_request_id=NAME)
    flow = Flow(web(served))
    other = await flow.redeem(await flow.code(), defer=True, deferral_request_id=NAME)
    assert other.error == "authorization_pending"
    assert other.code != code


@covers("EXT-IDEMP-04", "EXT-IDEMP-02")
async def test_another_request_under_the_same_name_is_refused(served: Served) -> None:
    code = await robot(served).defer(deferral_request_id=NAME)
    answer = await robot(served).ask(scope="sure", deferral_request_id=NAME)
    assert answer.error == "invalid_request"
    spelt = await robot(served).ask(resource="https://ledger.example", deferral_request_id=NAME)
    assert spelt.code == code, "what is asked counts, not how it is written"
    assert await asked(served) == 1
    assert (await robot(served).poll(code)).error == "authorization_pending"


@covers("EXT-IDEMP-04", "EXT-IDEMP-02", "DTR-BIND-01")
async def test_another_key_under_the_same_name_is_another_request(served: Served) -> None:
    bound = robot(served).with_dpop(served.keys["d1"])
    code = await bound.defer(deferral_request_id=NAME)
    for thief in (robot(served), robot(served).with_dpop(served.keys["d2"])):
        assert (await thief.ask(deferral_request_id=NAME)).error == "invalid_request"
    assert (await bound.ask(deferral_request_id=NAME)).code == code


@covers("SEC-RACE-15", "EXT-IDEMP-01", "EXT-IDEMP-03")
async def test_twenty_at_once_are_one_request(served: Served) -> None:
    caller = robot(served)
    answers = await asyncio.gather(*(caller.ask(deferral_request_id=NAME) for _ in range(20)))
    assert len({answer.code for answer in answers}) == 1
    assert await asked(served) == 1


@covers("SEC-RACE-15", "EXT-IDEMP-04")
async def test_of_two_requests_that_race_for_a_name_one_has_it(served: Served) -> None:
    caller = robot(served)
    scopes = ["read", "sure"] * 8
    answers = await asyncio.gather(
        *(caller.ask(scope=scope, deferral_request_id=NAME) for scope in scopes)
    )
    won = {answer.code for answer in answers if "deferral_code" in answer.json}
    assert len(won) == 1
    assert {answer.error for answer in answers if "deferral_code" not in answer.json} == {
        "invalid_request"
    }
    assert await asked(served) == 1


@covers("T-168", "EXT-IDEMP-05", "EXT-IDEMP-08", "DTR-RD-08")
async def test_a_code_that_is_shown_again_under_its_name_is_no_reuse(served: Served) -> None:
    flow = Flow(web(served))
    code = await flow.code()
    first = await flow.redeem(code, defer=True, deferral_request_id=NAME)
    again = await flow.redeem(code, defer=True, deferral_request_id=NAME)
    assert again.code == first.code
    wrong = await flow.redeem(code, defer=True, deferral_request_id=NAME, code_verifier="w" * 50)
    assert wrong.error == "invalid_grant"
    assert (await collected(flow.client, first.code)).json["scope"] == "read"


@covers("T-168", "EXT-IDEMP-08", "DTR-RD-08", "OAUTH-CODE-05")
@pytest.mark.parametrize("changes", [{}, {"deferral_request_id": NAME + "2"}])
async def test_without_its_name_a_code_that_is_shown_again_ends_the_wait(
    served: Served, changes: dict[str, str]
) -> None:
    flow = Flow(web(served))
    code = await flow.code()
    first = await flow.redeem(code, defer=True, deferral_request_id=NAME)
    assert (await flow.redeem(code, defer=True, **changes)).error == "invalid_grant"
    assert (await flow.client.poll(first.code)).error == "access_denied"


@covers("EXT-IDEMP-01", "EXT-IDEMP-04")
async def test_two_codes_under_one_name_are_two_requests(served: Served) -> None:
    flow = Flow(web(served))
    first = await flow.redeem(await flow.code(), defer=True, deferral_request_id=NAME)
    other = await flow.code()
    assert (
        await flow.redeem(other, defer=True, deferral_request_id=NAME)
    ).error == "invalid_request"
    assert (await flow.redeem(other, defer=True)).error == "authorization_pending", "not spent"
    assert (await flow.client.poll(first.code)).error == "authorization_pending"


@covers("SEC-RACE-15", "EXT-IDEMP-05")
async def test_a_code_that_is_shown_at_once_under_one_name_is_one_request(served: Served) -> None:
    flow = Flow(public(served))
    code = await flow.code()
    answers = await asyncio.gather(
        *(flow.redeem(code, defer=True, deferral_request_id=NAME) for _ in range(12))
    )
    assert len({answer.code for answer in answers}) == 1


# --- how it ended


@covers("EXT-IDEMP-03", "EXT-IDEMP-09")
async def test_a_request_that_is_repeated_after_its_end_hears_that_end(served: Served) -> None:
    for end, said in (
        ("deny", "access_denied"),
        ("cancel", "access_denied"),
        ("", "expired_token"),
    ):
        name = NAME + end
        answer = await robot(served).ask(deferral_request_id=name)
        if end == "deny":
            await served.deny(answer.code)
        elif end:
            await robot(served).revoke(answer.code)
        else:
            served.clock.move(answer.json["expires_in"])
        for _ in range(2):
            assert (await robot(served).ask(deferral_request_id=name)).error == said
    assert await asked(served) == 3


@covers("EXT-IDEMP-09")
async def test_a_name_is_free_again_a_day_after_its_code_has_expired(served: Served) -> None:
    answer = await robot(served).ask(deferral_request_id=NAME)
    served.clock.move(answer.json["expires_in"] + 24 * 3600 - 1)
    assert (await robot(served).ask(deferral_request_id=NAME)).error == "expired_token"
    served.clock.move(1)
    fresh = await robot(served).ask(deferral_request_id=NAME)
    assert fresh.error == "authorization_pending"
    assert fresh.code != answer.code


# --- a lost success


@covers("T-166", "EXT-IDEMP-07", "EXT-NOTE-10", "DTR-RD-12", "SEC-RACE-12")
async def test_a_lost_success_is_made_again_and_the_first_token_is_revoked(served: Served) -> None:
    caller = robot(served)
    code = await caller.defer(deferral_request_id=NAME)
    tokens = [(await collected(caller, code)).json["access_token"]]
    for _ in range(MOST_RECOVERIES):
        answer = await caller.ask(deferral_request_id=NAME)
        assert answer.status == 200, answer.body
        assert answer.json.keys() == {"access_token", "token_type", "expires_in", "scope"}
        tokens.append(answer.json["access_token"])
        live = [await is_active(served, token) for token in tokens]
        assert live == [*[False] * (len(tokens) - 1), True]
    refused = await caller.ask(deferral_request_id=NAME)
    assert refused.error == "invalid_grant"
    assert await is_active(served, tokens[-1]), "a refusal takes nothing"
    assert (await caller.poll(code)).error == "invalid_grant", "the code stays dead"
    assert await asked(served) == 1


@covers("T-166", "EXT-IDEMP-07")
async def test_recovering_needs_the_same_key_the_same_content_and_the_name(served: Served) -> None:
    caller = robot(served).with_dpop(served.keys["d1"])
    code = await caller.defer(deferral_request_id=NAME)
    token = (await collected(caller, code)).json["access_token"]
    thief = robot(served).with_dpop(served.keys["d2"])
    assert (await thief.ask(deferral_request_id=NAME)).error == "invalid_request"
    assert (await robot(served).ask(deferral_request_id=NAME)).error == "invalid_request"
    assert (await caller.ask(deferral_request_id=NAME, scope="sure")).error == "invalid_request"
    assert (await caller.ask()).error == "authorization_pending", "a new request"
    assert await is_active(served, token)


@covers("EXT-IDEMP-07", "EXT-BOUND-01")
async def test_nothing_is_recovered_after_the_approval_is_over(served: Served) -> None:
    caller = robot(served)
    code = await caller.defer(deferral_request_id=NAME)
    await collected(caller, code)
    served.clock.move(24 * 3600 - 1)
    last = await caller.ask(deferral_request_id=NAME)
    assert last.json["expires_in"] == 1, "it ends with the approval"
    served.clock.move(1)
    assert (await caller.ask(deferral_request_id=NAME)).error == "invalid_grant"


@covers("EXT-IDEMP-07", "EXT-BOUND-03", "EXT-STALE-01")
async def test_what_was_approved_for_one_act_is_not_made_twice(served: Served) -> None:
    flow = Flow(web(served))
    granted = await flow.code(scope=None, authorization_details=json.dumps([PAYMENT]))
    first = await flow.redeem(granted, defer=True, deferral_request_id=NAME)
    token = (await collected(flow.client, first.code)).json["access_token"]
    again = await flow.redeem(granted, defer=True, deferral_request_id=NAME)
    assert again.error == "invalid_grant"
    assert await is_active(served, token)


@covers("EXT-IDEMP-07", "EXT-STALE-01", "DTR-SEC-04")
async def test_nothing_is_recovered_on_a_ground_that_is_gone(served: Served) -> None:
    flow = Flow(web(served))
    granted = await flow.code()
    first = await flow.redeem(granted, defer=True, deferral_request_id=NAME)
    await collected(flow.client, first.code)
    await dispose.withdraw_consent(served.house, PersonId("uma"), ClientId("web"), by="test")
    again = await flow.redeem(granted, defer=True, deferral_request_id=NAME)
    assert again.error == "invalid_grant"


@covers("T-166", "EXT-IDEMP-07", "OAUTH-RT-05")
async def test_a_lost_family_goes_on_with_another_refresh_token(served: Served) -> None:
    flow = Flow(web(served))
    granted = await flow.code()
    first = await flow.redeem(granted, defer=True, deferral_request_id=NAME)
    lost = await collected(flow.client, first.code)
    again = await flow.redeem(granted, defer=True, deferral_request_id=NAME)
    assert again.status == 200
    assert not await is_active(served, lost.json["access_token"])
    fresh = again.json["refresh_token"]
    assert fresh != lost.json["refresh_token"]
    assert (await flow.refresh(fresh)).status == 200
    served.clock.move(11)
    assert (await flow.refresh(lost.json["refresh_token"])).error == "invalid_grant"


@covers("EXT-IDEMP-07")
async def test_what_was_evidently_received_is_not_recovered(served: Served) -> None:
    flow = Flow(web(served, "many"))
    granted = await flow.code(resource="https://ledger.example")
    first = await flow.redeem(
        granted, defer=True, deferral_request_id=NAME, resource="https://ledger.example"
    )
    lost = await collected(flow.client, first.code)
    used = await flow.refresh(lost.json["refresh_token"], resource="https://ledger.example")
    assert used.status == 200
    again = await flow.redeem(
        granted, defer=True, deferral_request_id=NAME, resource="https://ledger.example"
    )
    assert again.error == "invalid_grant"
    assert await is_active(served, used.json["access_token"])


@covers("T-166", "EXT-IDEMP-07", "EXT-GRANT-02")
@pytest.mark.parametrize("name", ["web", "many"])
async def test_a_lost_refresh_is_recovered_with_the_token_that_it_spent(
    served: Served, name: str
) -> None:
    flow = Flow(web(served, name))
    token = refresh_of(await family(flow))
    first = await flow.refresh(token, defer=True, scope="read", deferral_request_id=NAME)
    assert (await flow.refresh(token, defer=True, scope="read", deferral_request_id=NAME)).code == (
        first.code
    )
    lost = await collected(flow.client, first.code)
    served.clock.move(60)
    again = await flow.refresh(token, defer=True, scope="read", deferral_request_id=NAME)
    assert again.status == 200, again.body
    assert ("refresh_token" in again.json) is (name == "many")
    assert again.json.get("refresh_token", 1) != lost.json.get("refresh_token", 2)
    newest = again.json.get("refresh_token", token)
    assert (await flow.refresh(newest)).status == 200


# --- how it is asked


@covers("EXT-IDEMP-01")
@pytest.mark.parametrize("name", ["short", "a" * 21, "a" * 129, "a" * 21 + "+", "a" * 21 + " "])
async def test_a_name_that_is_none_is_refused(served: Served, name: str) -> None:
    answer = await robot(served).ask(deferral_request_id=name)
    assert answer.error == "invalid_request"
    assert await asked(served) == 0


@covers("EXT-META-03", "DTR-OPT-01")
async def test_without_an_opt_in_the_name_means_nothing(served: Served) -> None:
    for name in ("short", NAME):
        answer = await robot(served).ask(scope="now", defer=False, deferral_request_id=name)
        assert answer.status == 200
    tokens = [
        (await robot(served).ask(scope="now", deferral_request_id=NAME)).json["access_token"]
        for _ in range(2)
    ]
    assert [await is_active(served, token) for token in tokens] == [True, True], "at once, each"


@covers("EXT-IDEMP-10", "EXT-IDEMP-03")
async def test_a_repetition_changes_nothing_so_what_was_not_heard_is_told_again(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await robot(served).ask(deferral_request_id=NAME)
    before = await served.held(first.code)

    async def write(*_: object, **__: object) -> None:
        raise AssertionError("something was written")

    with monkeypatch.context() as patch:
        for name in ("apply", "reserve", "record"):
            patch.setattr(served.house.store, name, write)
        again = await robot(served).ask(deferral_request_id=NAME)
    assert again.code == first.code
    assert await served.held(first.code) == before
