"""A device asks and polls: RFC 8628 as every client knows it."""

import asyncio
import base64
import json
from pathlib import Path

import pytest

from abeyance.acts import dispose
from abeyance.acts.begin_device import MOST_FROM_ONE
from abeyance.acts.erasing import erase_person
from abeyance.acts.retention import dispose_of_old
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.handles import HandleKind, parse_handle
from abeyance.pending.user_code import DRAWN_BYTES
from tests.covers import covers
from tests.devices.house import CLIENTS, GRANT, Device, Viewer, approved, box, open_devices, tv
from tests.people.house import public, web
from tests.served import Served
from tests.server.test_proxies import PROXIES, from_


@covers(
    "DEV-BIND-04",
    "DEV-T01",
    "DEV-POLL-01",
    "DEV-POLL-10",
    "T-043",
    "DEV-VER-01",
    "DEV-MAP-01",
    "DEV-XD-01",
)
async def test_a_device_gets_one_token_after_its_person_agreed(served: Served) -> None:
    device = await tv(served).begin(scope="now")
    assert (await device.poll()).error == "authorization_pending"
    page = await Viewer(served).agree(device.code)
    assert "Connected" in page.text
    answer = await device.poll()
    assert answer.status == 200
    assert answer.json["scope"] == "now"
    claims = answer.claims()
    assert (claims["sub"], claims["client_id"]) == ("uma", "tv")
    again = await device.poll()
    assert (again.status, again.error) == (400, "invalid_grant")
    refreshed = await device.client.post(
        "/token",
        [("grant_type", "refresh_token"), ("refresh_token", answer.json["refresh_token"])],
    )
    assert refreshed.status == 200, "a second redemption revokes nothing"
    unproven = device.client.with_dpop(None)
    stolen = await unproven.post(
        "/token",
        [("grant_type", "refresh_token"), ("refresh_token", refreshed.json["refresh_token"])],
    )
    assert stolen.status == 400, "and what a public client holds is bound to its key"


@covers("DEV-RD-06", "DEV-T05", "DEV-RESP-01", "DEV-RESP-03", "DEV-RESP-04", "DEV-RESP-05",
        "DEV-RESP-06", "DEV-RESP-07", "DTR-HINT-02")  # fmt: skip
@pytest.mark.parametrize("hint", [None, "deferred"])
async def test_the_answer_has_every_member_and_none_of_deferral(
    served: Served, hint: str | None
) -> None:
    answer = await tv(served).ask(completion_mode=hint)
    assert answer.header("cache-control") == "no-store"
    told = answer.json
    code = told["user_code"]
    assert told == {
        "device_code": told["device_code"],
        "user_code": code,
        "verification_uri": "https://as.example/device",
        "verification_uri_complete": f"https://as.example/device?user_code={code}",
        "expires_in": 600,
        "interval": 5,
    }


@covers("DEV-T02", "DEV-T03", "DEV-REQ-01", "DEV-REQ-02")
async def test_what_is_not_a_request_of_a_client_for_this_grant_is_refused(served: Served) -> None:
    get = await served.get("/device_authorization")
    assert (get.status, get.header("cache-control")) == (405, "no-store")
    twice = await tv(served).ask(scope=["now", "read"])
    assert (twice.status, twice.error) == (400, "invalid_request")
    elsewhere = await Device(web(served, "robot")).ask()
    assert elsewhere.error == "unauthorized_client"
    unproven = await Device(public(served, "box")).ask()
    assert (unproven.status, unproven.error) == (401, "invalid_client")
    by_object = await tv(served).ask(request="eyJ")
    assert by_object.error == "request_not_supported"


@covers("DEV-T04", "DEV-REQ-03", "DEV-REQ-04")
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("scope", "ident", "invalid_scope"),
        ("resource", "https://mail.example", "invalid_target"),
        ("authorization_details", '[{"type":"export"}]', "invalid_authorization_details"),
        ("completion_mode", "x" * 600, "invalid_request"),
        ("dpop_jkt", "short", "invalid_request"),
    ],
)
async def test_what_must_fail_fails_before_anybody_types_a_code(
    served: Served, name: str, value: str, error: str
) -> None:
    answer = await tv(served).ask(**{name: value})
    assert (answer.status, answer.error) == (400, error)
    assert "user_code" not in answer.json


@covers("DEV-T06", "DEV-REQ-05")
async def test_the_eleventh_request_of_a_minute_is_refused_and_others_are_not(
    served: Served,
) -> None:
    for _ in range(10):
        await tv(served).begin()
    answer = await tv(served).ask()
    assert answer.status == 429
    assert int(answer.header("retry-after") or 0) >= 1
    await box(served).begin()
    served.clock.move(60)
    await tv(served).begin()


@covers("DEV-REQ-05")
async def test_no_more_than_fifty_of_one_place_are_open_at_once(served: Served) -> None:
    device = tv(served)
    for _ in range(MOST_FROM_ONE):
        served.clock.move(6)
        await device.begin()
    served.clock.move(6)
    assert (await device.ask()).status == 429
    served.clock.move(320)
    await device.begin()


@covers("DEV-REQ-05")
async def test_whoever_has_a_network_is_one_place(tmp_path: Path) -> None:
    async with open_devices(tmp_path, server=PROXIES) as served:

        async def ask(address: str) -> int:
            served.clock.move(6)
            form = [("scope", "now")]
            device = tv(served).client
            return (await device.post("/device_authorization", form, headers=from_(address))).status

        answers = [await ask(f"2001:db8:1:2::{host:x}") for host in range(MOST_FROM_ONE + 1)]
        assert answers == [200] * MOST_FROM_ONE + [429]
        assert await ask("2001:db8:1:3::1") == 200
        assert await ask("::ffff:198.51.100.1") == 200


@covers("DEV-T17", "DEV-T18", "DEV-T19", "DEV-POLL-03", "DEV-POLL-05", "DEV-POLL-06")
async def test_the_pace_is_that_of_every_poll(served: Served) -> None:
    device = await tv(served).begin()
    assert (await device.poll(wait=0)).error == "authorization_pending"
    assert (await device.poll(wait=4.6)).error == "authorization_pending"
    early = await device.poll(wait=2.5)
    assert (early.error, early.header("retry-after")) == ("slow_down", "10")
    assert (await device.poll(wait=9.6)).error == "authorization_pending"
    for _ in range(19):
        assert (await device.poll(wait=0.5)).error == "slow_down"
    assert (await device.poll(wait=0.5)).error == "invalid_request"
    assert (await device.poll(wait=150)).error == "authorization_pending", "the record stays"


@covers("DEV-RD-04", "DEV-T20")
async def test_an_early_poll_after_the_yes_gets_the_token(served: Served) -> None:
    device = await tv(served).begin()
    assert (await device.poll()).error == "authorization_pending"
    await Viewer(served).agree(device.code)
    assert (await device.poll(wait=0)).status == 200


@covers("DEV-MAP-02", "DEV-T21", "DEV-POLL-02", "DEV-BIND-01", "DEV-UC-08", "DEV-T37",
        "OAUTH-DEFER-07", "SEC-TOK-08")  # fmt: skip
async def test_a_code_is_of_one_client_and_of_one_kind(served: Served) -> None:
    device = await approved(tv(served))
    unknown = await Device(web(served, "box"), {"device_code": "A" * 64}).poll()
    foreign = await Device(web(served, "box"), device.told).poll()
    typed = await Device(web(served, "box"), {"device_code": device.code}).poll()
    assert unknown.error == "invalid_grant"
    assert unknown.body == foreign.body == typed.body
    elsewhere = await device.client.poll(device.told["device_code"])
    assert elsewhere.error == "invalid_grant"
    as_refresh = await device.client.post(
        "/token",
        [("grant_type", "refresh_token"), ("refresh_token", device.told["device_code"])],
    )
    assert as_refresh.error == "invalid_grant"
    assert (await device.poll()).status == 200, "its owner still gets the token"


@covers("DEV-RD-03", "DEV-T22", "DEV-POLL-12", "DEV-POLL-07")
@pytest.mark.parametrize("agreed", [False, True])
async def test_a_code_that_is_over_is_told_so_for_a_day(served: Served, agreed: bool) -> None:
    device = await tv(served).begin()
    if agreed:
        await Viewer(served).agree(device.code)
    answer = await device.poll(wait=600)
    assert (answer.status, answer.error) == (400, "expired_token")
    assert (await device.poll(wait=86_000)).error == "expired_token"
    assert (await device.poll(wait=500)).error == "invalid_grant"


@covers("DEV-T24", "DEV-POLL-11")
@pytest.mark.parametrize("end", ["person", "consent", "session", "client"])
async def test_what_loses_its_ground_after_the_yes_yields_nothing(served: Served, end: str) -> None:
    device = await approved(tv(served))
    house, uma = served.house, PersonId("uma")
    match end:
        case "person":
            person = await house.store.find_person(uma)
            assert person is not None
            await dispose.disable_person(house, person, by="test")
        case "consent":
            await dispose.withdraw_consent(house, uma, ClientId("tv"), by="test")
        case "session":
            await dispose.end_sessions(house, uma, by="test")
        case "client":
            await dispose.set_client(house, ClientId("tv"), enabled=False)
    answer = await device.poll()
    if end == "client":
        assert (answer.status, answer.error) == (401, "invalid_client")
    else:
        assert (answer.status, answer.error) == (400, "access_denied")


@covers("DEV-T25", "DEV-BIND-02", "DEV-POLL-02", "OAUTH-DEC-07")
@pytest.mark.parametrize("by", ["proof", "parameter"])
async def test_a_code_that_is_bound_from_the_start_stays_with_its_key(
    served: Served, by: str
) -> None:
    key = served.keys["d1"]
    device = tv(served)
    if by == "parameter":
        device.client = device.client.with_dpop(None)
        await device.begin(dpop_jkt=key.public.jkt)
    else:
        await device.begin()
    device.client = device.client.with_dpop(None)
    assert (await device.poll()).error == "invalid_dpop_proof"
    device.client = device.client.with_dpop(served.keys["d2"])
    assert (await device.poll()).error == "invalid_dpop_proof"
    device.client = device.client.with_dpop(key)
    assert (await device.poll(wait=0)).error == "authorization_pending", "no pace was lost"
    await Viewer(served).agree(device.code)
    answer = await device.poll()
    assert answer.claims()["cnf"] == {"jkt": key.public.jkt}


@covers("DEV-T25", "DEV-BIND-02")
async def test_two_keys_in_one_request_are_refused(served: Served) -> None:
    answer = await tv(served).ask(dpop_jkt=served.keys["d2"].public.jkt)
    assert answer.error == "invalid_dpop_proof"


@covers("DEV-RD-05", "DEV-T26", "DEV-BIND-02")
async def test_the_first_proof_binds(served: Served) -> None:
    device = tv(served)
    device.client = device.client.with_dpop(None)
    await device.begin()
    for _ in range(2):
        assert (await device.poll()).error == "authorization_pending"
    device.client = device.client.with_dpop(served.keys["d2"])
    assert (await device.poll()).error == "authorization_pending"
    device.client = device.client.with_dpop(served.keys["d1"])
    assert (await device.poll()).error == "invalid_dpop_proof"
    device.client = device.client.with_dpop(None)
    assert (await device.poll()).error == "invalid_dpop_proof"


@covers("DEV-T28", "DEV-META-01", "DEV-META-02")
async def test_metadata_name_endpoint_and_grant_or_neither(tmp_path_factory: pytest.TempPathFactory,
                                                           served: Served) -> None:  # fmt: skip
    place = "/.well-known/oauth-authorization-server"
    metadata = (await served.get(place)).json
    assert metadata["device_authorization_endpoint"] == "https://as.example/device_authorization"
    assert GRANT in metadata["grant_types_supported"]
    async with open_devices(tmp_path_factory.mktemp("off"), extra="#", on="false") as off:
        metadata = (await off.get(place)).json
        assert "device_authorization_endpoint" not in metadata
        assert GRANT not in metadata["grant_types_supported"]
        assert (await tv(off).ask()).status == 404
        assert (await off.get("/device")).status == 404
        polled = await Device(public(off, "tv"), {"device_code": "A" * 64}).poll()
        assert polled.error == "unsupported_grant_type"


@covers("DEV-REQ-04", "OAUTH-OIDC-01", "DEV-DTR-11")
@pytest.mark.parametrize("scope", ["openid now", "openid read"])
async def test_an_id_token_tells_the_sign_in_at_the_page(
    tmp_path_factory: pytest.TempPathFactory, scope: str
) -> None:
    clients = CLIENTS.replace(
        'scope = ["read", "write"',
        'id_token_signed_response_alg = "ES256"\nscope = ["openid", "read", "write"',
        1,
    )
    clients += '[openid]\nenabled = true\nsigning_algorithms = ["ES256"]\n'
    async with open_devices(tmp_path_factory.mktemp("openid"), clients=clients) as served:
        device = await approved(tv(served), scope=scope, nonce="n-1")
        signed_in_at = served.clock.now()
        answer = await device.poll(defer=True)
        if answer.status != 200:
            await served.approve(answer.code)
            served.clock.move(300)
            answer = await device.client.poll(answer.code)
        payload = answer.json["id_token"].split(".")[1]
        told = json.loads(base64.urlsafe_b64decode(payload + "=="))
        assert (told["sub"], told["aud"], told["nonce"]) == ("uma", "tv", "n-1")
        assert told["auth_time"] == int(signed_in_at.timestamp())


@covers("DEV-T23", "DEV-POLL-10", "DEV-DTR-05")
@pytest.mark.parametrize("scope", ["now", "read"])
async def test_of_polls_that_race_one_gets_the_answer(served: Served, scope: str) -> None:
    device = await approved(tv(served), scope=scope)
    served.clock.move(6)
    answers = await asyncio.gather(*(device.poll(defer=True, wait=0) for _ in range(8)))
    won = {each.body for each in answers if each.error != "invalid_grant"}
    assert len(won) == 1
    assert {"access_token", "deferral_code"} & json.loads(won.pop()).keys()


@covers("DEV-T07", "DEV-UC-02")
async def test_a_code_that_somebody_has_is_drawn_again_and_five_times_at_most(
    served: Served,
) -> None:
    draws = [b"\0" * 32] * 5
    plain = served.house.random

    def random(count: int) -> bytes:
        # A home has 16 bytes and a nonce 12; a secret of 32 comes before its user code.
        if count == DRAWN_BYTES and asked.pop(0) == "code":
            return draws.pop(0) if draws else plain(count)
        return plain(count)

    object.__setattr__(served.house, "random", random)
    try:
        asked = ["secret", "code"]
        taken = await tv(served).begin()
        assert taken.code == "BBBB-BBBB"
        asked = ["secret", "code", "code"]
        draws[:] = [b"\0" * 32]
        assert (await box(served).begin()).code != taken.code
        asked = ["secret", *["code"] * 5]
        draws[:] = [b"\0" * 32] * 5
        answer = await tv(served).ask()
        assert (answer.status, asked) == (503, [])
        served.answers[:] = [each for each in served.answers if each[1].status != 503]
    finally:
        object.__setattr__(served.house, "random", plain)
    page = await Viewer(served).agree(taken.code)
    assert "Connected" in page.text, "it is still the code of the first"


@covers("DTR-PRIV-01", "DTR-RD-21", "OAUTH-LOG-07")
async def test_device_sessions_are_disposed_of_and_erased_with_their_people(
    served: Served,
) -> None:
    house = served.house
    first, second = await approved(tv(served)), await tv(served).begin()
    homes = [parse_handle(HandleKind.DEVICE_CODE, each.told["device_code"]) for each in
             (first, second)]  # fmt: skip
    uma = await house.store.find_person(PersonId("uma"))
    assert uma is not None
    await erase_person(house, uma, by="test")
    assert homes[0] is not None
    assert homes[1] is not None
    assert await house.store.find_device(homes[0].home) is None
    assert (await second.poll()).error == "authorization_pending"
    served.clock.move(600 + 86_400 + 3600)
    await dispose_of_old(house)
    assert await house.store.find_device(homes[1].home) is None
    assert (await second.poll()).error == "invalid_grant"
