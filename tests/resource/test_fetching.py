"""The keys of an issuer, fetched by a resource server's own HTTP client."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from abeyance.proofs import KeySet, render_jwks, sign_access_token
from abeyance.resource import fetching
from abeyance.volatile.fetched_keys import MAX_SET, KeysAway
from tests.covers import covers
from tests.proofs.forge import ES256

TOKEN = sign_access_token({"iss": "https://as.example"}, ES256)
DOCUMENT = json.dumps(render_jwks(KeySet((ES256.public,)))).encode()


class Publisher:
    """Answers every request with these bytes, `again` and again, or `stays` and says no more."""

    def __init__(self, answer: bytes, *, again: bool = False, stays: bool = False) -> None:
        self.answer = answer
        self.again = again
        self.stays = stays
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
            while self.again:
                writer.write(self.answer)
                await writer.drain()
                await asyncio.sleep(0)
            if self.stays:
                await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def publishing(publisher: Publisher) -> AsyncIterator[str]:
    server = await asyncio.start_server(publisher, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
    finally:
        server.close()


def page(body: bytes, *more: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *more]
    return "\r\n".join([*head, "", ""]).encode() + body


async def fetch(publisher: Publisher) -> KeySet:
    async with publishing(publisher) as uri, httpx2.AsyncClient(trust_env=False) as http:
        return await fetching.keys_of(uri, http).for_token(TOKEN)


@covers("OAUTH-CAUTH-26")
async def test_what_an_issuer_publishes_is_what_its_tokens_are_judged_by() -> None:
    publisher = Publisher(page(DOCUMENT))
    assert (await fetch(publisher)).candidates("ES256", ES256.public.kid)
    assert b"accept-encoding: identity\r\n" in publisher.requests[0].lower()


@covers("OAUTH-CAUTH-26", "SEC-SSRF-61", "SEC-SSRF-62")
@pytest.mark.parametrize(
    "answer",
    [
        page(DOCUMENT, status="404 Not Found"),
        page(DOCUMENT, "Location: http://127.0.0.1:1/", status="302 Found"),
        page(DOCUMENT + b" " * MAX_SET),
        page(gzip.compress(DOCUMENT), "Content-Encoding: gzip"),
        page(gzip.compress(bytes(100_000_000)), "Content-Encoding: gzip"),
        b"<html>",
        b"",
    ],
    ids=["missing", "elsewhere", "long", "packed", "bomb", "html", "nothing"],
)
async def test_what_is_no_plain_set_is_none(answer: bytes) -> None:
    publisher = Publisher(answer)
    with pytest.raises(KeysAway):
        await fetch(publisher)
    assert len(publisher.requests) == 1


@covers("SEC-SSRF-63", "SEC-SSRF-64")
async def test_who_goes_on_for_ever_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_SECONDS", 0.2)
    async with asyncio.timeout(30):
        with pytest.raises(KeysAway):
            await fetch(Publisher(b"HTTP/1.1 100 Continue\r\n\r\n", again=True))
        with pytest.raises(KeysAway):
            await fetch(Publisher(page(DOCUMENT)[:-1], stays=True))
