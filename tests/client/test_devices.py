"""A program without a browser: it asks, shows a code, polls, and goes on into a deferral."""

import itertools
import logging
from pathlib import Path
from typing import Any

import httpx2
import pytest

from abeyance.client import (
    AccessDenied,
    AsyncPendingToken,
    Client,
    ClientSecretBasic,
    DeviceRequest,
    Expired,
    MalformedResponse,
    Misconfigured,
    PendingToken,
    PublicClient,
    ServerRefused,
    Token,
    generate_key,
)
from tests.client.fakes import (
    CLIENT_ID,
    CLIENT_SECRET,
    CODE,
    ISSUER,
    FakeServer,
    FakeTime,
    answer,
    cut,
    deferred,
    error,
    granted,
    pending,
    slow_down,
)
from tests.client.test_at_the_server import connect
from tests.covers import covers
from tests.devices.house import Viewer, open_devices
from tests.served import Served

SECRET_CODE = "planted-device-code-" + "d" * 43
TOLD: dict[str, Any] = {
    "device_code": SECRET_CODE,
    "user_code": "WDJB-MJHT",
    "verification_uri": f"{ISSUER}/device",
    "verification_uri_complete": f"{ISSUER}/device?user_code=WDJB-MJHT",
    "expires_in": 600,
    "interval": 7,
    "surprise": {"is": "ignored"},
}


class Device:
    """The library's client at a server that follows a script."""

    def __init__(self, **told: Any) -> None:
        self.time = FakeTime()
        self.server = FakeServer(self.time)
        self.server.metadata["device_authorization_endpoint"] = f"{ISSUER}/device_authorization"
        members = {name: value for name, value in (TOLD | told).items() if value is not None}
        self.server.documents["/device_authorization"] = answer(members, status=200)
        self.client = Client(
            ISSUER,
            CLIENT_ID,
            ClientSecretBasic(CLIENT_SECRET),
            http=httpx2.Client(transport=httpx2.MockTransport(self.server)),
            surroundings=self.time.surroundings(),
            sleep=self.time.sleep,
        )

    def ask(self, **asked: Any) -> DeviceRequest:
        return self.client.device_request(scope="read", **asked)

    def gaps(self) -> list[float]:
        ticks = [seen.tick for seen in self.server.token_requests]
        return [later - earlier for earlier, later in itertools.pairwise(ticks)]


@covers("DEV-POLL-01", "DEV-DTR-03", "DEV-RD-02", "DEV-QR-01", "DEV-RESP-04")
def test_it_shows_what_it_was_told_and_polls_with_the_code_and_the_opt_in() -> None:
    device = Device()
    request = device.ask()
    assert (request.user_code, request.verification_uri) == ("WDJB-MJHT", f"{ISSUER}/device")
    assert request.verification_uri_complete == TOLD["verification_uri_complete"]
    device.server.says(pending(), pending(), granted(scope="read"))
    assert isinstance(device.client.await_device(request), Token)
    asked = next(each for each in device.server.seen if each.path == "/device_authorization")
    assert (asked["scope"], asked["completion_mode"]) == ("read", "deferred")
    polls = device.server.token_requests
    assert {each["device_code"] for each in polls} == {SECRET_CODE}
    assert {each["completion_mode"] for each in polls} == {"deferred"}
    assert {"scope", "resource"}.isdisjoint(polls[0].names)
    assert device.gaps() == [7, 7]


@covers("DEV-RESP-04", "DEV-T27")
def test_without_an_interval_it_is_five_seconds() -> None:
    device = Device(interval=None)
    device.server.says(pending(), pending(), granted())
    device.client.await_device(device.ask())
    assert device.gaps() == [5, 5]


@covers("DEV-T27", "DEV-POLL-04", "DEV-POLL-08")
def test_slow_down_stays_and_silence_doubles_until_somebody_answers() -> None:
    device = Device()
    device.server.says(pending(), slow_down(), cut, cut, pending(), pending(), granted())
    device.client.await_device(device.ask())
    assert device.gaps() == [7, 12, 24, 48, 12, 12]


@covers("DEV-POLL-09", "DEV-POLL-07")
def test_it_stops_by_its_own_clock_and_asks_for_no_new_code() -> None:
    device = Device(expires_in=60)
    with pytest.raises(Expired):
        device.client.await_device(device.ask())
    assert device.server.token_requests[-1].tick <= 1000 + 60
    assert [each.path for each in device.server.seen].count("/device_authorization") == 1


@covers("DEV-POLL-07", "DEV-T27", "DEV-QR-02")
@pytest.mark.parametrize(
    ("code", "kind"),
    [("access_denied", AccessDenied), ("expired_token", Expired), ("teapot", ServerRefused)],
)
def test_any_other_error_ends_the_polling(code: str, kind: type[Exception]) -> None:
    device = Device()
    request = device.ask()
    device.server.says(pending(), error(code))
    with pytest.raises(kind):
        device.client.await_device(request)
    assert len(device.server.token_requests) == 2
    assert [each.path for each in device.server.seen].count("/device_authorization") == 1


@covers("DEV-DTR-04", "DEV-T27")
def test_a_deferral_code_takes_the_place_of_the_device_code_and_of_its_pace() -> None:
    device = Device()
    request = device.ask()
    device.server.says(slow_down(), deferred(interval=30, expires_in=86_400), pending(), granted())
    waiting = device.client.await_device(request)
    assert isinstance(waiting, PendingToken)
    assert isinstance(waiting.wait(), Token)
    assert [each["deferral_code"] for each in device.server.polls] == [CODE, CODE]
    assert device.server.gaps() == [30], "old increments do not carry over"
    assert {"device_code", "completion_mode"}.isdisjoint(device.server.polls[0].names)


@covers("DEV-DTR-07", "DTR-OPT-01")
def test_who_accepts_no_deferral_never_says_so_and_gets_none() -> None:
    device = Device()
    request = device.ask(defer=False)
    device.server.says(pending(), deferred())
    with pytest.raises(MalformedResponse):
        device.client.await_device(request)
    assert all("completion_mode" not in each.names for each in device.server.seen)


@pytest.mark.parametrize(
    "told",
    [
        {"device_code": None},
        {"user_code": ""},
        {"expires_in": "600"},
        {"verification_uri": "http://elsewhere.example/device"},
        {"verification_uri": "javascript:alert(1)"},
    ],
)
@covers("DEV-RESP-01")
def test_an_answer_that_nobody_should_be_shown_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(MalformedResponse):
        Device(**told).ask()


@covers("DEV-META-01", "DEV-REQ-02")
def test_a_server_without_the_endpoint_or_with_a_no_is_told_apart() -> None:
    device = Device()
    device.server.documents["/device_authorization"] = error("unauthorized_client")
    with pytest.raises(ServerRefused, match="unauthorized_client"):
        device.ask()
    bare = Device()
    del bare.server.metadata["device_authorization_endpoint"]
    with pytest.raises(Misconfigured, match="device grant"):
        bare.ask()
    public = Client(ISSUER, CLIENT_ID, PublicClient())
    with pytest.raises(Misconfigured, match="DPoP"):
        public.device_request(scope="read")
    public.close()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


@covers("DEV-SEC-02", "DEV-T38")
def test_the_device_code_shows_nowhere(log: pytest.LogCaptureFixture) -> None:
    device = Device()
    request = device.ask()
    device.server.says(pending(), error("access_denied"))
    with pytest.raises(AccessDenied) as failure:
        device.client.await_device(request)
    for text in (repr(request), str(request), repr(failure.value), log.text):
        assert SECRET_CODE not in text


async def answering(served: Served, code: str, decision: str) -> None:
    viewer = Viewer(served)
    await viewer.answer(await viewer.type(code), decision)


@covers("DEV-T29", "DEV-DTR-02")
async def test_it_works_at_the_real_server_also_with_a_wait(tmp_path: Path) -> None:
    async with open_devices(tmp_path, extra="limits.held_polls = 0") as served:
        client = connect(served, "tv", PublicClient(), dpop_key=generate_key())
        now = await client.device_request(scope="now")
        await answering(served, now.user_code, "agree")
        token = await client.await_device(now)
        assert isinstance(token, Token)
        later = await client.device_request(scope="read write")
        await answering(served, later.user_code, "agree")
        waiting = await client.await_device(later)
        assert isinstance(waiting, AsyncPendingToken)
        await served.approve(waiting._pursuit.held.code.reveal())
        assert (await waiting.wait()).scope == ("read", "write")
        never = await client.device_request(scope="now")
        await answering(served, never.user_code, "decline")
        with pytest.raises(AccessDenied):
            await client.await_device(never)
