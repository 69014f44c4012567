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
    workers: int = 1
    trusted_proxies: list[str] = []
    debug: bool = False
    log_format: Literal["json", "text"] = "json"
    tracing: bool = False


class ManagementTable(Table, frozen=True):
    listen: str | None = None


class StoreTable(Table, frozen=True):
    path: str | None = None
    url: str | None = None
    url_file: str | None = None
    memory_requests: int = 200_000


class LifetimesTable(Table, frozen=True):
    access_token: str = "10m"
    code: str = "60s"
    authorization: str = "15m"
    pushed: str = "90s"
    device: str = "10m"
    refresh_idle: str = "14d"
    refresh: str = "90d"
    refresh_grace: str = "10s"
    waiting: str = "24h"
    interval: str = "5s"
    long_poll: str = "25s"
    interaction: str = "6h"
    approval: str = "1h"
    id_jag: str = "5m"
    cool_down: str = "15m"


class LimitsTable(Table, frozen=True):
    open_requests_per_client: int = 1000
    open_requests_per_person: int = 50
    open_requests_per_reviewer: int = 20
    creations_per_second: float = 10
    creations_burst: int = 50
    held_polls: int = 2000
    held_polls_per_client: int = 64


class RetentionTable(Table, frozen=True):
    details: str = "30d"
    tombstone: str = "24h"
    audit: str = "400d"


class NoticesTable(Table, frozen=True):
    sender: str | None = None
    smtp_host: str | None = None
    smtp_port: int | None = None
    smtp_security: Literal["tls", "starttls", "none"] = "starttls"
    smtp_username: str | None = None
    smtp_password_file: str | None = None
    webhook_url: str | None = None
    webhook_secret_file: str | None = None
    details: bool = False


class OutboundTable(Table, frozen=True):
    ports: list[int] = []
    ca_file: str | None = None
    development_targets: list[str] = []


class DpopTable(Table, frozen=True):
    require_nonce: bool = False


class MtlsTable(Table, frozen=True):
    enabled: bool = False
    certificate_header: str | None = None
    certificate_format: Literal["rfc9440", "pem"] = "rfc9440"
    proxy_header: str = "Proxy-Secret"
    proxy_secret_file: OneOrTwo | None = None
    ca_file: str | None = None
    origin: str | None = None


class OpenIdTable(Table, frozen=True):
    enabled: bool = False
    signing_algorithms: list[str] = msgspec.field(default_factory=lambda: ["RS256", "ES256"])
    acr: str | None = None


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
    jwks_uri: str | None = None
    token_endpoint_auth_signing_alg: str | None = None
    legacy_assertion_audience: bool = False
    grant_types: list[str] = msgspec.field(default_factory=lambda: ["client_credentials"])
    scope: list[str] = []
    default_scope: list[str] = []
    resources: list[str] = []
    authorization_details_types: list[str] = []
    dpop_bound_access_tokens: bool = False
    redirect_uris: list[str] = []
    application_type: Literal["web", "native"] = "web"
    allowed_origins: list[str] = []
    rotate_refresh_tokens: bool | None = None
    introspects: list[str] = []
    deferred_token_response_profiles: list[str] | None = None
    interaction_redirect_uris: list[str] = []
    require_pushed_authorization_requests: bool = False
    require_signed_request_object: bool = False
    request_object_signing_alg: str | None = None
    first_party: bool = False
    pushes_redirect_uris: bool = False
    id_token_signed_response_alg: str | None = None
    default_max_age: int | None = None  # seconds
    pkce_optional: bool = False
    deferred_client_notification_endpoint: str | None = None
    tls_client_auth_subject_dn: str | None = None
    tls_client_auth_san_dns: str | None = None
    tls_client_auth_san_uri: str | None = None
    tls_client_auth_san_ip: str | None = None
    tls_client_auth_san_email: str | None = None
    tls_client_certificate_bound_access_tokens: bool = False


class RegistrationTable(Table, frozen=True):
    enabled: bool = False
    open: bool = False
    scope: list[str] = []
    default_scope: list[str] = []
    resources: list[str] = []
    grant_types: list[str] = msgspec.field(
        default_factory=lambda: ["authorization_code", "refresh_token"]
    )
    authorization_details_types: list[str] = []
    most_clients: int = 1000
    document_hosts: list[str] = []


class ReviewerTable(Table, frozen=True):
    id: str
    name: str | None = None
    password_hash: str | None = None
    password_hash_file: str | None = None
    email: str | None = None
    email_verified: bool = False
    administrator: bool = False


class UserTable(Table, frozen=True):
    id: str
    name: str | None = None
    password_hash: str | None = None
    password_hash_file: str | None = None
    email: str | None = None
    email_verified: bool = False


class FieldTable(Table, frozen=True):
    name: str
    label: str
    kind: Literal["line", "text", "choice", "tick"] = "line"
    choices: list[str] = []
    required: bool = True


class InteractionTable(Table, frozen=True):
    id: str
    title: str
    text: str
    fields: list[FieldTable] = []
    hook: str | None = None


class IssuedPersonTable(Table, frozen=True):
    subject: str
    person: str
    tenant: str | None = None


class TrustedIssuerTable(Table, frozen=True):
    issuer: str
    uses: list[str]
    clients: list[str]
    jwks: dict[str, Any] | None = None
    jwks_file: str | None = None
    jwks_uri: str | None = None
    keys_until: str | None = None
    algorithms: list[str] | None = None  # all that clients may sign with
    scope: list[str] | None = None
    subjects: Literal["listed", "same"] = "listed"
    people: list[IssuedPersonTable] = []
    tenants: list[str] = []
    max_life: str = "5m"
    consent: Literal["ask", "issuer"] = "ask"
    public_clients: bool = False
    token_endpoint_audience: bool = False


class ExchangeTable(Table, frozen=True):
    clients: list[str]
    subject_tokens: list[str]
    actor_tokens: list[str] = []
    impersonate: bool = False
    resources: list[str] = []
    scope: list[str] = []


class AssertionTargetTable(Table, frozen=True):
    issuer: str
    clients: list[str]
    scope: list[str]
    client_ids: dict[str, str] = {}
    resources: list[str] = []
    authorization_details_types: list[str] = []
    max_age: str | None = None


class RuleTable(Table, frozen=True):
    name: str
    then: Literal["issue", "deny", "defer"]
    when: str | None = None
    reviewers: list[str] | None = None
    interval: str | None = None
    lifetime: str | None = None
    approval_lifetime: str | None = None
    remember: bool | None = None
    interaction: str | None = None
    interactions: list[str] = []
    interaction_people: list[str] = []
    collapse_outcome: bool = False


class File(Table, frozen=True):
    """The whole file."""

    issuer: str | None = None
    data: str = "abeyance-data"
    policy: str | None = None
    profile: Literal["fapi2"] | None = None
    default_scope: list[str] = []
    refresh_deferral: bool = True
    interaction_profile: bool = True
    first_party_apps: bool = False
    device_authorization: bool = False
    device_without_deferral: Literal["wait", "deny"] = "wait"
    require_pushed_authorization_requests: bool = False
    require_signed_request_object: bool = False
    stale_session: Literal["forced", "any"] = "forced"
    authorization_details_types: list[str] = []
    python_path: list[str] = []
    server: ServerTable = ServerTable()
    management: ManagementTable = ManagementTable()
    store: StoreTable = StoreTable()
    lifetimes: LifetimesTable = LifetimesTable()
    limits: LimitsTable = LimitsTable()
    retention: RetentionTable = RetentionTable()
    outbound: OutboundTable = OutboundTable()
    notices: NoticesTable = NoticesTable()
    dpop: DpopTable = DpopTable()
    mtls: MtlsTable = MtlsTable()
    openid: OpenIdTable = OpenIdTable()
    registration: RegistrationTable = RegistrationTable()
    scopes: dict[str, str] = {}
    resources: dict[str, str] = {}
    clients: list[ClientTable] = []
    reviewers: list[ReviewerTable] = []
    users: list[UserTable] = []
    interactions: list[InteractionTable] = []
    trusted_issuers: list[TrustedIssuerTable] = []
    exchanges: list[ExchangeTable] = []
    assertion_targets: list[AssertionTargetTable] = []
    rules: list[RuleTable] = []


DURATIONS = frozenset(
    {
        *LifetimesTable.__struct_fields__,
        *RetentionTable.__struct_fields__,
        "lifetime",
        "approval_lifetime",
        "max_life",
        "max_age",
    }
)
SECRETS = frozenset({"secret_sha256", "password_hash"})
