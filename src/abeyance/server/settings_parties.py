"""Clients and reviewers, from their tables to the records that the house works with."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from abeyance.access.details import DetailsTypes
from abeyance.access.scope import Scope, parse_scope
from abeyance.grants import GRANTS
from abeyance.oauth.fapi import hold
from abeyance.oauth.openid import OpenId
from abeyance.outbound.targets import Reach
from abeyance.parties.client import PROFILES, Client, ClientId
from abeyance.parties.person import Person, PersonId, Role, is_email, is_person_id
from abeyance.pending.interaction import Step
from abeyance.server import passwords
from abeyance.server.settings_fapi import check_client as check_fapi
from abeyance.server.settings_file import (
    ClientTable,
    File,
    ReviewerTable,
    UserTable,
)
from abeyance.server.settings_keys import parse_client_keys
from abeyance.server.settings_mtls import read_client_certificate
from abeyance.server.settings_openid import read_client_openid
from abeyance.server.settings_outbound import check_target
from abeyance.server.settings_redirects import read_redirects
from abeyance.server.settings_sources import Sources, did_you_mean
from abeyance.server.settings_values import (
    MAX_SECRETS,
    Caution,
    ConfigurationError,
    read_secret_file,
    read_strong_secret,
    several,
)
from abeyance.wire import names
from abeyance.wire.errors import InvalidScope

WITH_SECRET: Final = (names.CLIENT_SECRET_BASIC, names.CLIENT_SECRET_POST)
METHODS: Final = (
    *WITH_SECRET,
    names.PRIVATE_KEY_JWT,
    names.TLS_CLIENT_AUTH,
    names.SELF_SIGNED_TLS_CLIENT_AUTH,
    names.NONE,
)

_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PLAIN_SECRET = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(slots=True)
class Known:
    """What a client may refer to, and what was remarked on the way."""

    sources: Sources
    scopes: Mapping[str, str]
    resources: Mapping[str, str]
    types: DetailsTypes
    people: Mapping[str, Person]
    steps: Mapping[str, Step]
    default_scope: Scope
    reach: Reach
    openid: OpenId | None = None
    userinfo: str = ""  # the resource that goes with the scope openid
    fapi: bool = False  # is the FAPI 2.0 switch on?
    mtls: bool = False  # are certificates of clients looked at?
    warnings: list[Caution] = field(default_factory=list)


def read_people(file: File, sources: Sources) -> tuple[Person, ...]:
    """Read `[[reviewers]]` and `[[users]]`. Ids are in lower case, so that no two look alike.

    Whoever reviews may also grant and withdraw for themselves, so nobody is both.
    """
    people = [_person("reviewers", table, sources) for table in file.reviewers]
    people += [_person("users", table, sources) for table in file.users]
    _check_once("people", [person.id for person in people])
    return tuple(people)


def read_clients(file: File, known: Known) -> tuple[Client, ...]:
    """Read `[[clients]]` and check what they refer to."""
    clients = [read_client(table, known) for table in file.clients]
    _check_once("clients", [client.id for client in clients])
    return tuple(clients)


def check_scope(key: str, tokens: Sequence[str], scopes: Mapping[str, str]) -> Scope:
    """Each token must be declared in `[scopes]` (OAUTH-SCOPE-03)."""
    for token in tokens:
        if token not in scopes:
            raise ConfigurationError(
                key,
                f"names the scope {token!r}, which is not declared",
                did_you_mean(token, scopes, 'Declare it: [scopes] with name = "meaning".'),
            )
    return frozenset(tokens)


def check_scope_token(key: str, token: str) -> None:
    """A name in `[scopes]` must be one scope token (OAUTH-SCOPE-01)."""
    try:
        alone = parse_scope(token) == {token}
    except InvalidScope:
        alone = False
    if not alone:
        raise ConfigurationError(
            key, "is not one scope token", "Use visible ASCII without quotes or spaces."
        )


def _person(kind: str, table: ReviewerTable | UserTable, sources: Sources) -> Person:
    key = f"{kind}[{table.id}]"
    if not is_person_id(table.id):
        raise ConfigurationError(
            f"{key}.id", "is not a sign-in name", "Use lower-case letters, digits and ._@+-."
        )
    if table.password_hash is not None and table.password_hash_file is not None:
        raise ConfigurationError(
            f"{key}.password_hash", "is given twice", "Leave out password_hash_file."
        )
    encoded, said = table.password_hash, f"{key}.password_hash"
    if table.password_hash_file is not None:
        said = f"{key}.password_hash_file"
        encoded = read_secret_file(said, sources.resolve(said, table.password_hash_file))
    if encoded is not None:
        try:
            passwords.check_encoded(encoded)
        except passwords.UnfitHash as error:
            raise ConfigurationError(
                said, str(error), "Make it with `abeyance hash-password`."
            ) from None
    roles: frozenset[Role] = frozenset()
    if isinstance(table, ReviewerTable):
        roles = frozenset({Role.REVIEWER, *([Role.ADMINISTRATOR] if table.administrator else [])})
    return Person(
        id=PersonId(table.id),
        name=table.name or table.id,
        roles=roles,
        password_hash=encoded,
        email=_email(f"{key}.email", table.email),
        email_verified=table.email_verified,
    )


def _email(key: str, text: str | None) -> str | None:
    if text is not None and not is_email(text):
        raise ConfigurationError(key, "is not an e-mail address", 'Write it as "name@example.com".')
    return text


def read_client(table: ClientTable, known: Known) -> Client:
    """Read one client, and check what it refers to. Raises `ConfigurationError`."""
    key = f"clients[{table.id}]"
    _check_client(key, table, known)
    if known.fapi:
        check_fapi(key, table)
    digests = _secrets(key, table, known)
    keys = parse_client_keys(key, table, known.sources, known.warnings)
    jwks_uri = check_target(f"{key}.jwks_uri", table.jwks_uri, known.reach)
    if keys is not None and jwks_uri is not None:
        raise ConfigurationError(f"{key}.jwks_uri", "is given beside keys", "Leave one out.")
    _check_credentials(key, table, digests, has_keys=keys is not None or jwks_uri is not None)
    if table.legacy_assertion_audience:
        known.warnings.append(
            Caution(
                f"{key}.legacy_assertion_audience",
                "assertions for the token endpoint's URL are accepted from this client; "
                "turn it off when its library can name the issuer",
            )
        )
    scope = check_scope(f"{key}.scope", table.scope, known.scopes)
    default = check_scope(f"{key}.default_scope", table.default_scope, known.scopes)
    if not default <= scope:
        raise ConfigurationError(
            f"{key}.default_scope",
            f"has {', '.join(sorted(default - scope))}, which scope lacks",
            "Add it to scope, or leave it out here.",
        )
    profiles = table.deferred_token_response_profiles
    client = Client(
        id=ClientId(table.id),
        name=table.name,
        auth_method=table.token_endpoint_auth_method,
        secret_digests=digests,
        keys=keys,
        jwks_uri=jwks_uri,
        assertion_alg=table.token_endpoint_auth_signing_alg,
        legacy_assertion_audience=table.legacy_assertion_audience,
        grant_types=frozenset(table.grant_types),
        scope=scope,
        # The server's default serves a client that may have it, and only as far (OAUTH-SCOPE-02).
        default_scope=default or known.default_scope & scope,
        resources=_resources(table, known),
        details_types=frozenset(table.authorization_details_types),
        dpop_bound_access_tokens=table.dpop_bound_access_tokens,
        owner=table.owner,
        profiles=None if profiles is None else frozenset(profiles),
        require_pushed=table.require_pushed_authorization_requests,
        require_signed=table.require_signed_request_object,
        request_object_alg=table.request_object_signing_alg,
        first_party=_is_first_party(key, table),
        pushes_redirect_uris=table.pushes_redirect_uris,
        notification_endpoint=check_target(
            f"{key}.deferred_client_notification_endpoint",
            table.deferred_client_notification_endpoint,
            known.reach,
        ),
        **read_client_certificate(key, table, enabled=known.mtls),
        **read_client_openid(key, table, known.openid, known.warnings),
        **read_redirects(key, table, tuple(known.resources)),
    )
    return hold(client) if known.fapi else client


def _resources(table: ClientTable, known: Known) -> frozenset[str]:
    """With `openid` goes what answers who somebody is (decision 0005: it is a resource too)."""
    resources = frozenset(table.resources)
    return resources | {known.userinfo} if _signs_people_in(table, known) else resources


def _signs_people_in(table: ClientTable, known: Known) -> bool:
    return known.openid is not None and names.SCOPE_OPENID in table.scope


def _check_client(key: str, table: ClientTable, known: Known) -> None:
    if not _CLIENT_ID.fullmatch(table.id):
        raise ConfigurationError(
            f"{key}.id", "is not a client id", "Use up to 100 letters, digits and ._-."
        )
    if not table.name.strip() or not table.name.isprintable() or len(table.name) > 100:
        raise ConfigurationError(
            f"{key}.name", "is not a name", "Write up to 100 printable characters."
        )
    if not table.resources and not _signs_people_in(table, known):
        # The audience of every token is a resource (OAUTH-AT-03).
        raise ConfigurationError(
            f"{key}.resources",
            "is empty, so no token could be issued",
            "Name the resource servers, declared in [resources], that its tokens are for.",
        )
    for name, value, allowed in (
        ("token_endpoint_auth_method", [table.token_endpoint_auth_method], METHODS),
        ("grant_types", table.grant_types, tuple(GRANTS)),
        ("resources", table.resources, tuple(known.resources)),
        ("authorization_details_types", table.authorization_details_types, known.types.names()),
        (
            "deferred_token_response_profiles",
            table.deferred_token_response_profiles or [],
            PROFILES,
        ),
        ("owner", [table.owner] if table.owner is not None else [], tuple(known.people)),
    ):
        for each in value:
            if each not in allowed:
                listed = f"Known: {', '.join(allowed)}." if allowed else _DECLARE[name]
                raise ConfigurationError(
                    f"{key}.{name}",
                    f"names {each!r}, which is not known",
                    did_you_mean(each, allowed, listed),
                )


_DECLARE: Final = {
    "resources": 'Declare it: [resources] with "https://..." = "meaning".',
    "authorization_details_types": "List the type in authorization_details_types at the top.",
    # A misspelled owner would let the real one decide the client's requests.
    "owner": "Declare the owner in [[reviewers]]; without a password it cannot sign in.",
}


def _secrets(key: str, table: ClientTable, known: Known) -> tuple[bytes, ...]:
    digests: list[bytes] = []
    said = f"{key}.secret_sha256"
    for text in several(table.secret_sha256):
        if not _SHA256.fullmatch(text):
            raise ConfigurationError(
                said,
                "is not a SHA-256 digest in 64 lower-case hexadecimal digits",
                "Make the secret and its digest with `abeyance new-secret`.",
            )
        digests.append(bytes.fromhex(text))
    said = f"{key}.secret_file"
    for name in several(table.secret_file):
        secret = read_strong_secret(said, known.sources.resolve(said, name))
        if not _PLAIN_SECRET.fullmatch(secret):
            known.warnings.append(
                Caution(
                    said,
                    "the secret has characters that some client libraries forget to encode; "
                    "letters, digits, _ and - are safe",
                )
            )
        digests.append(hashlib.sha256(secret.encode()).digest())
    if len(digests) > MAX_SECRETS:
        raise ConfigurationError(
            said,
            f"has more than {MAX_SECRETS} secrets",
            "Keep the new one and the one it replaces.",
        )
    return tuple(digests)


def _check_credentials(
    key: str, table: ClientTable, digests: tuple[bytes, ...], *, has_keys: bool
) -> None:
    method = table.token_endpoint_auth_method
    signs = _check_signs(key, table, has_keys=has_keys)
    if table.pushes_redirect_uris and method == names.NONE:
        raise ConfigurationError(
            f"{key}.pushes_redirect_uris",
            "is not for clients without credentials",
            "Register the redirect URIs, or change token_endpoint_auth_method.",
        )
    if method in WITH_SECRET:
        if not digests:
            raise ConfigurationError(
                f"{key}.secret_sha256",
                f"is missing, and {method} needs a secret",
                "Make one with `abeyance new-secret` and write its digest here.",
            )
        misplaced = [
            name
            for name, given in (
                ("jwks", has_keys and not signs),
                ("token_endpoint_auth_signing_alg", table.token_endpoint_auth_signing_alg),
                ("legacy_assertion_audience", table.legacy_assertion_audience),
            )
            if given
        ]
    elif method in (names.NONE, names.TLS_CLIENT_AUTH):
        misplaced = [
            name
            for name, given in (
                ("secret_sha256", digests),
                ("jwks", has_keys and not signs),
                ("token_endpoint_auth_signing_alg", table.token_endpoint_auth_signing_alg),
                ("legacy_assertion_audience", table.legacy_assertion_audience),
            )
            if given
        ]
    else:
        if not has_keys:
            raise ConfigurationError(
                f"{key}.jwks_file",
                f"is missing, and {method} needs the client's public keys",
                "Make a key pair with `abeyance new-key` and name its public file here.",
            )
        misplaced = ["secret_sha256"] if digests else []
    # One client, one method (OAUTH-CAUTH-03): what is not used would only mislead.
    if misplaced:
        raise ConfigurationError(
            f"{key}.{misplaced[0]}",
            f"has no use with {method}",
            "Leave it out, or change token_endpoint_auth_method.",
        )


def _is_first_party(key: str, table: ClientTable) -> bool:
    """What people sign in with is never given to a page in a browser (OAUTH-FIPA-01)."""
    if not table.first_party:
        return False
    public = table.token_endpoint_auth_method == names.NONE
    if table.allowed_origins or (public and table.application_type != "native"):
        raise ConfigurationError(
            f"{key}.first_party",
            "is not for applications that live in a browser",
            "Leave it out, or declare a native application without allowed_origins.",
        )
    if names.GRANT_AUTHORIZATION_CODE not in table.grant_types:
        raise ConfigurationError(
            f"{key}.first_party",
            "has no use without the grant authorization_code",
            "Add it to grant_types, or leave this out.",
        )
    return True


def _check_signs(key: str, table: ClientTable, *, has_keys: bool) -> bool:
    """Has the client said that it signs request objects, with a key to do so?"""
    named = "request_object_signing_alg"
    said = table.request_object_signing_alg is not None
    if table.require_signed_request_object and not said and not has_keys:
        raise ConfigurationError(
            f"{key}.{named}",
            "is missing, and the client must sign its authorization requests",
            "Name the algorithm, and the public keys with jwks_file.",
        )
    if said and not has_keys:
        raise ConfigurationError(
            f"{key}.jwks_file",
            f"is missing, and {named} needs the client's public keys",
            "Make a key pair with `abeyance new-key` and name its public file here.",
        )
    return said


def _check_once(table: str, ids: Sequence[str]) -> None:
    for name in ids:
        if ids.count(name) > 1:
            raise ConfigurationError(
                f"{table}[{name}].id", "is used twice", "Give each entry its own id."
            )
