"""What a person meets at `/device`: warnings, limits, one answer, and nothing by accident."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import pytest

from abeyance.pending.user_code import hash_user_code, normalize_user_code
from abeyance.server.frontchannel.device import coarse
from tests.console.house import PageSeen
from tests.covers import covers
from tests.devices.house import Viewer, approved, open_devices, tv
from tests.served import Served

WRONG = "This code does not work"


def error_of(page: PageSeen) -> tuple[int, str]:
    """A page without its form token."""
    return page.status, re.sub(r'value="[^"]*"|data-now="[^"]*"', "", page.html)


@covers("DEV-T11", "DEV-VER-05", "DEV-VER-08", "DEV-SEC-03", "DEV-VER-07")
async def test_opening_pages_decides_nothing_and_uses_nothing_up(served: Served) -> None:
    device = await tv(served).begin()
    viewer = Viewer(served)
    await viewer.open()
    path = f"/device?user_code={device.code}"
    for method in ("GET", "HEAD"):
        for _ in range(25):
            seen = await viewer.flow.tab.get(path, method=method)
            assert seen.status == 200
            assert seen.answer.header("referrer-policy") == "no-referrer"
            assert device.told["device_code"] not in seen.html
    page = await viewer.type(device.code)
    assert re.fullmatch(r"/device/[0-9a-f]{32}", page.path), "the code is out of the address bar"
    for _ in range(5):
        await viewer.flow.tab.get(page.path, method="HEAD")
        assert "Yes: let the device do this" in (await viewer.open(page.path)).text
    assert (await device.poll()).error == "authorization_pending"
    await viewer.answer(page)
    assert (await device.poll()).status == 200


@covers("DEV-T12", "DEV-VER-03", "DEV-RESP-07")
async def test_a_link_with_the_code_shows_it_and_asks(served: Served) -> None:
    device = await tv(served).begin()
    viewer = Viewer(served)
    path = device.told["verification_uri_complete"].removeprefix("https://as.example")
    page = await viewer.open(path)
    assert device.code in page.text
    assert "Does your device show this code?" in page.text
    assert "<script" not in page.html
    form = page.form("/device")
    page = await viewer.flow.onward(await viewer.flow.tab.post(form.action, form.fields))
    page = await viewer.answer(page, "decline")
    assert (await device.poll()).error == "access_denied"


@covers("DEV-VER-04", "DEV-SEC-04", "DEV-SEC-05", "DEV-T13", "DEV-VER-02", "DEV-VER-01")
async def test_the_person_is_asked_each_time_and_told_who_and_what(served: Served) -> None:
    for _ in range(2):
        device = await tv(served).begin(scope="now write")
        page = await Viewer(served).type(device.code)
        for said in (
            "Living room",
            "unverified",
            "Change the ledger",
            "on a device in front of you",
            "Uma Underwood",
            "ago",
            "I did not start this",
        ):
            assert said in page.text, said
        # Whatever the device calls itself, nobody vouches that it is the one that they mean.
        assert "your Living room" not in page.text
        assert "your device" not in page.text.lower().replace("return to your device", "")
        await Viewer(served).flow.follow("/device")
        viewer = Viewer(served)
        page = await viewer.type(device.code)
        assert WRONG in page.text, "claimed by another session"
        served.clock.move(301)
        assert "Yes: let the device do this" in (await viewer.type(device.code)).text


@covers("DEV-T08", "DEV-UC-03")
@pytest.mark.parametrize(
    ("how", "fits"),
    [
        (lambda code: code.lower().replace("-", " "), True),
        (lambda code: code.replace("-", "\u2013") + "\t", True),
        (lambda code: "".join(chr(ord(each) + 0xFEE0) for each in code), True),
        (lambda code: code[:-1], False),
        (lambda code: code + "B", False),
    ],
)
async def test_a_code_is_read_as_people_type_it(served: Served, how: object, fits: bool) -> None:
    device = await tv(served).begin()
    assert callable(how)
    page = await Viewer(served).type(how(device.code))
    assert (WRONG not in page.text) is fits


@covers("DEV-T10", "DEV-UC-07", "DEV-UC-08", "DEV-UC-06", "SEC-DOS-17")
async def test_whatever_does_not_work_is_told_alike(served: Served) -> None:
    used = await approved(tv(served))
    await used.poll()
    over = await tv(served).begin()
    served.clock.move(700)
    claimed = await tv(served).begin()
    await Viewer(served, "vic").type(claimed.code)
    seen = []
    for code in (
        "BBBB-BBBB", used.code, over.code, claimed.code, used.told["device_code"], "x",
    ):  # fmt: skip
        page = await Viewer(served).type(code)
        seen.append(error_of(page))
        served.clock.move(0)
    assert {status for status, _ in seen} == {400}
    assert len({html for _, html in seen}) == 1
    assert "/sign-in" in (await Viewer(served).flow.follow("/device")).path, "sign-in comes first"


@covers("DEV-T09", "DEV-UC-04", "DEV-UC-05", "SEC-DOS-17")
async def test_after_five_wrong_codes_a_session_is_blocked_also_for_a_right_one(
    served: Served,
) -> None:
    device = await tv(served).begin()
    viewer = Viewer(served)
    for _ in range(5):
        assert WRONG in (await viewer.type("BCDF-GHJK")).text
    blocked = await viewer.type(device.code)
    assert blocked.status == 429
    assert int(blocked.answer.header("retry-after") or 0) >= 300
    other = await Viewer(served, "vic").type(device.code)
    assert "Yes: let the device do this" in other.text


@covers("DEV-UC-04", "DEV-UC-05", "SEC-DOS-17")
async def test_ten_wrong_codes_of_an_account_cost_time_in_every_session(served: Served) -> None:
    for _ in range(2):
        viewer = Viewer(served)
        for _ in range(5):
            assert WRONG in (await viewer.type("BCDF-GHJK")).text
    assert (await Viewer(served).type("BCDF-GHJK")).status == 429
    served.clock.move(31)
    assert WRONG in (await Viewer(served).type("BCDF-GHJK")).text


@covers("DEV-UC-04", "DEV-UC-05", "SEC-DOS-17")
async def test_guesses_that_come_all_at_once_are_no_more_than_one_after_the_other(
    served: Served,
) -> None:
    device = await tv(served).begin()
    viewer = Viewer(served)
    form = (await viewer.open()).form("/device")
    guesses = ["BCDF-GHJK"] * 20 + [device.code]
    pages = await asyncio.gather(
        *(
            viewer.flow.tab.post(form.action, form.fields | {"user_code": code}, follow=False)
            for code in guesses
        )
    )
    assert Counter(page.status for page in pages) == {400: 5, 429: 16}
    served.clock.move(5)
    assert (await device.poll()).error == "authorization_pending"


@covers("DEV-UC-04")
async def test_right_codes_cost_nobody_a_try(served: Served) -> None:
    viewer = Viewer(served)
    for _ in range(4):
        assert WRONG in (await viewer.type("BCDF-GHJK")).text
    for _ in range(3):
        device = await tv(served).begin()
        assert "Connected" in (await viewer.agree(device.code)).text


@covers("DEV-UC-04", "SEC-DOS-17")
async def test_strangers_behind_the_same_proxy_lock_nobody_out_of_the_page(
    served: Served,
) -> None:
    for person in ("vic", "ada"):
        viewer = Viewer(served, person)
        for _ in range(5):
            assert WRONG in (await viewer.type("BCDF-GHJK")).text
    device = await tv(served).begin()
    assert "Connected" in (await Viewer(served).agree(device.code)).text


@covers("DEV-T14", "DEV-VER-06", "DEV-XD-03")
async def test_one_claims_and_a_third_account_ends_it(served: Served) -> None:
    device = await tv(served).begin()
    uma, vic = Viewer(served, "uma"), Viewer(served, "vic")
    await asyncio.gather(uma.open(), vic.open())
    pages = await asyncio.gather(uma.type(device.code), vic.type(device.code))
    assert sorted(WRONG in page.text for page in pages) == [False, True]
    assert (await device.poll()).error == "authorization_pending"
    assert WRONG in (await Viewer(served, "ada").type(device.code)).text
    assert (await device.poll()).error == "access_denied"


@covers("DEV-T14", "DEV-XD-03")
async def test_the_same_account_contests_nothing(served: Served) -> None:
    device = await tv(served).begin()
    mine = Viewer(served)
    page = await mine.type(device.code)
    for _ in range(3):
        assert WRONG in (await Viewer(served).type(device.code)).text
    await mine.answer(page)
    assert (await device.poll()).status == 200


@covers("DEV-T15", "DEV-VER-07")
@pytest.mark.parametrize(("first", "then"), [("agree", "decline"), ("decline", "agree")])
async def test_an_answer_is_final(served: Served, first: str, then: str) -> None:
    device = await tv(served).begin()
    viewer = Viewer(served)
    page = await viewer.type(device.code)
    await viewer.answer(page, first)
    assert (await viewer.answer(page, then)).status == 410
    assert ("Connected" in (await viewer.open(page.path)).text) is (first == "agree")
    assert (await device.poll()).json.get("error") == (
        None if first == "agree" else "access_denied"
    )


@covers("DEV-T15", "DEV-VER-07")
async def test_nobody_answers_when_the_device_could_not_collect_it(served: Served) -> None:
    device = await tv(served).begin()
    viewer = Viewer(served)
    served.clock.move(530)
    page = await viewer.type(device.code)
    served.clock.move(15)
    assert (await viewer.answer(page)).status == 410
    assert (await device.poll()).error == "authorization_pending"


@covers("DEV-VER-06")
async def test_a_claim_ends_after_five_minutes(served: Served) -> None:
    device = await tv(served).begin()
    viewer = Viewer(served)
    page = await viewer.type(device.code)
    served.clock.move(301)
    assert (await viewer.answer(page)).status == 410
    assert (await device.poll()).error == "authorization_pending"


@covers("DEV-T16", "DEV-SEC-04")
@pytest.mark.parametrize("how", ["token", "site", "other person", "extra field", "no decision"])
async def test_an_answer_that_did_not_come_from_the_page_is_refused(
    served: Served, how: str
) -> None:
    device = await tv(served).begin()
    viewer = Viewer(served)
    page = await viewer.type(device.code)
    form = next(each for each in page.forms if ("decision", "agree") in each.buttons)
    fields, headers, tab = form.fields | {"decision": "agree"}, None, viewer.flow.tab
    expected = 403
    match how:
        case "token":
            fields["csrf"] = "x" * 43
        case "site":
            headers = {"sec-fetch-site": "cross-site"}
        case "other person":
            other = Viewer(served, "vic")
            await other.open()
            tab = other.flow.tab
        case "extra field":
            fields["scope"], expected = "write", 400
        case _:
            fields["decision"], expected = "perhaps", 400
    assert (await tab.post(form.action, fields, headers=headers)).status == expected
    assert (await device.poll()).error == "authorization_pending"
    await viewer.answer(page)
    assert (await device.poll()).status == 200


@covers("DEV-VER-10")
async def test_whoever_did_not_start_it_says_so(served: Served) -> None:
    device = await tv(served).begin()
    viewer = Viewer(served)
    await viewer.answer(await viewer.type(device.code), "foreign")
    assert (await device.poll()).error == "access_denied"
    events = await served.house.store.list_security_events(5)
    assert ("device_not_started", "person:uma") in [(each.event, each.actor) for each in events]


@covers("DEV-VER-04")
async def test_a_yes_is_to_what_was_shown(served: Served) -> None:
    device = await tv(served).begin()
    viewer = Viewer(served)
    page = await viewer.type(device.code)
    assert (await viewer.answer(page, seen="0" * 64)).status == 409
    assert (await device.poll()).error == "authorization_pending"


@covers("DEV-T38", "DEV-RESP-02", "DEV-UC-02", "OAUTH-SEC-02", "DEV-REQ-06")
async def test_no_code_rests_anywhere(tmp_path_factory: pytest.TempPathFactory,
                                      capfd: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("rest")
    async with open_devices(folder) as served:
        device = await approved(tv(served))
        await device.poll()
        secrets = (device.told["device_code"], device.code, device.code.replace("-", ""))
    out = "".join(capfd.readouterr())
    kept = b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())
    for secret in secrets:
        assert secret not in out
        assert secret.encode() not in kept


@covers("DEV-UC-02")
async def test_a_code_is_not_used_again_for_a_day(served: Served) -> None:
    device = await tv(served).begin()
    code = normalize_user_code(device.code)
    assert code is not None
    key = hash_user_code(code, served.house.keys.derived.user_code_key)
    store, clock = served.house.store, served.clock
    clock.move(600 + 86_000)
    assert await store.find_reservation(key, now=clock.now()) is not None
    clock.move(500)
    assert await store.find_reservation(key, now=clock.now()) is None


@covers("DEV-UC-04", "SEC-DOS-17")
async def test_ten_wrong_codes_from_an_address_cost_time_where_addresses_tell(
    tmp_path: Path,
) -> None:
    proxies = 'trusted_proxies = ["10.0.0.0/8"]'
    async with open_devices(tmp_path, server=proxies) as served:
        for person in ("vic", "ada"):
            viewer = Viewer(served, person)
            for _ in range(5):
                assert WRONG in (await viewer.type("BCDF-GHJK")).text
        assert (await Viewer(served).type("BCDF-GHJK")).status == 429


@covers("DEV-VER-04")
@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ("198.51.100.7", "198.51.100.0/24"),
        ("2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8:1:2::7", "2001:db8:1::/48"),
        ("", None),
        ("testclient", None),
    ],
)
def test_a_page_shows_no_more_than_the_network(kept: str, shown: str | None) -> None:
    assert coarse(kept) == shown
