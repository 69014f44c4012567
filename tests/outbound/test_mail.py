"""Mail as it goes over the wire, to a server on loopback."""

import asyncio
import email
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import policy

import pytest

from abeyance.outbound.caller import tls_context
from abeyance.outbound.mail import AT_ONCE, Mail, MailRefused, SmtpMailer
from abeyance.wire.secret import Secret
from tests.covers import covers
from tests.outbound.receiver import Authority

MAIL = Mail(
    to="rita@example.org",
    subject="Something waits for your decision",
    text="A client waits.\n\nhttps://as.example/console/requests/1\n",
    id="0123456789abcdef",
    about="fedcba9876543210",
    at=datetime(2026, 11, 26, 12, tzinfo=UTC),
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@dataclass(slots=True)
class Server:
    """What a mail server heard. `refuses`: its answer to `RCPT`."""

    port: int = 0
    refuses: bytes | None = None
    lines: list[str] = field(default_factory=list)
    data: str = ""


@asynccontextmanager
async def serving(
    refuses: bytes | None = None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    heard = Server(refuses=refuses)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        while line := await reader.readline():
            said = line.decode().strip()
            heard.lines.append(said)
            match said.split()[0].upper():
                case "EHLO":
                    writer.write(b"250-mail.example\r\n250 AUTH PLAIN\r\n")
                case "AUTH":
                    writer.write(b"235 ok\r\n")
                case "RCPT" if heard.refuses is not None:
                    writer.write(heard.refuses)
                case "DATA":
                    writer.write(b"354 go on\r\n")
                    heard.data = (await reader.readuntil(b"\r\n.\r\n")).decode()
                    writer.write(b"250 taken\r\n")
                case "QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                case _:
                    writer.write(b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    heard.port = server.sockets[0].getsockname()[1]
    try:
        yield heard
    finally:
        server.close()


def mailer(port: int, **changes: object) -> SmtpMailer:
    plain = SmtpMailer(
        sender="Abeyance <no-reply@as.example>",
        host="127.0.0.1",
        port=port,
        security="none",
        domain="as.example",
        tls=tls_context(None),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@covers("SEC-DOS-10")
async def test_a_mail_says_who_writes_to_whom_and_belongs_to_its_thread() -> None:
    async with serving() as server:
        await mailer(server.port).send(MAIL)
    told = email.message_from_string(server.data, policy=policy.default)
    assert (told["From"], told["To"]) == ("Abeyance <no-reply@as.example>", "rita@example.org")
    assert told["Message-ID"] == "<0123456789abcdef@as.example>"
    assert told["In-Reply-To"] == told["References"] == "<fedcba9876543210@as.example>"
    assert told["Auto-Submitted"] == "auto-generated", "no holiday answers"
    assert told.get_content_type() == "text/plain"
    assert "https://as.example/console/requests/1" in told.get_content()


@covers("SEC-DOS-10", "SEC-TOK-21")
async def test_no_line_end_of_anybody_becomes_a_header() -> None:
    async with serving() as server:
        for bad in (replace(MAIL, subject="a\r\nBcc: x@y.z"), replace(MAIL, to="a@b\nBcc: c")):
            with pytest.raises(MailRefused) as refused:
                await mailer(server.port).send(bad)
            assert refused.value.final
    assert server.data == ""


@covers("SEC-DOS-10", "EXT-NOTIFY-03")
@pytest.mark.parametrize(
    ("answer", "final"), [(b"550 nobody\r\n", True), (b"451 later\r\n", False)]
)
async def test_a_refusal_is_final_only_where_the_server_says_so(answer: bytes, final: bool) -> None:
    async with serving(answer) as server:
        with pytest.raises(MailRefused) as refused:
            await mailer(server.port).send(MAIL)
    assert refused.value.final is final
    assert "rita" not in str(refused.value)


@covers("SEC-DOS-10")
async def test_a_server_that_is_not_there_is_asked_another_time() -> None:
    async with serving() as server:
        port = server.port
    with pytest.raises(MailRefused) as refused:
        await mailer(port).send(MAIL)
    assert not refused.value.final


@covers("SEC-OPS-05", "OAUTH-SSRF-06")
async def test_a_password_goes_to_a_server_with_a_good_certificate_alone(
    authority: Authority,
) -> None:
    login = {"username": "abeyance", "password": Secret("hunter2-hunter2"), "security": "tls"}
    async with serving(tls=authority.context("127.0.0.1")) as server:
        with pytest.raises(MailRefused):
            await mailer(server.port, **login, tls=tls_context(authority.file)).send(MAIL)
        with pytest.raises(MailRefused):
            await mailer(server.port, **login).send(MAIL)
    assert server.lines == []
    async with serving(tls=authority.context("localhost")) as server:
        good = mailer(server.port, **login, host="localhost", tls=tls_context(authority.file))
        await good.send(MAIL)
    assert any(line.startswith("AUTH PLAIN") for line in server.lines)
    assert "hunter2" not in repr(good)


@covers("SEC-OPS-05")
async def test_without_encryption_where_it_is_wanted_nothing_is_sent() -> None:
    async with serving() as server:
        with pytest.raises(MailRefused):
            await mailer(server.port, security="starttls").send(MAIL)
    assert server.data == ""
    assert not any(line.startswith("AUTH") for line in server.lines)


@covers("SEC-SSRF-63")
async def test_a_server_that_hangs_takes_no_threads_of_others() -> None:
    connected, over = 0, asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected
        connected += 1
        await over.wait()
        writer.close()
        del reader

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    sender = mailer(server.sockets[0].getsockname()[1])
    sends = [asyncio.create_task(sender.send(MAIL)) for _ in range(50)]
    async with asyncio.timeout(30):
        while connected < AT_ONCE:  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.001)
    assert await asyncio.to_thread(lambda: "free") == "free"
    assert not any(each.done() for each in sends), "it was free while all of them hung"
    assert connected == AT_ONCE
    over.set()
    refused = await asyncio.gather(*sends, return_exceptions=True)
    assert {type(each) for each in refused} == {MailRefused}
    server.close()
