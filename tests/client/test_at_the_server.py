"""The client library against the real server: the code flow, a wait, a step, refresh, the API."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from abeyance.client import (
    AccessDenied,
    AsyncClient,
    AsyncPendingToken,
    AsyncTokenSource,
    ClientSecretBasic,
    InvalidGrant,
    Progress,
    PublicClient,
    ServerMetadata,
    Surroundings,
    Token,
    Waiting,
    generate_key,
)
from abeyance.parties.person import PersonId
from abeyance.store.ports import AsReviewer, Wanted
from tests.config import SECRET
from tests.covers import covers
from tests.people.house import Flow, back_at_client, open_people, public, web
from tests.served import Served

CALLBACK: Final = "https://web.example/callback?tenant=7"
NATIVE: Final = "http://127.0.0.1:49152/callback"
# Only the client moves the clock here, and it does not while a poll is held.
POLLS: Final = "limits.held_polls = 0"


def connect(
    served: Served,
    name: "str | ServerMetadata",
    authentication: Any,
    *,
    transport: httpx2.AsyncBaseTransport | None = None,
    **given: Any,
) -> AsyncClient:
    """A client of this name, or the robot at a server with this metadata."""

    async def sleep(seconds: float) -> None:
        served.clock.move(seconds)

    return AsyncClient(
        served.house.endpoints.issuer if isinstance(name, str) else name,
        name if isinstance(name, str) else "robot",
        authentication,
        http=httpx2.AsyncClient(transport=transport or httpx2.ASGITransport(app=served.app)),
        surroundings=Surroundings(now=served.clock.now, tick=served.clock.tick),
        sleep=sleep,
        **given,
    )


async def agree(flow: Flow, url: str) -> str:
    """A browser that follows the client's URL, signs in and agrees; where it ends up."""
    page = await flow.follow(url.removeprefix(flow.client.served.house.endpoints.issuer))
    page = await flow.signed_in(page)
    if page.answer.status == 200:
        page = await flow.answer(page)
    back_at_client(page)
    return page.answer.header("location") or ""


@covers("OAUTH-CODE-03", "OAUTH-PKCE-04", "OAUTH-ISS-01")
async def test_a_web_application_gets_a_token_at_once_and_refreshes_it(tmp_path: Path) -> None:
    async with open_people(tmp_path, extra=POLLS) as served:
        flow = Flow(web(served))
        client = connect(served, "web", ClientSecretBasic(SECRET))
        request = await client.authorization_request(CALLBACK, scope="now")
        token = await client.exchange_code(request, await agree(flow, request.url))
        assert isinstance(token, Token)
        assert token.scope == ("now",)
        again = await client.refresh(token)
        assert isinstance(again, Token)
        assert again.refresh_token is not None


@covers("DTR-INIT-01", "DTR-OK-01", "DTR-BIND-01", "DTR-SEC-01")
async def test_a_public_client_waits_with_its_key_until_somebody_has_decided(
    tmp_path: Path,
) -> None:
    async with open_people(tmp_path, extra=POLLS) as served:
        flow = Flow(public(served))
        client = connect(served, "app", PublicClient(), dpop_key=generate_key())
        request = await client.authorization_request(NATIVE, scope="read")
        pending = await client.exchange_code(request, await agree(flow, request.url))
        assert isinstance(pending, AsyncPendingToken)
        seen: list[Progress] = []

        async def decide(progress: Progress) -> None:
            seen.append(progress)
            if progress.polls == 2:
                held = pending._pursuit.held
                await served.vote(held.code.reveal(), by="rita")

        token = await pending.wait(on_progress=decide)
        assert (token.token_type, token.scope) == ("DPoP", ("read",))
        assert seen[-1].polls == 2


async def test_a_source_refreshes_at_the_server_by_itself(tmp_path: Path) -> None:
    async with open_people(tmp_path, extra=POLLS) as served:
        flow = Flow(public(served))
        client = connect(served, "app", PublicClient(), dpop_key=generate_key())
        request = await client.authorization_request(NATIVE, scope="now")
        token = await client.exchange_code(request, await agree(flow, request.url))
        assert isinstance(token, Token)
        source = AsyncTokenSource(client, path=tmp_path / "grant")
        await source.keep(token)
        assert (await source.token()) is token
        for _ in range(3):
            served.clock.move(600)
            fresh = await source.token()
            assert fresh.access_token.reveal() != token.access_token.reveal()
            token = fresh


@covers("OAUTH-CODE-05")
async def test_a_code_that_is_redeemed_again_is_an_end(tmp_path: Path) -> None:
    async with open_people(tmp_path, extra=POLLS) as served:
        flow = Flow(web(served))
        client = connect(served, "web", ClientSecretBasic(SECRET))
        request = await client.authorization_request(CALLBACK, scope="now")
        returned = await agree(flow, request.url)
        token = await client.exchange_code(request, returned)
        assert isinstance(token, Token)
        with pytest.raises(InvalidGrant):
            await client.exchange_code(request, returned)
        with pytest.raises(InvalidGrant):  # whoever replayed it has ended the grant
            await client.refresh(token)


async def test_a_person_who_says_no_is_told_as_a_denial(tmp_path: Path) -> None:
    async with open_people(tmp_path, extra=POLLS) as served:
        flow = Flow(web(served))
        client = connect(served, "web", ClientSecretBasic(SECRET))
        request = await client.authorization_request(CALLBACK, scope="now")
        page = await flow.follow(request.url.removeprefix(client.link.issuer))
        page = await flow.answer(await flow.signed_in(page), "decline")
        with pytest.raises(AccessDenied):
            await client.exchange_code(request, page.answer.header("location") or "")


@covers("DTR-IURI-04", "DTR-ERR-03")
async def test_where_somebody_must_act_is_told_until_they_have(tmp_path: Path) -> None:
    async with open_people(tmp_path, extra=POLLS) as served:
        flow = Flow(web(served))
        client = connect(served, "web", ClientSecretBasic(SECRET), dpop_key=generate_key())
        request = await client.authorization_request(CALLBACK, scope="sure")
        pending = await client.exchange_code(request, await agree(flow, request.url))
        assert isinstance(pending, AsyncPendingToken)
        states: list[Waiting] = []

        async def act(progress: Progress) -> None:
            states.append(progress.state)
            if progress.interaction_uri is None:
                await served.vote(pending._pursuit.held.code.reveal(), by="rita")
            elif progress.polls == 1:
                path = progress.interaction_uri.reveal().removeprefix(client.link.issuer)
                form = next(
                    each for each in (await flow.tab.get(path)).forms if "/interact/" in each.action
                )
                done = await flow.tab.post(form.action, form.fields | {"answer.confirmed": "yes"})
                assert done.status == 303

        token = await pending.wait(on_progress=act)
        assert token.scope == ("sure",)
        required = Waiting.INTERACTION_REQUIRED
        assert states == [required, required, Waiting.PENDING]


@covers("OAUTH-RT-11")
async def test_a_refresh_that_waits_spends_nothing_until_it_succeeds(tmp_path: Path) -> None:
    async with open_people(tmp_path, extra=POLLS) as served:
        flow = Flow(public(served))
        client = connect(served, "app", PublicClient(), dpop_key=generate_key())
        request = await client.authorization_request(NATIVE, scope="now read")
        token = await client.exchange_code(request, await agree(flow, request.url))
        assert isinstance(token, Token)
        pending = await client.refresh(token, scope="read")
        assert isinstance(pending, AsyncPendingToken)
        await pending.cancel()
        again = await client.refresh(token, scope="read")
        assert isinstance(again, AsyncPendingToken)

        async def decide(progress: Progress) -> None:
            if progress.polls == 1:
                await served.vote(again._pursuit.held.code.reveal(), by="rita")

        fresh = await again.wait(on_progress=decide)
        assert fresh.scope == ("read",)
        assert fresh.refresh_token is not None


# --- profiles


@covers("EXT-WAIT-07", "EXT-WAIT-01")
async def test_where_the_server_offers_it_polls_are_held_and_the_decision_is_heard_at_once(
    tmp_path: Path,
) -> None:
    async with open_people(tmp_path) as served:
        client = connect(served, "robot", ClientSecretBasic(SECRET))
        pending = await client.request_token(scope="read")
        assert isinstance(pending, AsyncPendingToken)
        code = pending._pursuit.held.code.reveal()
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            waiting = group.create_task(pending.wait())
            for _ in range(2_000):
                if served.house.limits.held.taken:
                    break
                await asyncio.sleep(0)
            asked_at = served.clock.tick()
            await served.approve(code)
            token = await waiting
        assert token.scope == ("read",)
        assert served.clock.tick() == asked_at, "nobody waited for the next poll"


@covers("T-250", "T-166", "EXT-IDEMP-07", "EXT-IDEMP-03")
async def test_a_token_that_was_lost_on_the_way_is_asked_for_by_its_name(tmp_path: Path) -> None:
    async with open_people(tmp_path, extra=POLLS) as served:
        losing = Losing(served)
        client = connect(served, "robot", ClientSecretBasic(SECRET), transport=losing)
        losing.answers = 1
        pending = await client.request_token(scope="read")
        assert isinstance(pending, AsyncPendingToken), "the first answer was lost, too"
        wanted = Wanted(whose=AsReviewer(PersonId("rita")))
        count = served.house.store.count_requests
        assert await count(wanted, now=served.clock.now(), at_most=9) == 1
        await served.approve(pending._pursuit.held.code.reveal())
        losing.answers = 1
        token = await pending.wait()
        assert token.scope == ("read",)
        assert losing.lost == 2


@covers("T-250", "EXT-IDEMP-07")
async def test_without_a_name_a_lost_token_is_reported_as_lost(tmp_path: Path) -> None:
    async with open_people(tmp_path, extra=POLLS) as served:
        losing = Losing(served)
        client = connect(served, "robot", ClientSecretBasic(SECRET), transport=losing)
        metadata = replace(await client.metadata(), profiles=frozenset())
        client = connect(served, metadata, ClientSecretBasic(SECRET), transport=losing)
        pending = await client.request_token(scope="read")
        assert isinstance(pending, AsyncPendingToken)
        await served.approve(pending._pursuit.held.code.reveal())
        losing.answers = 1
        with pytest.raises(InvalidGrant) as lost:
            await pending.wait()
        assert lost.value.result_may_be_lost


@covers("EXT-OUTCOME-02", "EXT-OUTCOME-03")
async def test_what_came_of_it_and_what_to_do_stand_in_the_exception(tmp_path: Path) -> None:
    async with open_people(tmp_path, extra=POLLS) as served:
        await served.registers("robot", "outcome")
        client = connect(served, "robot", ClientSecretBasic(SECRET))
        pending = await client.request_token(scope="read")
        assert isinstance(pending, AsyncPendingToken)
        await served.deny(pending._pursuit.held.code.reveal(), "Ask Ines", shareable=True)
        with pytest.raises(AccessDenied) as denied:
            await pending.wait()
        told = denied.value
        assert (told.outcome, told.next_action, told.remark) == ("denied", "none", "Ask Ines")


@covers("DTR-RD-27", "EXT-INTERACT-02", "EXT-INTERACT-09", "T-263")
async def test_who_can_show_an_address_says_so_and_sees_the_code_to_compare(
    tmp_path: Path,
) -> None:
    async with open_people(tmp_path, extra=POLLS) as served:
        flow = Flow(web(served))
        client = connect(served, "web", ClientSecretBasic(SECRET), can_interact=True)
        request = await client.authorization_request(CALLBACK, scope="sure")
        pending = await client.exchange_code(request, await agree(flow, request.url))
        assert isinstance(pending, AsyncPendingToken)
        uri, code = pending.progress.interaction_uri, pending.progress.interaction_code
        assert uri is not None
        assert code is not None
        page = await flow.tab.get(uri.reveal().removeprefix("https://as.example"))
        assert code in page.text
        served.clock.move(6)
        progress = await pending.poll()
        assert isinstance(progress, Progress)
        assert progress.state is Waiting.INTERACTION_PENDING
        assert progress.interaction_code == code


@dataclass
class Losing(httpx2.AsyncBaseTransport):
    """A network that loses answers on their way back."""

    served: Served
    answers: int = 0  # so many of the next ones
    lost: int = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        inner = httpx2.ASGITransport(app=self.served.app)
        response = await inner.handle_async_request(request)
        if request.url.path == "/token" and self.answers:
            self.answers -= 1
            self.lost += 1
            raise httpx2.ReadError("the connection was lost", request=request)
        return response
