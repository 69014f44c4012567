"""The listener of a program on this machine (RFC 8252 §7.3, §8.3)."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from abeyance.client import (
    Client,
    Loopback,
    Misconfigured,
    NobodyCame,
    PublicClient,
    Token,
    generate_key,
)
from tests.client.fakes import ISSUER, FakeServer, FakeTime, granted
from tests.covers import covers


@contextmanager
def listening(**given: Any) -> Iterator[tuple[Loopback, "Future[str]"]]:
    with Loopback(**given) as loopback, ThreadPoolExecutor(1) as thread:
        yield loopback, thread.submit(loopback.wait, 20)
        loopback.close()


def get(url: str, **more: Any) -> httpx2.Response:
    return httpx2.get(url, trust_env=False, **more)


def test_it_gives_the_url_that_came_and_a_page_without_anything_in_it() -> None:
    with listening() as (loopback, came):
        assert loopback.redirect_uri.startswith("http://127.0.0.1:")
        page = get(f"{loopback.redirect_uri}?code=planted-code&state=x")
        assert came.result(20) == f"{loopback.redirect_uri}?code=planted-code&state=x"
    assert page.status_code == 200
    assert "You can close this window" in page.text
    assert "planted-code" not in page.text
    assert "<script" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"


def test_other_paths_other_methods_and_rubbish_end_nothing() -> None:
    with listening() as (loopback, came):
        base = loopback.redirect_uri.removesuffix("/callback")
        assert get(f"{base}/favicon.ico").status_code == 404
        assert get(f"{base}/callback/more?code=x").status_code == 404
        assert httpx2.post(loopback.redirect_uri, trust_env=False).status_code == 404
        port = urlsplit(base).port or 0
        for rubbish in (b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"A" * 20_000, b""):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(rubbish)
        assert not came.done()
        get(f"{loopback.redirect_uri}?code=right")
        assert came.result(20).endswith("?code=right")


def test_nobody_is_waited_for_longer_than_told() -> None:
    ticks = iter([0.0, 5.0, 11.0])
    with Loopback(tick=lambda: next(ticks)) as loopback, pytest.raises(NobodyCame):
        loopback.wait(10)


class Dripping(socket.socket):
    """A connection on which one byte comes at a time."""

    def recv(self, _size: int, _flags: int = 0) -> bytes:
        return super().recv(1)


def test_who_drips_is_not_listened_to_for_long() -> None:
    ticks = itertools.count()  # one second for each look at the clock
    ours, theirs = socket.socketpair()
    with (
        Dripping(fileno=ours.detach()) as connection,
        theirs,
        Loopback(tick=lambda: float(next(ticks))) as loopback,
    ):
        theirs.sendall(b"GET /callback?code=x HTTP/1.1\r\n")
        with pytest.raises(TimeoutError):
            loopback._read_head(connection, until=1000.0)
        assert 0 < next(ticks) < 10


def test_a_path_that_is_none_is_refused() -> None:
    for path in ("callback", "/a b", "/a?b", "/a\r\nb", "/ü"):
        with pytest.raises(Misconfigured):
            Loopback(path=path)


def visitor(changes: dict[str, str] | None = None) -> Callable[[str], None]:
    """A browser in which the person agrees at once."""

    def open_browser(url: str) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        told = {"code": "c0de", "state": asked["state"], "iss": ISSUER} | (changes or {})
        threading.Thread(target=lambda: get(asked["redirect_uri"], params=told)).start()

    return open_browser


@covers("DTR-SEC-01")
def test_a_program_gets_its_token_through_a_browser() -> None:
    server = FakeServer(FakeTime())
    server.metadata |= {"authorization_endpoint": f"{ISSUER}/authorize"}
    server.says(granted("DPoP"))
    http = httpx2.Client(transport=httpx2.MockTransport(server))
    client = Client(ISSUER, "tool", PublicClient(), dpop_key=generate_key(), http=http)
    strangers: list[int] = []
    come = visitor()

    def open_browser(url: str) -> None:
        # Other programs of this machine call first, and end nothing.
        where = parse_qs(urlsplit(url).query)["redirect_uri"][0]

        def call() -> None:
            foreign = ("?code=evil&state=x", "?error=access_denied")
            strangers.extend(get(where + told).status_code for told in foreign)
            come(url)

        threading.Thread(target=call).start()

    token = client.authorize_in_browser(
        scope="read", open_browser=open_browser, timeout=timedelta(seconds=20)
    )
    assert strangers == [404, 404]
    [sent] = server.token_requests
    assert sent["redirect_uri"].startswith("http://127.0.0.1:")
    assert sent["code"] == "c0de"
    assert isinstance(token, Token)
    assert token.token_type == "DPoP"
