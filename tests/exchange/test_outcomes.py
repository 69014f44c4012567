"""Every grant against every outcome, cell by cell, and what becomes of its own credential.

The table of `docs/grants.md`. A grant is a `Row`: how to ask, what its success must
have, and what its credential does when it is shown again; a new grant is a new row.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest

from abeyance.wire import names
from tests.answer import Answer
from tests.console.house import PASSWORD, Tab
from tests.covers import covers
from tests.devices.house import Device, approved
from tests.exchange.house import LEDGER, VAULT, Agent, is_refused, users_token
from tests.people.house import Flow, public, web
from tests.served import Caller, Served

WAITS, AT_ONCE, STEP = "read", "now", "sure"


@dataclass(frozen=True, slots=True)
class Shown:
    """One request of a grant, that can be sent again with the same credential."""

    client: Caller
    send: Callable[[], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Row:
    """`make(served, scope, defer)`. `again`: what its credential is worth after the answer:
    "spent" (refused), "joins" (the same request), "free" (another one). `joined`: while
    the request stands so, that is what it is worth.
    """

    name: str
    make: Callable[[Served, str], Awaitable[Shown]]
    again: str
    after_end: str
    success: dict[str, Any]
    joined: tuple[str, ...] = ("waits",)


async def _client_credentials(served: Served, scope: str) -> Shown:
    client = web(served, "gateway")
    return Shown(client, lambda: client.ask(scope=scope, resource=LEDGER))


async def _code(served: Served, scope: str) -> Shown:
    flow = Flow(web(served))
    code = await flow.code(scope=scope)
    return Shown(flow.client, lambda: flow.redeem(code, defer=True))


async def _exchange(served: Served, scope: str) -> Shown:
    gateway = Agent.of(served, "gateway")
    subject = await users_token(served, scope="read sure now")
    actor = await gateway.own_token()
    return Shown(
        gateway.client,
        lambda: gateway.exchange(subject, actor=actor, scope=scope, resource=VAULT, defer=True),
    )


async def _jwt_bearer(served: Served, scope: str) -> Shown:
    agent = Agent.of(served)
    assertion = agent.idp.assertion()
    return Shown(agent.client, lambda: agent.bring(assertion, scope=scope, defer=True))


async def _id_jag(served: Served, scope: str) -> Shown:
    agent = Agent.of(served)
    assertion = agent.idp.id_jag(scope="read sure now")
    return Shown(agent.client, lambda: agent.bring(assertion, scope=scope, defer=True))


async def _device_code(served: Served, scope: str) -> Shown:
    device = await approved(Device(public(served, "tv")), scope=scope)
    return Shown(device.client, lambda: device.poll(defer=True))


ROWS: Final = (
    Row("authorization_code", _code, "ends", "ends", {"sub": "uma"}),
    Row("client_credentials", _client_credentials, "free", "free", {"sub": "client:gateway"}),
    Row(
        "token_exchange",
        _exchange,
        "free",
        "free",
        {"sub": "uma", "act": {"sub": "client:gateway", "client_id": "gateway"}},
    ),
    Row("jwt_bearer", _jwt_bearer, "spent", "spent", {"sub": "uma"}),
    Row("id_jag", _id_jag, "joins", "free", {"sub": "uma"}),
    # Until the deferral has been polled, since the answer with it may have been lost.
    Row(
        "device_code", _device_code, "joins", "spent", {"sub": "uma"}, joined=("waits", "approved")
    ),
)
each_grant = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@covers("T-025", "T-043", "T-031", "T-037", "DTR-OPT-03")
@each_grant
async def test_what_policy_allows_comes_at_once_and_says_nothing_of_waiting(
    served: Served, row: Row
) -> None:
    shown = await row.make(served, AT_ONCE)
    answer = await shown.send()
    assert answer.status == 200, answer.body
    _check_success(row, answer)
    assert not {"deferral_code", "interval", "error"} & answer.json.keys()


@covers("T-026", "T-044", "T-032", "T-038", "DTR-OK-01", "OAUTH-TX-12")
@each_grant
async def test_what_is_approved_comes_once_as_the_grants_own_success(
    served: Served, row: Row
) -> None:
    code, client = await _deferred(served, row)
    served.clock.move(6)
    pending = await client.poll(code)
    assert pending.error == "authorization_pending"
    assert not {"deferral_code", "interval"} & pending.json.keys()
    await served.approve(code)
    answer = await client.poll(code)
    _check_success(row, answer)
    assert is_refused(await client.poll(code), "invalid_grant")


@covers("T-027", "T-045", "T-033", "T-039")
@each_grant
async def test_what_is_denied_stays_denied(served: Served, row: Row) -> None:
    code, client = await _deferred(served, row)
    await served.deny(code)
    for _ in range(2):
        assert is_refused(await client.poll(code), "access_denied")
    assert await _tokens_of(served, code) == []


@covers("T-028", "T-046", "T-034", "T-040")
@each_grant
async def test_what_nobody_decides_expires(served: Served, row: Row) -> None:
    code, client = await _deferred(served, row)
    served.clock.move(3601)
    for _ in range(2):
        assert is_refused(await client.poll(code), "expired_token")
    assert await _tokens_of(served, code) == []


@covers("T-029", "T-047", "T-035", "T-041")
@each_grant
async def test_what_is_withdrawn_is_denied_ever_after(served: Served, row: Row) -> None:
    code, client = await _deferred(served, row)
    assert (await client.revoke(code)).status == 200
    assert is_refused(await client.poll(code), "access_denied")
    await served.vote(code)
    assert is_refused(await client.poll(code), "access_denied")
    assert await _tokens_of(served, code) == []


@covers("T-030", "T-048", "T-036", "T-042")
@each_grant
async def test_a_step_may_come_first_and_opening_its_address_decides_nothing(
    served: Served, row: Row
) -> None:
    shown = await row.make(served, STEP)
    answer = await shown.send()
    assert answer.error == "interaction_required", answer.body
    uri = answer.json["interaction_uri"]
    assert uri.startswith("https://as.example/interact/")
    assert "#" not in uri
    tab = Tab(served)
    await tab.sign_in("vic", PASSWORD)
    await tab.get(uri.removeprefix("https://as.example"))
    assert (await shown.client.poll(answer.code)).error == "interaction_required"
    await served.approve(answer.code)
    _check_success(row, await shown.client.poll(answer.code))


@covers(
    "EXT-GRANT-01", "EXT-GRANT-04", "EXT-GRANT-05", "OAUTH-DEC-09", "OAUTH-DEFER-02", "DTR-RD-08"
)
@each_grant
@pytest.mark.parametrize("end", ["waits", "approved", "denied", "expired", "cancelled"])
async def test_a_credential_that_is_shown_again_is_worth_what_the_table_says(
    served: Served, row: Row, end: str
) -> None:
    shown = await row.make(served, WAITS)
    first = await shown.send()
    assert first.error == "authorization_pending", first.body
    match end:
        case "approved":
            await served.approve(first.code)
        case "denied":
            await served.deny(first.code)
        case "expired":
            served.clock.move(3601)
        case "cancelled":
            await shown.client.revoke(first.code)
    again = await shown.send()
    match row.again if end in row.joined else row.after_end:
        case "joins":
            assert again.code == first.code
        case "free" if end == "expired" and row.name in ("token_exchange", "id_jag"):
            # The credential itself does not live that long; the wait did (EXT-STALE-03).
            assert is_refused(again, "invalid_request" if row.name != "id_jag" else "invalid_grant")
        case "free":
            assert again.error == "authorization_pending"
            assert again.code != first.code
        case _:
            assert is_refused(again, "invalid_grant")
    if row.again == "ends":
        return
    served.clock.move(6)
    expected = {
        "waits": "authorization_pending",
        "approved": None,
        "denied": "access_denied",
        "expired": "expired_token",
        "cancelled": "access_denied",
    }
    assert (await shown.client.poll(first.code)).error == expected[end], "as if nothing came after"


@covers("EXT-STALE-03", "EXT-IDJAG-04", "OAUTH-TX-12", "T-026", "T-032", "T-038", "T-202")
@each_grant
async def test_a_credential_that_runs_out_meanwhile_does_not_end_the_wait(
    served: Served, row: Row
) -> None:
    code, client = await _deferred(served, row)
    served.clock.move(1800)
    await served.approve(code)
    _check_success(row, await client.poll(code))


async def _deferred(served: Served, row: Row) -> tuple[str, Caller]:
    shown = await row.make(served, WAITS)
    answer = await shown.send()
    assert (answer.status, answer.error) == (400, "authorization_pending"), answer.body
    assert {"deferral_code", "expires_in", "interval"} <= answer.json.keys()
    return answer.code, shown.client


def _check_success(row: Row, answer: Answer) -> None:
    assert answer.status == 200, answer.body
    assert row.success.items() <= answer.claims().items()
    exchanged = row.name == "token_exchange"
    assert answer.json.get("issued_token_type") == (names.URN_ACCESS_TOKEN if exchanged else None)
    assert ("refresh_token" in answer.json) == (row.name in ("authorization_code", "device_code"))


async def _tokens_of(served: Served, code: str) -> list[str]:
    events = await served.house.store.find_events(await served.key_of(code))
    return [each.event for each in events if each.event in ("redeemed", "issued")]
