"""What contradicts the FAPI 2.0 switch stops the start, and is named (OAUTH-FAPI-22)."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from abeyance.oauth import fapi
from abeyance.server.settings_file import ClientTable, File
from abeyance.server.settings_values import ConfigurationError

SWITCH: Final = 'profile = "fapi2"'
INSTEAD: Final = f"Use {', '.join(sorted(fapi.ALGORITHMS))}."


def check_file(told: File, code: timedelta) -> None:
    """Raise `ConfigurationError` for the first setting that the profile forbids."""
    for wrong, key, fix in (
        (told.first_party_apps, "first_party_apps", "Turn it off."),
        (told.device_authorization, "device_authorization", "Turn it off."),
        (code > fapi.LONGEST_CODE, "lifetimes.code", "Use 60s or less."),
        (
            told.openid.enabled and not fapi.ALGORITHMS.issuperset(told.openid.signing_algorithms),
            "openid.signing_algorithms",
            INSTEAD,
        ),
    ):
        if wrong:
            raise ConfigurationError(key, f"contradicts {SWITCH}", fix)


def check_client(key: str, table: ClientTable) -> None:
    """The same for one client, wherever it is registered."""
    for wrong, member, fix in _wrongs(table):
        if wrong:
            raise ConfigurationError(f"{key}.{member}", f"contradicts {SWITCH}", fix)


def _wrongs(table: ClientTable) -> Iterator[tuple[bool, str, str]]:
    yield (
        table.token_endpoint_auth_method not in fapi.METHODS,
        "token_endpoint_auth_method",
        f"Use one of {', '.join(fapi.METHODS)}.",
    )
    yield table.legacy_assertion_audience, "legacy_assertion_audience", "Leave it out."
    yield table.rotate_refresh_tokens is True, "rotate_refresh_tokens", "Leave it out."
    yield table.pkce_optional, "pkce_optional", "Leave it out."
    yield table.first_party, "first_party", "Leave it out."
    for member, alg in (
        ("token_endpoint_auth_signing_alg", table.token_endpoint_auth_signing_alg),
        ("request_object_signing_alg", table.request_object_signing_alg),
        ("id_token_signed_response_alg", table.id_token_signed_response_alg),
    ):
        yield (
            alg is not None and alg not in fapi.ALGORITHMS,
            member,
            INSTEAD,
        )
