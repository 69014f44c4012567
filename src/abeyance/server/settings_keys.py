"""A client's public keys, from the file or inline (OAUTH-CAUTH-16)."""

import json

from abeyance.oauth.client_authentication import ASSERTION_ALGORITHMS
from abeyance.proofs.jwk import KeySet, parse_jwks
from abeyance.server.settings_file import ClientTable
from abeyance.server.settings_sources import Sources, did_you_mean
from abeyance.server.settings_values import ConfigurationError, read_file



def parse_client_keys(key: str, table: ClientTable, sources: Sources) -> KeySet | None:
    """Read `jwks` or `jwks_file` and check `token_endpoint_auth_signing_alg`."""
    alg = table.token_endpoint_auth_signing_alg
    if alg is not None and alg not in ASSERTION_ALGORITHMS:
        known = sorted(ASSERTION_ALGORITHMS)
        raise ConfigurationError(
            f"{key}.token_endpoint_auth_signing_alg",
            "is not an algorithm that assertions may use",
            did_you_mean(alg, known, f"Choose one of {', '.join(known)}."),
        )
    if table.jwks is not None and table.jwks_file is not None:
        raise ConfigurationError(f"{key}.jwks", "is given twice", "Leave out jwks_file.")
    if table.jwks is not None:
        return _parse(f"{key}.jwks", json.dumps(table.jwks))
    if table.jwks_file is not None:
        said = f"{key}.jwks_file"
        return _parse(said, read_file(said, sources.resolve(said, table.jwks_file)))
    return None


def _parse(key: str, text: str) -> KeySet:
    try:
        return parse_jwks(text)
    except ValueError as error:
        raise ConfigurationError(
            key, f"is not a set of public keys: {error}", "Make one with `abeyance new-key`."
        ) from None
