"""The redirect URI of a program on this machine: a listener on loopback (RFC 8252 §7.3).

It hears GET of one path on 127.0.0.1, answers once with a page that says that the
window may be closed, and is gone. Everything else is 404. What came is neither
printed nor logged; that it belongs to our request is for `read_return` to judge.
"""

import contextlib
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from abeyance.client.errors import Misconfigured, NobodyCame

_MAX_HEAD: Final = 16_384
_PATIENCE: Final = 5.0  # seconds for one connection to say what it wants
_SLICE: Final = 0.5
_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8">\
<meta name="viewport" content="width=device-width"><title>You can close this window</title>\
<h1>You can close this window</h1><p>The program that opened it goes on by itself.</p></html>
"""
_HEAD: Final = (
    "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
    "Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
    "Connection: close\r\n\r\n"
)


class Loopback:
    """Listens from when it is made. `port` 0: any. Raises `Misconfigured`, `OSError`."""

    def __init__(
        self, *, port: int = 0, path: str = "/callback", tick: Callable[[], float] = time.monotonic
    ) -> None:
        if not path.startswith("/") or not path.isascii() or set(path) & set("?# \r\n"):
            raise Misconfigured("The path of a loopback redirect URI is a plain path")
        self._path: Final = path
        self._tick: Final = tick
        self._socket: Final = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.bind(("127.0.0.1", port))
            self._socket.listen(8)
        except OSError:
            self._socket.close()
            raise
        self._closed = False

    @property
    def redirect_uri(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}{self._path}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; a `wait` in another thread ends with `NobodyCame`."""
        self._closed = True
        self._socket.close()

    def wait(self, timeout: float, accept: Callable[[str], bool] = lambda _url: True) -> str:
        """The URL with which the browser came. Raises `NobodyCame` after `timeout` seconds.

        What `accept` does not take is answered 404 and not waited for any less: every
        program of this machine can call here.
        """
        until = self._tick() + timeout
        while not self._closed and (left := until - self._tick()) > 0:
            self._socket.settimeout(min(left, _SLICE))
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                break  # closed meanwhile
            with connection:
                url = self._serve(connection, accept, until)
            if url is not None:
                return url
        raise NobodyCame

    def _serve(
        self, connection: socket.socket, accept: Callable[[str], bool], until: float
    ) -> str | None:
        """Answer one connection; its URL if it is the one that is waited for."""
        url = None
        with contextlib.suppress(OSError):  # who came need not stay for the page
            url = self._ours(self._read_head(connection, until), accept)
            connection.settimeout(_PATIENCE)
            status, page = ("404 Not Found", "") if url is None else ("200 OK", _PAGE)
            head = _HEAD.format(status=status, length=len(page.encode()))
            connection.sendall(f"{head}{page}".encode())
        return url

    def _ours(self, head: bytes, accept: Callable[[str], bool]) -> str | None:
        target = _target(head)
        if target is None or target.partition("?")[0] != self._path:
            return None
        url = f"{self.redirect_uri.removesuffix(self._path)}{target}"
        return url if accept(url) else None

    def _read_head(self, connection: socket.socket, until: float) -> bytes:
        """Raises `TimeoutError` for who drips: others wait meanwhile, the browser too."""
        until = min(until, self._tick() + _PATIENCE)
        head = b""
        while b"\r\n\r\n" not in head and len(head) < _MAX_HEAD:
            if (left := until - self._tick()) <= 0:
                raise TimeoutError
            connection.settimeout(left)
            piece = connection.recv(4096)
            if not piece:
                break
            head += piece
        return head


def _target(head: bytes) -> str | None:
    try:
        line = head.partition(b"\r\n")[0].decode("ascii")
    except UnicodeDecodeError:
        return None
    parts = line.split(" ")
    fits = len(parts) == 3 and parts[0] == "GET" and parts[1].startswith("/")
    return parts[1] if fits else None
