"""By which ways people are told, and how much (`[notices]`)."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Final
from urllib.parse import urlsplit

from abeyance.outbound.targets import Forbidden, Reach, parse_target
from abeyance.server.settings_file import NoticesTable
from abeyance.server.settings_sources import Sources
from abeyance.server.settings_values import ConfigurationError, is_loopback, read_secret_file
from abeyance.wire.secret import Secret

_PORTS: Final = {"tls": 465, "starttls": 587, "none": 25}
_HOST: Final = re.compile(r"[a-z0-9.-]{1,253}", re.ASCII)
_LEAST_SECRET: Final = 24  # bytes, as Standard Webhooks wants it
_ONE_LINE: Final = re.compile(r"[\x20-\x7e]{3,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    """`sender` as it stands in `From`."""

    sender: str
    host: str
    port: int
    security: str
    username: str | None
    password: Secret | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """`reach` excepts its own target: the operator has named it, so it may be anywhere."""

    url: str
    secret: Secret = field(repr=False)
    reach: Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    smtp: Smtp | None
    webhook: Webhook | None
    details: bool


def read_notices(table: NoticesTable, sources: Sources) -> Notices:
    """Read `[notices]`; without a mail server and a webhook nobody is told anything."""
    return Notices(
        smtp=_read_smtp(table, sources),
        webhook=_read_webhook(table, sources),
        details=table.details,
    )


def _read_smtp(table: NoticesTable, sources: Sources) -> Smtp | None:
    if table.smtp_host is None:
        if table.sender is not None or table.smtp_username is not None:
            raise ConfigurationError(
                "notices.smtp_host", "is missing", "Name the mail server, or leave out the rest."
            )
        return None
    if not _HOST.fullmatch(table.smtp_host):
        raise ConfigurationError("notices.smtp_host", "is no host", "Write its name alone.")
    sender = table.sender or ""
    if not _ONE_LINE.fullmatch(sender) or "@" not in parseaddr(sender)[1]:
        raise ConfigurationError(
            "notices.sender", "is no address", 'Write "Abeyance <no-reply@as.example>".'
        )
    if table.smtp_security == "none" and not is_loopback(table.smtp_host):
        raise ConfigurationError(
            "notices.smtp_security",
            "is none, which is allowed on loopback only",
            'Use "starttls" or "tls".',
        )
    port = table.smtp_port or _PORTS[table.smtp_security]
    if not 1 <= port <= 65535:
        raise ConfigurationError("notices.smtp_port", "is no port", "Use 1 to 65535.")
    password = None
    if table.smtp_password_file is not None:
        key = "notices.smtp_password_file"
        password = Secret(read_secret_file(key, sources.resolve(key, table.smtp_password_file)))
    if (password is None) != (table.smtp_username is None):
        raise ConfigurationError(
            "notices.smtp_username", "and smtp_password_file go together", "Give both, or neither."
        )
    return Smtp(
        sender=sender,
        host=table.smtp_host,
        port=port,
        security=table.smtp_security,
        username=table.smtp_username,
        password=password,
    )


def _read_webhook(table: NoticesTable, sources: Sources) -> Webhook | None:
    if table.webhook_url is None:
        return None
    key = "notices.webhook_url"
    try:
        parts = urlsplit(table.webhook_url)
        target = f"{parts.hostname}:{parts.port or 443}"
        reach = Reach(exceptions=frozenset({target}))
        parse_target(table.webhook_url, reach)
    except (Forbidden, ValueError):
        raise ConfigurationError(
            key, "is not a plain https URL", 'Write it as "https://chat.example/hooks/1".'
        ) from None
    said = "notices.webhook_secret_file"
    if table.webhook_secret_file is None:
        raise ConfigurationError(said, "is missing", "Name the file with the secret (whsec_...).")
    secret = read_secret_file(said, sources.resolve(said, table.webhook_secret_file))
    try:
        decoded = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        decoded = b""
    if not secret.startswith("whsec_") or len(decoded) < _LEAST_SECRET:
        raise ConfigurationError(
            said,
            "holds no secret of Standard Webhooks",
            "Write whsec_ and the base64 of 24 random bytes or more.",
        )
    return Webhook(url=table.webhook_url, secret=Secret(secret), reach=reach)
