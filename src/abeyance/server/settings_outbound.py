"""How far this server goes when somebody else names the address (OAUTH-SSRF-01, -06)."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from abeyance.outbound.targets import Forbidden, Reach, parse_target
from abeyance.server.settings_file import OutboundTable
from abeyance.server.settings_sources import Sources
from abeyance.server.settings_values import ConfigurationError

NOT_CALLED: Final = "is no address that this server calls"
_TARGET: Final = re.compile(r"[a-z0-9.-]{1,253}:[1-9][0-9]{0,4}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """`ca_file`: authorities that are trusted besides those of the operating system."""

    reach: Reach
    ca_file: Path | None


def read_outbound(
    table: OutboundTable, sources: Sources, issuer: str, *, loopback: bool
) -> Outbound:
    """`loopback`: issuer and listener are of this machine alone, so exceptions hurt nobody."""
    for port in table.ports:
        if not 1024 <= port <= 65535:
            raise ConfigurationError(
                "outbound.ports", f"{port} is out of range", "Use 1024 to 65535; 443 is there."
            )
    for target in table.development_targets:
        if not _TARGET.fullmatch(target):
            raise ConfigurationError(
                "outbound.development_targets",
                f"{target!r} is no host with a port",
                'Write it as "127.0.0.1:9443"; https is meant.',
            )
    if table.development_targets and not loopback:
        raise ConfigurationError(
            "outbound.development_targets",
            "is for servers on loopback only",
            "Leave it out; targets elsewhere need public names.",
        )
    ca_file = None
    if table.ca_file is not None:
        ca_file = sources.resolve("outbound.ca_file", table.ca_file)
        if not ca_file.is_file():
            raise ConfigurationError(
                "outbound.ca_file", f"{ca_file} cannot be read", "Name a file of PEM certificates."
            )
    return Outbound(
        reach=Reach(
            ports=frozenset(table.ports),
            own=frozenset({urlsplit(issuer).hostname or ""}),
            exceptions=frozenset(table.development_targets),
        ),
        ca_file=ca_file,
    )


def check_target(key: str, url: str | None, reach: Reach) -> str | None:
    """An address that this server is to call, as far as its spelling says (DTR-CB-06)."""
    if url is not None:
        try:
            parse_target(url, reach)
        except Forbidden as why:
            raise ConfigurationError(
                key, f"{NOT_CALLED} ({why})", "Name an https URL with a public host name."
            ) from None
    return url
