"""What protects reviewers: asking again cools down, approvals may be remembered (EXT-QUEUE)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from abeyance.acts import memory
from abeyance.acts.decide import review
from abeyance.oauth.minting import parse_jti
from abeyance.parties.person import Person, PersonId
from abeyance.pending.choosing import Choice
from abeyance.pending.votes import Verdict
from abeyance.store.sql.store import SqlStore
from tests.answer import Answer
from tests.config import CONFIG, PAYMENT
from tests.covers import covers
from tests.served import Caller, Served, make_key, serve

_REMEMBERING: Final = CONFIG.replace(
    'name = "review"\nthen = "defer"', 'name = "review"\nthen = "defer"\nremember = true'
)


@pytest.fixture
async def remembering(tmp_path: Path) -> AsyncIterator[Served]:
    assert _REMEMBERING != CONFIG
    async with serve(tmp_path, config=_REMEMBERING) as served:
        yield served


async def deny(served: Served, caller: Caller, **asked: Any) -> None:
    await served.deny(await caller.defer(**asked))


def is_cooling(answer: Answer) -> bool:
    return (answer.status, answer.error) == (429, "temporarily_unavailable")


async def person(served: Served, name: str = "rita") -> Person:
    found = await served.house.store.find_person(PersonId(name))
    assert found is not None
    return found


@covers("EXT-QUEUE-01", "SEC-DOS-06", "SEC-DOS-09")
async def test_no_more_of_one_client_wait_before_one_reviewer_than_is_said(tmp_path: Path) -> None:
    config = CONFIG.replace("limits.open_requests_per_reviewer = 1000\n", "")
    assert config != CONFIG
    async with serve(tmp_path, config=config) as served:
        codes = [await served.s1.defer() for _ in range(20)]
        answer = await served.s1.ask()
        assert is_cooling(answer)
        assert answer.header("retry-after")
        assert "deferral_code" not in answer.json
        assert (await served.c2.ask()).error == "authorization_pending", "others are not concerned"
        await served.s1.revoke(codes[0])
        assert (await served.s1.ask()).error == "authorization_pending"


# --- asking again


@covers("EXT-QUEUE-05", "SEC-DOS-11")
async def test_what_was_refused_twice_waits_ever_longer_before_it_is_asked_again(
    served: Served,
) -> None:
    await deny(served, served.s1)
    await deny(served, served.s1)
    for minutes in (15, 30, 60):
        answer = await served.s1.ask()
        assert is_cooling(answer)
        assert "deferral_code" not in answer.json
        assert answer.header("retry-after") == str(minutes * 60)
        served.clock.move(minutes * 60 - 1)
        assert is_cooling(await served.s1.ask())
        served.clock.move(1)
        await deny(served, served.s1)
    events = [each.event for each in await served.house.store.list_security_events(50)]
    assert events.count("asked_again") == 1


@covers("EXT-QUEUE-05", "SEC-DOS-11")
async def test_other_words_another_name_and_another_key_make_it_no_other_request(
    served: Served,
) -> None:
    def asked(reason: str) -> dict[str, Any]:
        return {"authorization_details": [PAYMENT | {"reason": reason}]}

    await deny(served, served.c1, **asked("Please"))
    await deny(served, served.c1, **asked("Urgent"))
    other_key = served.c1.with_dpop(make_key())
    for caller in (served.c1, other_key):
        named: dict[str, Any] = {"deferral_request_id": "another-name-0123456789-" + caller.id}
        assert is_cooling(await caller.ask(**asked("Approved by security"), **named))
    dearer = PAYMENT | {"amount": {"amount": "120.01", "currency": "EUR"}}
    assert (await served.c1.ask(authorization_details=[dearer])).error == "authorization_pending"
    assert (await served.s1.ask(**asked("Please"))).error == "authorization_pending"


@covers("EXT-QUEUE-05", "SEC-DOS-11")
async def test_a_yes_makes_up_for_it_and_who_reviews_is_told(served: Served) -> None:
    await deny(served, served.s1)
    code = await served.s1.defer()
    seen = await review(served.house, await person(served), await served.key_of(code))
    assert seen is not None
    assert seen.disclosure.object["refused_before"] == 1
    await served.approve(code)
    await deny(served, served.s1)
    assert (await served.s1.ask()).error == "authorization_pending"


@covers("EXT-QUEUE-05")
async def test_it_can_be_turned_off(tmp_path: Path) -> None:
    async with serve(tmp_path, extra='[lifetimes]\ncool_down = "0s"') as served:
        for _ in range(4):
            await deny(served, served.s1)
        assert (await served.s1.ask()).error == "authorization_pending"


# --- approval memory


@covers("EXT-QUEUE-06", "EXT-IDJAG-05")
async def test_an_approval_that_is_remembered_answers_as_much_or_less(remembering: Served) -> None:
    served = remembering
    await served.approve(await served.c1.defer(scope="read write"))
    for scope in ("read write", "read"):
        for defer in (True, False):
            answer = await served.c1.ask(scope=scope, defer=defer)
            assert answer.status == 200, answer.body
            assert answer.json["scope"].split() == scope.split()
            assert "refresh_token" not in answer.json
    served.clock.move(29 * 60)
    late = await served.c1.ask(scope="read")
    assert late.json["expires_in"] <= 60, "no token outlives the approval"
    served.clock.move(60)
    assert (await served.c1.ask(scope="read")).error == "authorization_pending"


@covers("EXT-QUEUE-06")
async def test_it_answers_nobody_else_and_no_more(remembering: Served) -> None:
    served = remembering
    await served.approve(await served.c1.defer(scope="read"))
    for caller, scope in (
        (served.c1, "read write"),
        (served.c1.with_dpop(make_key()), "read"),
        (served.c2, "read"),
        (served.s1, "read"),
    ):
        assert (await caller.ask(scope=scope)).error == "authorization_pending", scope
    details = await served.c1.ask(scope="read", authorization_details=[PAYMENT])
    assert details.error == "authorization_pending"


@covers("EXT-QUEUE-06", "EXT-BOUND-03")
async def test_what_is_done_once_is_never_remembered(remembering: Served) -> None:
    served = remembering
    code = await served.c1.defer(authorization_details=[PAYMENT])
    seen = await review(served.house, await person(served), await served.key_of(code))
    assert seen is not None
    assert "remembered" not in seen.disclosure.object
    await served.approve(code)
    again = await served.c1.ask(authorization_details=[PAYMENT])
    assert again.error == "authorization_pending"


@covers("EXT-QUEUE-06")
async def test_only_where_the_rule_says_so(served: Served) -> None:
    await served.approve(await served.c1.defer())
    assert (await served.c1.ask()).error == "authorization_pending"


@covers("EXT-QUEUE-06")
async def test_what_was_narrowed_is_remembered_as_it_was_granted(remembering: Served) -> None:
    served = remembering
    code = await served.c1.defer(scope="read write")
    seen = await review(served.house, await person(served), await served.key_of(code))
    assert seen is not None
    assert seen.disclosure.object["remembered"] is True
    less = Choice(
        items=frozenset({"scope:read"}), parts={}, limits={}, lifetime=timedelta(minutes=30)
    )
    await served.approve(code, less)
    assert (await served.c1.ask(scope="read")).status == 200
    assert (await served.c1.ask(scope="read write")).error == "authorization_pending"


@covers("EXT-QUEUE-06", "OAUTH-TX-11")
async def test_whoever_approved_takes_it_back_with_all_that_came_of_it(
    remembering: Served,
) -> None:
    served = remembering
    code = await served.c1.defer()
    await served.approve(code)
    first, key = await served.c1.poll(code), await served.key_of(code)
    later = await served.c1.ask()
    rita, omar = await person(served), await person(served, "omar")
    assert not await memory.take_back(served.house, omar, key), "it is not his"
    [listed] = await memory.list_memory(served.house, rita)
    assert (listed.key, listed.approver) == (key, "rita")
    assert await memory.list_memory(served.house, omar) == []
    assert await memory.take_back(served.house, rita, key)
    assert not await memory.take_back(served.house, rita, key), "once"
    assert await memory.list_memory(served.house, rita) == []
    assert (await served.c1.ask()).error == "authorization_pending"
    assert await is_revoked(served, later)
    assert not await is_revoked(served, first), "that was approved by itself"


@covers("EXT-QUEUE-06")
async def test_a_token_that_was_issued_while_it_was_taken_back_is_not_handed_out(
    remembering: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = remembering
    code = await served.c1.defer()
    await served.approve(code)
    key, rita = await served.key_of(code), await person(served)
    find = SqlStore.find_standing

    async def a_moment_before(self: SqlStore, *args: Any, **more: Any) -> Any:
        found = await find(self, *args, **more)
        await memory.take_back(served.house, rita, key)
        return found

    monkeypatch.setattr(SqlStore, "find_standing", a_moment_before)
    answer = await served.c1.ask()
    assert (answer.status, answer.error) == (400, "invalid_grant")


@covers("EXT-QUEUE-06", "EXT-DECIDE-03")
@pytest.mark.parametrize("why", ["disabled", "owns it now", "client disabled"])
async def test_it_counts_only_while_its_approver_could_still_give_it(
    remembering: Served, why: str
) -> None:
    served, store = remembering, remembering.house.store
    await served.approve(await served.s1.defer())
    if why == "disabled":
        await store.put_person(replace(await person(served), enabled=False))
    else:
        client = next(each for each in await store.list_clients() if each.id == "s1")
        changed = {"owner": "rita"} if why == "owns it now" else {"enabled": False}
        await store.put_client(replace(client, **changed))
    assert (await served.s1.ask()).status != 200


@covers("EXT-QUEUE-06")
async def test_a_refusal_is_not_remembered_as_a_yes(remembering: Served) -> None:
    served = remembering
    code = await served.s1.defer()
    await served.vote(code, Verdict.DENY)
    assert (await served.s1.ask()).error == "authorization_pending"


async def is_revoked(served: Served, answer: Answer) -> bool:
    place = parse_jti(str(answer.claims()["jti"]))
    assert place is not None
    token = await served.house.store.find_token(*place)
    assert token is not None
    return token.revoked_at is not None
