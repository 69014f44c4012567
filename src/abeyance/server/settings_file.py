"""The shape of the configuration file: every key that there is, once, with its default.

Only shape and type are judged here; what the values mean is `settings.py`'s.
Durations are strings such as "10m".
"""

from typing import Any, Literal, TypeAlias

import msgspec

OneOrTwo: TypeAlias = str | list[str]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; unknown keys are refused."""


class ServerTable(Table, frozen=True):
    listen: str = "127.0.0.1:8400"
    debug: bool = False


class StoreTable(Table, frozen=True):
    path: str | None = None
    memory_requests: int = 200_000


class LifetimesTable(Table, frozen=True):
    access_token: str = "10m"
    waiting: str = "24h"
    interval: str = "5s"
    approval: str = "1h"


class LimitsTable(Table, frozen=True):
    open_requests_per_client: int = 1000
    creations_per_second: float = 10
    creations_burst: int = 50


class DpopTable(Table, frozen=True):
    require_nonce: bool = False


class ClientTable(Table, frozen=True):
    """Members that have a name in RFC 7591 carry it."""

    id: str
    name: str
    owner: str | None = None
    token_endpoint_auth_method: str = "client_secret_basic"
    secret_sha256: OneOrTwo | None = None
    secret_file: OneOrTwo | None = None
    jwks: dict[str, Any] | None = None
    jwks_file: str | None = None
    token_endpoint_auth_signing_alg: str | None = None
    legacy_assertion_audience: bool = False
    grant_types: list[str] = msgspec.field(default_factory=lambda: ["client_credentials"])
    scope: list[str] = []
    default_scope: list[str] = []
    resources: list[str] = []
    authorization_details_types: list[str] = []
    dpop_bound_access_tokens: bool = False


class ReviewerTable(Table, frozen=True):
    id: str
    name: str | None = None
    password_hash: str | None = None
    password_hash_file: str | None = None
    administrator: bool = False


class RuleTable(Table, frozen=True):
    name: str
    then: Literal["issue", "deny", "defer"]
    when: str | None = None
    reviewers: list[str] | None = None
    interval: str | None = None
    lifetime: str | None = None
    approval_lifetime: str | None = None


class File(Table, frozen=True):
    """The whole file."""

    issuer: str | None = None
    data: str = "abeyance-data"
    policy: str | None = None
    default_scope: list[str] = []
    authorization_details_types: list[str] = []
    python_path: list[str] = []
    server: ServerTable = ServerTable()
    store: StoreTable = StoreTable()
    lifetimes: LifetimesTable = LifetimesTable()
    limits: LimitsTable = LimitsTable()
    dpop: DpopTable = DpopTable()
    scopes: dict[str, str] = {}
    resources: dict[str, str] = {}
    clients: list[ClientTable] = []
    reviewers: list[ReviewerTable] = []
    rules: list[RuleTable] = []


DURATIONS = frozenset({*LifetimesTable.__struct_fields__, "lifetime", "approval_lifetime"})
SECRETS = frozenset({"secret_sha256", "password_hash"})
