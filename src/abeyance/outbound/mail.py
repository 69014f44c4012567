"""Mail by SMTP, through the operator's own server; the library does it in threads of our own."""

import asyncio
import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final, Protocol

from abeyance.outbound.threads import Threads
from abeyance.wire.secret import Secret

SECONDS: Final = 10.0
AT_ONCE: Final = 8  # connections to the mail server


class MailRefused(Exception):
    """The server takes no mail of ours, or not now. `final`: it never will take this one."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One message. `id` is the left part of its Message-ID; `about` that of an earlier one."""

    to: str
    subject: str
    text: str
    id: str
    about: str | None
    at: datetime


class Mailer(Protocol):
    async def send(self, mail: Mail) -> None:
        """Hand it to the mail server. Raises `MailRefused`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpMailer:
    """`security`: `tls` from the first byte, `starttls`, or `none` (on loopback only)."""

    sender: str
    host: str
    port: int
    security: str
    domain: str  # the right part of a Message-ID
    username: str | None = None
    password: Secret | None = field(default=None, repr=False)
    tls: ssl.SSLContext = field(repr=False)
    threads: Threads = field(
        default_factory=lambda: Threads("abeyance-mail", AT_ONCE), repr=False, compare=False
    )

    async def send(self, mail: Mail) -> None:
        try:
            async with asyncio.timeout(3 * SECONDS):
                message = self.render(mail)
                await self.threads.run(lambda: self._send(message))
        except TimeoutError:
            raise MailRefused("no answer in time") from None
        except smtplib.SMTPRecipientsRefused as refused:
            codes = [code for code, _ in refused.recipients.values()]
            raise MailRefused(f"refused {codes}", final=all(c >= 500 for c in codes)) from None
        except ValueError:
            # A line end in a name or an address: whoever put it there wanted more headers.
            raise MailRefused("no such header", final=True) from None
        except (smtplib.SMTPException, OSError) as fault:
            raise MailRefused(type(fault).__name__) from None

    def render(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(mail.at)
        message["Message-ID"] = f"<{mail.id}@{self.domain}>"
        if mail.about is not None:
            message["In-Reply-To"] = message["References"] = f"<{mail.about}@{self.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message

    def _send(self, message: EmailMessage) -> None:
        if self.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=SECONDS, context=self.tls
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=SECONDS)
        with server:
            if self.security == "starttls":
                server.starttls(context=self.tls)
            if self.username is not None and self.password is not None:
                server.login(self.username, self.password.reveal())
            server.send_message(message)
