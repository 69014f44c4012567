"""`abeyance healthcheck` against a listener that answers, refuses, or is somebody else's."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from abeyance.cli import main
from abeyance.server.launch import address_of, reserve
from abeyance.server.settings import Listen
from tests.covers import covers


@contextmanager
def _saying(*answers: bytes) -> Iterator[str]:
    """One answer to each connection, whatever is asked."""
    with reserve(Listen("127.0.0.1", 0)) as listener:

        def work() -> None:
            for answer in answers:
                peer, _ = listener.accept()
                with peer:
                    peer.recv(65_536)
                    peer.sendall(answer)

        thread = threading.Thread(target=work)
        thread.start()
        yield address_of(listener)
        thread.join()


def _http(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


@covers("SEC-OPS-14", "SEC-OPS-16")
@pytest.mark.parametrize(
    ("answer", "exit_code", "said"),
    [
        (_http(b"200 OK", b'{"status":"ok","checks":{"store":"ok"}}'), 0, "ok\n"),
        (_http(b"503 Service Unavailable", b'{"status":"stopping","checks":{}}'), 1, "stopping\n"),
        (_http(b"404 Not Found", b"<h1>Apache</h1>"), 1, "not Abeyance\n"),
        (_http(b"503 Service Unavailable", b'{"status":"\\u001b[2J"}'), 1, "not Abeyance\n"),
    ],
)
def test_the_exit_code_says_whether_it_is_ready(
    answer: bytes, exit_code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with _saying(answer) as address:
        assert main(["healthcheck", "--listen", address]) == exit_code
    assert capsys.readouterr() == (said, "")


@covers("SEC-OPS-16")
def test_nobody_there_is_a_no_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        assert main(["healthcheck", "--listen", address_of(taken)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    with _saying(b"") as address:  # hangs up
        assert main(["healthcheck", "--listen", address]) == 1


@covers("SEC-OPS-16")
def test_a_listener_that_is_off_cannot_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["healthcheck", "--listen", "off"]) == 2
    assert "management.listen" in capsys.readouterr().err
