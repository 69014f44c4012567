"""A client's public keys, from the file or inline (OAUTH-CAUTH-16)."""

from abeyance.proofs.jwk import BadKey, KeySet, parse_jwks
from abeyance.proofs.jws import SIGNING_ALGORITHMS
from abeyance.server.settings_file import ClientTable
from abeyance.server.settings_sources import Sources, did_you_mean
from abeyance.server.settings_values import Caution, ConfigurationError, read_file
from abeyance.wire.strict_json import JsonObject, NotStrictJson, parse_json_object


def parse_client_keys(
    key: str, table: ClientTable, sources: Sources, warnings: list[Caution]
) -> KeySet | None:
    """Read `jwks` or `jwks_file` and check the algorithms that its keys are for."""
    for name, alg in (
        ("token_endpoint_auth_signing_alg", table.token_endpoint_auth_signing_alg),
        ("request_object_signing_alg", table.request_object_signing_alg),
    ):
        if alg is not None and alg not in SIGNING_ALGORITHMS:
            known = sorted(SIGNING_ALGORITHMS)
            raise ConfigurationError(
                f"{key}.{name}",
                "is not an algorithm that a client may sign with",
                did_you_mean(alg, known, f"Choose one of {', '.join(known)}."),
            )
    return parse_keys(key, table.jwks, table.jwks_file, sources, warnings)


def parse_keys(
    key: str,
    jwks: JsonObject | None,
    jwks_file: str | None,
    sources: Sources,
    warnings: list[Caution],
) -> KeySet | None:
    """Read public keys that stand inline or in a file."""
    if jwks is not None and jwks_file is not None:
        raise ConfigurationError(f"{key}.jwks", "is given twice", "Leave out jwks_file.")
    if jwks is not None:
        return _parse(f"{key}.jwks", jwks, warnings)
    if jwks_file is not None:
        said = f"{key}.jwks_file"
        text = read_file(said, sources.resolve(said, jwks_file))
        try:
            return _parse(said, parse_json_object(text), warnings)
        except NotStrictJson as error:
            raise ConfigurationError(
                said, f"holds no JSON object: {error}", "Name the file with the public key set."
            ) from None
    return None


def _parse(key: str, value: JsonObject, warnings: list[Caution]) -> KeySet:
    try:
        keys = parse_jwks(value)
    except BadKey as error:
        raise ConfigurationError(
            key, f"cannot be used: {error}", "Make a key pair with `abeyance new-key`."
        ) from None
    warnings.extend(Caution(key, f"one key is left out: {reason}") for reason in keys.skipped)
    return keys
