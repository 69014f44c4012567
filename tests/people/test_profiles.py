"""What goes beyond the draft goes to those who asked for it (EXT-META, EXT-OUTCOME)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from abeyance.acts import cancel, dispose
from tests.answer import Answer
from tests.covers import covers
from tests.people.house import CONFIG, Flow, open_people, web
from tests.served import Caller, Served

NAME = "r7rAd3mZpQ_kX9-4wTz1Lg"

# All that the draft says that an answer may have.
SUCCESS = {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
SUCCESS |= {"authorization_details"}
FIRST = {
    "error", "error_description", "deferral_code", "expires_in", "interval", "interaction_uri",
}  # fmt: skip
LATER = {"error", "error_description", "interaction_uri"}
ERRORS = {
    "authorization_pending", "interaction_required", "slow_down", "expired_token",
    "access_denied", "invalid_grant", "invalid_request", "invalid_scope",
}  # fmt: skip
HEADERS = {
    "content-type", "cache-control", "pragma", "x-content-type-options", "content-length",
    "x-request-id", "retry-after", "strict-transport-security",
}  # fmt: skip


def only_the_draft(answer: Answer, members: set[str]) -> Answer:
    if answer.status == 200:
        members = SUCCESS
    else:
        assert answer.error in ERRORS
    assert answer.json.keys() <= members, answer.body
    assert {name for name, _ in answer.headers} <= HEADERS
    return answer


async def visit(served: Served, path: str) -> Any:
    flow = Flow(web(served))
    return await flow.signed_in(await flow.follow(path))


@covers("T-258", "EXT-META-05", "EXT-META-01", "DTR-RD-27", "T-262", "EXT-INTERACT-01")
async def test_a_client_of_the_draft_sees_the_draft_whatever_is_switched_on(
    served: Served,
) -> None:
    told = (await served.get("/.well-known/oauth-authorization-server")).json
    everything = ["idempotent", "interact", "outcome", "wait"]
    assert told["deferred_token_response_profiles_supported"] == everything
    flow = Flow(web(served))

    # A step first, which somebody opens and takes, then a denial with a word to share.
    first = only_the_draft(await flow.redeem(await flow.code(scope="sure"), defer=True), FIRST)
    assert first.error == "interaction_required"
    path = first.json["interaction_uri"].removeprefix("https://as.example")
    page = await visit(served, path)
    assert page.status == 200
    assert only_the_draft(await flow.client.poll(first.code), LATER).error == "interaction_required"
    early = only_the_draft(await flow.client.poll(first.code), LATER)
    assert early.error == "slow_down"
    served.clock.move(10)
    await served.deny(first.code, "Ask Ines", shareable=True)
    denied = only_the_draft(await flow.client.poll(first.code), LATER)
    assert denied.json == {
        "error": "access_denied",
        "error_description": "The request was not granted",
    }

    # Every other end, and a success.
    robot = web(served, "robot")
    for end in ("approve", "cancel", "withdraw", "expire", "stale"):
        answer = only_the_draft(await robot.ask(), FIRST)
        assert answer.error == "authorization_pending"
        key = await served.key_of(answer.code)
        match end:
            case "approve":
                await served.approve(answer.code)
            case "cancel":
                await robot.revoke(answer.code)
            case "withdraw":
                await cancel.withdraw(served.house, key, by="person:ada")
            case "expire":
                served.clock.move(answer.json["expires_in"])
            case _:
                await dispose.close_home(served.house, key.home, why="stale")
        for _ in range(2):
            only_the_draft(await robot.poll(answer.code), LATER)
    only_the_draft(await robot.ask(scope="never"), FIRST)


@covers("EXT-META-03", "DTR-OPT-02")
@pytest.mark.parametrize(
    "mode", ["deferred revisable", "stream deferred askable direct", "deferred x-unheard-of"]
)
async def test_values_of_profiles_that_are_not_spoken_here_are_ignored(
    served: Served, mode: str
) -> None:
    answer = await web(served, "robot").ask(completion_mode=mode)
    only_the_draft(answer, FIRST)
    assert answer.error == "authorization_pending"


@covers("EXT-META-04")
async def test_what_a_client_has_not_registered_is_not_used_though_it_asks(
    served: Served,
) -> None:
    robot = web(served, "robot")
    await served.registers("robot")
    mode = "deferred deferred_interactive"
    codes = []
    for _ in range(2):
        answer = await robot.ask(
            completion_mode=mode,
            deferral_request_id=NAME,
            scope="sure",
            interaction_redirect_uri="https://nowhere.example",
        )
        codes.append(only_the_draft(answer, FIRST).code)
    assert codes[0] != codes[1], "the name means nothing"
    only_the_draft(await robot.hold(codes[0]), LATER)
    await served.deny(codes[0], "Ask Ines", shareable=True)
    served.clock.move(6)
    only_the_draft(await robot.poll(codes[0]), LATER)
    assert (await robot.ask(completion_mode="deferred_interactive")).error == "invalid_scope"


@covers("T-261", "DTR-RD-27", "T-049")
@pytest.mark.parametrize("on", [True, False])
async def test_the_interactive_value_alone_opts_in_where_the_profile_is_on(
    tmp_path: Path, on: bool
) -> None:
    extra = f"interaction_profile = {str(on).lower()}"
    async with open_people(tmp_path, extra=extra) as served:
        told = (await served.get("/.well-known/oauth-authorization-server")).json
        assert ("interact" in told["deferred_token_response_profiles_supported"]) is on
        answer = await web(served, "robot").ask(completion_mode="deferred_interactive")
        assert answer.error == ("authorization_pending" if on else "invalid_scope")


@covers("DTR-RD-27", "DTR-HINT-03", "DTR-HINT-04")
@pytest.mark.parametrize("hint", ["deferred", "deferred_interactive"])
@pytest.mark.parametrize("mode", ["deferred", "deferred_interactive", "", "x"])
async def test_either_value_is_the_hint_and_either_is_its_repetition(
    served: Served, hint: str, mode: str
) -> None:
    flow = Flow(web(served))
    answer = await flow.redeem(await flow.code(completion_mode=hint), completion_mode=mode)
    expected = "authorization_pending" if "deferred" in mode else "invalid_request"
    assert answer.error == expected


# --- outcomes


async def end(served: Served, robot: Caller, how: str) -> tuple[str, Answer]:
    answer = await robot.ask()
    code, key = answer.code, await served.key_of(answer.code)
    match how:
        case "deny":
            await served.deny(code, "Ask Ines", shareable=True)
        case "cancel":
            await robot.revoke(code)
        case "withdraw":
            await cancel.withdraw(served.house, key, by="person:ada")
        case "stale":
            await dispose.close_home(served.house, key.home, why="stale")
        case "expire":
            served.clock.move(answer.json["expires_in"])
        case _:
            await served.approve(code)
            assert (await robot.poll(code)).json.keys() <= SUCCESS
    return code, await robot.poll(code)


@covers("EXT-OUTCOME-01", "EXT-OUTCOME-02", "EXT-OUTCOME-03", "EXT-STALE-05", "EXT-META-04")
@pytest.mark.parametrize(
    ("how", "error", "told"),
    [
        (
            "deny",
            "access_denied",
            {
                "deferral_outcome": "denied",
                "next_action": "none",
                "deferral_remark": "Ask Ines",
            },
        ),
        ("cancel", "access_denied", {"deferral_outcome": "cancelled", "next_action": "request"}),
        ("withdraw", "access_denied", {"deferral_outcome": "withdrawn", "next_action": "request"}),
        (
            "stale",
            "access_denied",
            {"deferral_outcome": "precondition_failed", "next_action": "request"},
        ),
        ("expire", "expired_token", {"next_action": "request"}),
        ("redeem", "invalid_grant", {"next_action": "none"}),
    ],
)
async def test_who_registered_outcomes_is_told_what_came_of_it_and_what_to_do(
    served: Served, how: str, error: str, told: dict[str, str]
) -> None:
    await served.registers("robot", "outcome")
    _, answer = await end(served, web(served, "robot"), how)
    assert answer.error == error
    extra = {k: v for k, v in answer.json.items() if k not in ("error", "error_description")}
    assert extra == told
    for kept in (b"rita", b"Rita", b"ada", b"review"):
        assert kept not in answer.body


@covers("EXT-OUTCOME-01", "EXT-IDEMP-03")
async def test_a_request_that_is_sent_again_hears_the_same(served: Served) -> None:
    await served.registers("robot", "outcome", "idempotent")
    robot = web(served, "robot")
    answer = await robot.ask(deferral_request_id=NAME)
    await served.deny(answer.code, "Ask Ines", shareable=True)
    again = await robot.ask(deferral_request_id=NAME)
    polled = await robot.poll(answer.code)
    assert again.json == polled.json
    assert again.json["deferral_remark"] == "Ask Ines"


@covers("EXT-OUTCOME-05", "EXT-OUTCOME-04")
@pytest.mark.parametrize("how", ["deny", "cancel", "withdraw", "stale"])
async def test_where_policy_is_secret_every_bad_end_is_a_plain_no(tmp_path: Path, how: str) -> None:
    config = CONFIG.replace('name = "review"\n', 'name = "review"\ncollapse_outcome = true\n')
    async with open_people(tmp_path, config=config) as served:
        await served.registers("robot", "outcome")
        _, answer = await end(served, web(served, "robot"), how)
        assert answer.json == {
            "error": "access_denied",
            "error_description": "The request was not granted",
            "deferral_outcome": "denied",
            "next_action": "none",
        }


@covers("EXT-INTERACT-17", "EXT-OUTCOME-01")
@pytest.mark.parametrize("registered", [True, False])
async def test_where_nobody_can_be_reached_the_request_ends_at_once(
    served: Served, registered: bool
) -> None:
    if registered:
        await served.registers("robot", "outcome")
    answer = await web(served, "robot").ask(scope="ident")
    assert answer.error == "access_denied"
    told = {k: v for k, v in answer.json.items() if k not in ("error", "error_description")}
    expected = {"deferral_outcome": "user_unreachable", "next_action": "none"}
    assert told == (expected if registered else {})


@covers("EXT-WAIT-02", "EXT-OUTCOME-01")
async def test_a_held_poll_hears_the_outcome_too(served: Served) -> None:
    await served.registers("robot", "outcome", "wait")
    robot = web(served, "robot")
    code = await robot.defer()
    poll = asyncio.create_task(robot.hold(code))
    for _ in range(100):
        await asyncio.sleep(0)
    assert served.house.limits.held.taken == 1
    await served.deny(code)
    assert (await poll).json["deferral_outcome"] == "denied"
