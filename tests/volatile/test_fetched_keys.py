"""Whoever goes while keys are fetched takes nothing from the others (OAUTH-CAUTH-26)."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from abeyance.proofs import KeySet, render_jwks, sign_access_token
from abeyance.volatile.fetched_keys import COOL_DOWN, FetchedKeys, KeysAway
from tests.covers import covers
from tests.proofs.forge import ES256

URI = "https://idp.example/keys"
TOKEN = sign_access_token({"iss": "https://idp.example"}, ES256)


@dataclass
class Slow:
    """A publisher that answers when the gate is open."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    at: float = 1_000.0

    async def fetch(self, uri: str) -> bytes:
        assert uri == URI
        self.asked += 1
        self.begun.set()
        await self.gate.wait()
        return json.dumps(render_jwks(KeySet((ES256.public,)))).encode()

    def keys(self) -> FetchedKeys:
        return FetchedKeys(URI, self.fetch, tick=lambda: self.at)


@covers("OAUTH-CAUTH-26", "OAUTH-SSRF-05")
async def test_who_goes_uses_up_no_fetch_of_the_others() -> None:
    slow = Slow()
    keys = slow.keys()
    for _ in range(5):
        gone = asyncio.create_task(keys.for_token(TOKEN))
        await slow.begun.wait()
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
    waits = asyncio.create_task(keys.for_token(TOKEN))
    await asyncio.sleep(0)
    slow.gate.set()
    assert (await waits).candidates("ES256", None)
    assert slow.asked == 1, "one fetch, whoever comes and goes"
    assert await keys.for_token(TOKEN) is await waits


@covers("OAUTH-CAUTH-26")
async def test_one_that_failed_for_all_who_waited_is_not_begun_anew_by_each() -> None:
    slow = Slow()
    keys = slow.keys()

    async def fails(uri: str) -> bytes:
        await slow.fetch(uri)
        raise KeysAway

    keys = FetchedKeys(URI, fails, tick=lambda: slow.at)
    waiting = [asyncio.create_task(keys.for_token(TOKEN)) for _ in range(5)]
    await slow.begun.wait()
    slow.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in answers] == [KeysAway] * 5
    assert slow.asked == 1
    slow.at += COOL_DOWN
    with pytest.raises(KeysAway):
        await keys.for_token(TOKEN)
    assert slow.asked == 2


@covers("OAUTH-CAUTH-26")
def test_what_ends_with_its_loop_is_begun_anew_in_the_next() -> None:
    slow = Slow()
    keys = slow.keys()

    async def again() -> None:
        slow.gate = asyncio.Event()
        slow.gate.set()
        assert (await keys.for_token(TOKEN)).candidates("ES256", None)

    asyncio.run(_begin(keys, slow))
    asyncio.run(again())


async def _begin(keys: FetchedKeys, slow: Slow) -> None:
    waits = asyncio.create_task(keys.for_token(TOKEN))
    async with asyncio.timeout(10):
        await slow.begun.wait()
    waits.cancel()
