"""`[registration]`: whether clients that nobody knows may register, and what they may have."""

import re
from dataclasses import dataclass
from typing import Final

from abeyance.grants import GRANTS
from abeyance.oauth.registration import Offered
from abeyance.server.admin.scopes import SCOPES
from abeyance.server.settings_file import RegistrationTable
from abeyance.server.settings_parties import Known, check_scope
from abeyance.server.settings_sources import did_you_mean
from abeyance.server.settings_values import Caution, ConfigurationError
from abeyance.wire import names

MOST_CLIENTS: Final = 100_000
_HOST: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationTerms:
    """`open`: no initial access token is needed. `document_hosts`: where client ID metadata
    documents may be; from nowhere else, and from nowhere at all if it is empty.
    """

    enabled: bool
    open: bool
    offered: Offered
    most_clients: int
    document_hosts: frozenset[str]


def read_registration(table: RegistrationTable, known: Known) -> RegistrationTerms:
    """Raises `ConfigurationError`."""
    scope = check_scope("registration.scope", table.scope, known.scopes)
    if reserved := scope & SCOPES.keys():
        raise ConfigurationError(
            "registration.scope",
            f"has {min(reserved)}, which administers this server",
            "Declare clients that administer one by one.",
        )
    default = check_scope("registration.default_scope", table.default_scope, known.scopes)
    if not default <= scope:
        raise ConfigurationError(
            "registration.default_scope", "has more than scope", "Add it to scope as well."
        )
    for name, values, allowed in (
        ("resources", table.resources, tuple(known.resources)),
        ("grant_types", table.grant_types, tuple(GRANTS)),
        ("authorization_details_types", table.authorization_details_types, known.types.names()),
    ):
        for each in values:
            if each not in allowed:
                raise ConfigurationError(
                    f"registration.{name}",
                    f"names {each!r}, which is not known",
                    did_you_mean(each, allowed, f"Known: {', '.join(allowed)}."),
                )
    if not 1 <= table.most_clients <= MOST_CLIENTS:
        raise ConfigurationError(
            "registration.most_clients", "is out of range", f"Use 1 to {MOST_CLIENTS:,}."
        )
    for host in table.document_hosts:
        if not _HOST.fullmatch(host):
            raise ConfigurationError(
                "registration.document_hosts",
                f"{host!r} is no host name in lower case",
                'Write it as "app.example.com".',
            )
    used = table.enabled or bool(table.document_hosts)
    signs_in = known.openid is not None and names.SCOPE_OPENID in scope
    if used and not (table.resources or signs_in):
        raise ConfigurationError(
            "registration.resources",
            "is empty, so no token could be issued",
            "Name the resource servers that tokens of such clients are for.",
        )
    if used and not table.grant_types:
        raise ConfigurationError(
            "registration.grant_types", "is empty", "Leave it out, or name one at least."
        )
    if table.enabled and table.open:
        known.warnings.append(
            Caution(
                "registration.open",
                "anybody may register; without it a client needs an initial access token",
            )
        )
    return RegistrationTerms(
        enabled=table.enabled,
        open=table.open,
        offered=Offered(
            scope=scope,
            default_scope=default,
            resources=frozenset(table.resources),
            grant_types=frozenset(table.grant_types),
            details_types=frozenset(table.authorization_details_types),
        ),
        most_clients=table.most_clients,
        document_hosts=frozenset(table.document_hosts),
    )
