"""`[openid]`, and what a client says of OpenID Connect (OAUTH-OIDC-03, -07; OAUTH-PKCE-01)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from abeyance.keys.making import ALGORITHMS
from abeyance.oauth.openid import IDENTITY_SCOPES, USUAL_ALG, OpenId
from abeyance.server.settings_file import ClientTable, File
from abeyance.server.settings_sources import did_you_mean
from abeyance.server.settings_values import Caution, ConfigurationError
from abeyance.wire import names

MAX_ACR: Final = 200
LONGEST_MAX_AGE: Final = 366 * 24 * 3600  # seconds


def read_openid(told: File, warnings: list[Caution]) -> OpenId | None:
    """What is switched on, or `None`. Raises `ConfigurationError`."""
    table, known = told.openid, ALGORITHMS
    for alg in table.signing_algorithms:
        if alg not in known:
            raise ConfigurationError(
                "openid.signing_algorithms",
                f"names {alg!r}, with which no ID token is signed",
                did_you_mean(alg, known, f"Choose of {', '.join(known)}."),
            )
    if not table.signing_algorithms:
        raise ConfigurationError(
            "openid.signing_algorithms", "is empty", "Leave it out, or name RS256 at least."
        )
    if table.acr is not None and not (
        0 < len(table.acr) <= MAX_ACR and table.acr.isascii() and " " not in table.acr
    ):
        raise ConfigurationError(
            "openid.acr", "is not a name without spaces", 'Write it as "urn:example:password".'
        )
    if not table.enabled:
        return None
    if USUAL_ALG not in table.signing_algorithms:
        warnings.append(
            Caution(
                "openid.signing_algorithms",
                f"lacks {USUAL_ALG}, which every client of OpenID Connect may count on",
            )
        )
    return OpenId(algorithms=tuple(dict.fromkeys(table.signing_algorithms)), acr=table.acr)


def identity_scopes(told: File) -> Mapping[str, str]:
    """The scopes of OpenID Connect and their meanings, where it is switched on."""
    return IDENTITY_SCOPES if told.openid.enabled else {}


def read_client_openid(
    key: str, table: ClientTable, openid: OpenId | None, warnings: list[Caution]
) -> dict[str, Any]:
    """The fields of `Client` that belong to OpenID Connect. Raises `ConfigurationError`."""
    alg, max_age = table.id_token_signed_response_alg, table.default_max_age
    offered = () if openid is None else openid.algorithms
    if alg is not None and alg not in offered:
        raise ConfigurationError(
            f"{key}.id_token_signed_response_alg",
            f"names {alg!r}, for which this server keeps no key",
            "Add it to signing_algorithms in [openid], with enabled = true; a key is made then.",
        )
    if max_age is not None and not 0 <= max_age <= LONGEST_MAX_AGE:
        raise ConfigurationError(
            f"{key}.default_max_age", "is not a number of seconds", "Use 0 to 31622400."
        )
    if table.pkce_optional:
        if openid is None or names.SCOPE_OPENID not in table.scope:
            raise ConfigurationError(
                f"{key}.pkce_optional",
                "has no use without the scope openid, whose nonce takes its place",
                "Leave it out, or turn [openid] on and add openid to scope.",
            )
        if table.token_endpoint_auth_method == names.NONE:
            raise ConfigurationError(
                f"{key}.pkce_optional",
                "is not for clients without credentials",
                "Leave it out: nothing else protects the code of such a client.",
            )
        warnings.append(
            Caution(
                f"{key}.pkce_optional",
                "codes of this client may come without PKCE; turn it off when its library can",
            )
        )
    return {
        "id_token_alg": alg,
        "default_max_age": None if max_age is None else timedelta(seconds=max_age),
        "pkce_optional": table.pkce_optional,
    }
