"""What a client with people behind it declares: where browsers go, and what lives on."""

import re
from collections.abc import Sequence
from typing import TypedDict

from abeyance.oauth.redirect_uris import MAX_REGISTERED, BadRedirectUri, check_redirect_uri
from abeyance.server.settings_file import ClientTable
from abeyance.server.settings_sources import did_you_mean
from abeyance.server.settings_values import ConfigurationError
from abeyance.wire import names

_ORIGIN = re.compile(
    r"https://[a-z0-9.-]+(:[0-9]{1,5})?|http://(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]{1,5})?",
    re.ASCII,
)


class Redirects(TypedDict):
    """Members of `Client`."""

    redirect_uris: tuple[str, ...]
    native: bool
    allowed_origins: frozenset[str]
    rotate_refresh_tokens: bool
    introspects: frozenset[str]
    interaction_redirect_uris: tuple[str, ...]


def read_redirects(key: str, table: ClientTable, resources: Sequence[str]) -> Redirects:
    """Read and check what belongs to the code and refresh grants (OAUTH-RURI, OAUTH-CLI-04)."""
    _check_grants(key, table)
    native = table.application_type == "native"
    _check_uris(f"{key}.redirect_uris", table.redirect_uris, native=native)
    _check_uris(f"{key}.interaction_redirect_uris", table.interaction_redirect_uris, native=native)
    for origin in table.allowed_origins:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigurationError(
                f"{key}.allowed_origins", f"{origin!r} is no origin", "Write https://app.example."
            )
    for resource in table.introspects:
        if resource not in resources:
            raise ConfigurationError(
                f"{key}.introspects",
                f"names {resource!r}, which is not known",
                did_you_mean(resource, resources, "Declare it in [resources]."),
            )
    public = table.token_endpoint_auth_method == names.NONE
    rotate = table.rotate_refresh_tokens
    return {
        "redirect_uris": tuple(table.redirect_uris),
        "native": native,
        "allowed_origins": frozenset(table.allowed_origins),
        "rotate_refresh_tokens": public if rotate is None else rotate,
        "introspects": frozenset(table.introspects),
        "interaction_redirect_uris": tuple(table.interaction_redirect_uris),
    }


def _check_uris(key: str, uris: Sequence[str], *, native: bool) -> None:
    if len(uris) > MAX_REGISTERED:
        raise ConfigurationError(key, f"has more than {MAX_REGISTERED}", "Leave some out.")
    for uri in uris:
        try:
            check_redirect_uri(uri, native=native)
        except BadRedirectUri as bad:
            raise ConfigurationError(
                key, f"{uri!r} {bad}", "Write the whole URI, such as https://app.example/callback."
            ) from None


def _check_grants(key: str, table: ClientTable) -> None:
    grants = table.grant_types
    public = table.token_endpoint_auth_method == names.NONE
    with_code = names.GRANT_AUTHORIZATION_CODE in grants
    for wrong, name, problem, fix in (
        (
            with_code and not table.redirect_uris,
            "redirect_uris",
            "is empty, and the code has nowhere to go",
            "Name where browsers come back to.",
        ),
        (
            bool(table.redirect_uris) and not with_code,
            "redirect_uris",
            "has no use without the grant authorization_code",
            "Add it to grant_types, or leave the URIs out.",
        ),
        (
            names.GRANT_REFRESH_TOKEN in grants
            and not with_code
            and names.GRANT_DEVICE_CODE not in grants,
            "grant_types",
            "has refresh_token, and no grant that yields one",
            "Add authorization_code.",
        ),
        (
            public and names.GRANT_CLIENT_CREDENTIALS in grants,
            "grant_types",
            "has client_credentials, and a public client has none",
            'Write grant_types = ["authorization_code"].',
        ),
        (
            public and bool(table.introspects),
            "introspects",
            "is of a public client, which may not ask about tokens",
            "Give the resource server credentials.",
        ),
    ):
        if wrong:
            raise ConfigurationError(f"{key}.{name}", problem, fix)
