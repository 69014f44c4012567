"""Deferral over the device grant: the code is handed over, in every ending (T-043 to T-048)."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from abeyance.pending.choosing import Choice
from tests.covers import covers
from tests.devices.house import (
    CLIENTS,
    Device,
    Viewer,
    approved,
    box,
    deferred,
    open_devices,
    tv,
)
from tests.outside import Network
from tests.served import Served

_CALLED: Final = CLIENTS.replace(
    'id = "tv"', 'id = "tv"\ndeferred_client_notification_endpoint = "https://tv.example/n"', 1
)


@covers("DEV-T29", "DEV-DTR-02", "DEV-DTR-04", "DEV-DTR-05", "DEV-DTR-11", "T-044",
        "DTR-RD-16", "DTR-RD-28", "EXT-GRANT-07")  # fmt: skip
async def test_a_hinted_device_goes_from_its_code_to_the_deferral_and_the_token(
    served: Served,
) -> None:
    device = await tv(served).begin(scope="read", completion_mode="deferred")
    before = await device.poll(defer=True)
    assert before.json.keys() == {"error", "error_description"}
    page = await Viewer(served).agree(device.code)
    assert "One more approval is pending" in page.text
    assert "Rita" not in page.text
    answer = await device.poll(defer=True)
    assert answer.status == 400
    assert answer.json["error"] == "authorization_pending"
    assert answer.json.keys() >= {"deferral_code", "expires_in", "interval"}
    assert answer.json["expires_in"] == 3600
    code = answer.code
    assert (await device.client.poll(code)).error == "authorization_pending"
    await served.approve(code)
    served.clock.move(6)
    token = await device.client.poll(code)
    assert token.status == 200
    assert token.claims()["sub"] == "uma"
    assert (await device.poll(defer=True)).error == "invalid_grant"


@covers("DEV-T30", "DEV-DTR-01")
@pytest.mark.parametrize("defer", [False, True])
async def test_the_persons_no_is_never_a_deferral(served: Served, defer: bool) -> None:
    device = await tv(served).begin(scope="read")
    assert "deferral_code" not in (await device.poll(defer=defer)).json
    viewer = Viewer(served)
    page = await viewer.answer(await viewer.type(device.code), "decline")
    assert "Refused" in page.text
    answer = await device.poll(defer=defer)
    assert (answer.status, answer.error) == (400, "access_denied")


@covers("DEV-RD-02", "DEV-T31", "DEV-DTR-03", "T-060", "DTR-HINT-03")
async def test_what_was_hinted_must_be_said_with_every_poll(served: Served) -> None:
    device = await tv(served).begin(scope="read", completion_mode="deferred")
    assert (await device.poll()).error == "invalid_request"
    assert (await device.poll(defer=True, wait=0)).error == "authorization_pending"
    await Viewer(served).agree(device.code)
    assert (await device.poll()).error == "invalid_request"
    assert "deferral_code" in (await device.poll(defer=True)).json


@covers("DEV-RD-01", "DEV-T32", "DEV-DTR-07")
async def test_a_client_that_knows_no_deferral_waits_until_its_code_is_over(served: Served) -> None:
    device = await approved(tv(served), scope="read")
    for _ in range(3):
        answer = await device.poll()
        assert answer.error == "authorization_pending"
        assert "deferral_code" not in answer.json
    assert (await device.poll(wait=600)).error == "expired_token"


@covers("DEV-DTR-03", "DEV-DTR-07")
async def test_without_a_hint_any_poll_may_opt_in(served: Served) -> None:
    device = await approved(tv(served), scope="read")
    assert (await device.poll()).error == "authorization_pending"
    assert "deferral_code" in (await device.poll(defer=True)).json


@covers("DEV-T32", "DEV-DTR-07")
async def test_it_can_be_told_no_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("deny")
    async with open_devices(folder, extra='device_without_deferral = "deny"') as served:
        device = await approved(tv(served), scope="read")
        assert (await device.poll()).error == "access_denied"
        assert "deferral_code" in (await device.poll(defer=True)).json, "nothing was spent"


@covers("DEV-POLL-11")
async def test_what_the_policy_refuses_after_the_yes_is_access_denied(served: Served) -> None:
    device = await approved(tv(served), scope="never")
    answer = await device.poll(defer=True)
    assert (answer.status, answer.error) == (400, "access_denied")


@covers("DEV-T33", "DEV-DTR-06", "DTR-RD-28")
async def test_a_lost_hand_over_is_told_again_until_the_deferral_was_polled(
    served: Served,
) -> None:
    device = await approved(tv(served), scope="read")
    first = await device.poll(defer=True)
    again = await device.poll(defer=True, wait=60)
    assert again.code == first.code
    assert again.json["expires_in"] == first.json["expires_in"] - 60
    assert (await Device(device.client.with_dpop(served.keys["d2"]), device.told).poll(
        defer=True, wait=0
    )).error == "invalid_dpop_proof"  # fmt: skip
    assert (await device.client.poll(first.code)).error == "authorization_pending"
    assert (await device.poll(defer=True)).error == "invalid_grant"


@covers("DEV-T33", "DEV-DTR-06")
async def test_after_ten_minutes_it_is_told_no_more(served: Served) -> None:
    device = await approved(box(served), scope="read")
    first = await device.poll(defer=True)
    assert (await device.poll(defer=True, wait=590)).code == first.code
    assert (await device.poll(defer=True, wait=15)).error == "invalid_grant"
    assert (await device.client.poll(first.code)).error == "authorization_pending"


@covers("DEV-T34", "DEV-DTR-07", "DEV-DTR-05", "DTR-SEC-01")
async def test_a_public_client_must_prove_a_key_and_then_outlives_its_code(
    served: Served,
) -> None:
    device = tv(served)
    bound, device.client = device.client, device.client.with_dpop(None)
    await approved(device, scope="read")
    assert (await device.poll(defer=True)).error == "invalid_dpop_proof"
    device.client = bound
    code = (await device.poll(defer=True)).code
    served.clock.move(3000)
    await served.approve(code)
    assert (await device.client.poll(code)).status == 200


@covers("DEV-T35", "DEV-DTR-10", "T-047")
async def test_the_deferral_is_cancelled_by_its_own_code_alone(served: Served) -> None:
    device = await approved(tv(served), scope="read")
    assert (await device.client.revoke(device.told["device_code"])).status == 200
    code = (await device.poll(defer=True)).code
    assert (await device.client.revoke(device.told["device_code"])).status == 200
    assert (await device.client.poll(code)).error == "authorization_pending"
    assert (await device.client.revoke(code)).status == 200
    assert (await device.client.poll(code)).error == "access_denied"
    assert (await device.poll(defer=True)).error == "invalid_grant", "the code stays spent"


@covers("T-045", "T-046", "EXT-GRANT-07")
@pytest.mark.parametrize("end", ["denied", "expired"])
async def test_the_device_code_stays_spent_however_the_deferral_ends(
    served: Served, end: str
) -> None:
    device = tv(served)
    code = await deferred(device)
    if end == "denied":
        await served.deny(code)
    else:
        served.clock.move(3600)
    expected = {"denied": "access_denied", "expired": "expired_token"}[end]
    assert (await device.client.poll(code)).error == expected
    assert (await device.poll(defer=True)).error == "invalid_grant"


@covers("DEV-T36", "DEV-MAP-03")
async def test_a_reviewer_grants_less_and_the_answer_says_so(served: Served) -> None:
    device = tv(served)
    code = await deferred(device, scope="read write")
    await served.approve(
        code,
        Choice(items=frozenset({"scope:read"}), parts={}, limits={}, lifetime=timedelta(hours=1)),
    )
    served.clock.move(6)
    token = await device.client.poll(code)
    assert token.json["scope"] == "read"


@covers("DEV-T40", "DEV-DTR-09", "T-048")
async def test_a_step_after_the_yes_is_of_the_person_who_said_it(served: Served) -> None:
    device = await approved(tv(served), scope="sure")
    answer = await device.poll(defer=True)
    assert answer.error == "interaction_required"
    path = answer.json["interaction_uri"].removeprefix("https://as.example")
    assert (await Viewer(served, "ada").open(path)).status == 404
    assert (await Viewer(served, "uma").open(path)).status == 200


@covers("DEV-DTR-08")
async def test_a_notification_token_is_checked_at_both_endpoints(served: Served) -> None:
    device = tv(served)
    assert (await device.ask(client_notification_token="ä")).error == "invalid_request"
    await approved(device, scope="read")
    assert (await device.poll(defer=True, client_notification_token="ä")).error == (
        "invalid_request"
    )
    assert (
        "deferral_code" in (await device.poll(defer=True, client_notification_token="n" * 22)).json
    )


@covers("DEV-DTR-08", "DTR-CB-02")
async def test_the_notification_token_of_the_deferring_poll_is_the_one_that_counts(
    tmp_path: Path,
) -> None:
    network = Network()
    async with open_devices(tmp_path, clients=_CALLED, outside=network) as served:
        device = await tv(served).begin(scope="read")
        early = await device.poll(defer=True, client_notification_token="early-" + "n" * 22)
        assert early.error == "authorization_pending"
        await Viewer(served).agree(device.code)
        told = await device.poll(defer=True, client_notification_token="right-" + "n" * 22)
        again = await device.client.poll(told.code, client_notification_token="late-" + "n" * 22)
        assert again.error == "authorization_pending"
        served.clock.move(6)
        await served.approve(told.code)
        async with asyncio.timeout(30):
            while not network.posts:  # noqa: ASYNC110  # the network tells nobody
                await asyncio.sleep(0.001)
        [post] = network.posts
        assert post.headers["Authorization"] == "Bearer right-" + "n" * 22


@covers("DEV-DTR-06", "DTR-CB-02")
async def test_a_hand_over_that_is_told_again_is_called_back_by_the_token_that_came_last(
    tmp_path: Path,
) -> None:
    network = Network()
    async with open_devices(tmp_path, clients=_CALLED, outside=network) as served:
        device = await approved(tv(served), scope="read")
        told = await device.poll(defer=True, client_notification_token="first-" + "n" * 22)
        again = await device.poll(defer=True, client_notification_token="second-" + "n" * 22)
        assert again.code == told.code
        assert served.house.answering.is_out(await served.key_of(told.code))
        served.clock.move(6)
        await served.approve(told.code)
        async with asyncio.timeout(30):
            while not network.posts:  # noqa: ASYNC110  # the network tells nobody
                await asyncio.sleep(0.001)
        [post] = network.posts
        assert post.headers["Authorization"] == "Bearer second-" + "n" * 22
