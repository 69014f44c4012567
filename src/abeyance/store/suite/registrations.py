"""Clients that registered by themselves, and the tokens that let them."""
# ruff: noqa: S101

import asyncio
import os
from dataclasses import replace
from datetime import timedelta

from abeyance.parties.client import Client, ClientId
from abeyance.parties.registration import InitialToken, Registration
from abeyance.store.ports import Registered
from abeyance.store.suite.ground import HOUR, NOW, SHOP, Suite, covers

_TOKEN = InitialToken(digest=os.urandom(32), note="for tests", left=2, expires_at=NOW + HOUR)


def _client(name: str = str(SHOP)) -> Client:
    return Client(
        id=ClientId(name), name="The shop", auth_method="none", declared=False,
        jwks_uri="https://shop.example/jwks",
    )  # fmt: skip


def _registration(client: Client) -> Registration:
    return Registration(
        client=client.id, token=os.urandom(32), registered_at=NOW, metadata={"client_name": "a"}
    )


class RegistrationSuite(Suite):
    """What clients do about themselves."""

    @covers("OAUTH-DCR-09")
    async def test_a_registration_stands_with_its_client_until_it_is_dropped(self) -> None:
        client = _client()
        registration = _registration(client)
        async with self.open_store() as store:
            done = await store.register(client, registration, initial=None, most=9, now=NOW)
            assert done is Registered.DONE
            assert await store.find_client(client.id) == client
            assert await store.find_registration(client.id) == registration
            again = await store.register(client, registration, initial=None, most=9, now=NOW)
            assert again is Registered.TAKEN
            after = replace(client, name="Another")
            stale = replace(client, name="Never stored")
            assert not await store.replace_registration(stale, after, {"client_name": "b"})
            assert await store.find_registration(client.id) == registration
            assert await store.replace_registration(client, after, {"client_name": "b"})
            assert await store.find_client(client.id) == after
            found = await store.find_registration(client.id)
            assert found == replace(registration, metadata={"client_name": "b"})
            assert await store.drop_registration(client.id)
            assert not await store.drop_registration(client.id)
            assert await store.find_registration(client.id) is None
            assert not await store.replace_registration(after, client, {})
            assert await store.find_client(client.id) == after

    @covers("OAUTH-DCR-01")
    async def test_an_initial_token_lets_in_as_many_as_it_says_however_they_race(self) -> None:
        async with self.open_store() as store:
            await store.put_initial_token(_TOKEN)
            clients = [_client(f"c{number}") for number in range(6)]
            results = await asyncio.gather(
                *(
                    store.register(
                        each, _registration(each), initial=_TOKEN.digest, most=9, now=NOW
                    )
                    for each in clients
                )
            )
            assert results.count(Registered.DONE) == 2
            assert results.count(Registered.NO_TOKEN) == 4
            assert len(await store.list_clients()) == 2
            [left] = await store.list_initial_tokens(now=NOW)
            assert left == replace(_TOKEN, left=0)
            assert not await store.list_initial_tokens(now=NOW + HOUR)
            assert await store.drop_initial_token(_TOKEN.digest)
            assert not await store.drop_initial_token(_TOKEN.digest)

    @covers("OAUTH-DCR-01")
    async def test_a_full_house_and_an_expired_token_write_nothing(self) -> None:
        client = _client()
        async with self.open_store() as store:
            await store.put_initial_token(_TOKEN)
            for initial, most, now, why in (
                (_TOKEN.digest, 0, NOW, Registered.FULL),
                (_TOKEN.digest, 9, NOW + HOUR + timedelta(seconds=1), Registered.NO_TOKEN),
                (os.urandom(32), 9, NOW, Registered.NO_TOKEN),
            ):
                said = await store.register(
                    client, _registration(client), initial=initial, most=most, now=now
                )
                assert said is why
            assert await store.find_client(client.id) is None
            assert await store.find_registration(client.id) is None
            assert [each.left for each in await store.list_initial_tokens(now=NOW)] == [2]
