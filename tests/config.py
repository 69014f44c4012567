"""The house that most tests run: its reviewers, rules and clients."""

from typing import Final

ISSUER: Final = "https://as.example"
SECRET: Final = "s1-secret-0123456789-0123456789-0123456789"
PAYMENT: Final = {
    "type": "payment",
    "amount": {"amount": "120.00", "currency": "EUR"},
    "creditor": "Acme",
}
EXPORT: Final = {"type": "export", "tables": ["customers", "invoices", "leads"]}
OWNER_HASH: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

CONFIG: Final = """
issuer = "https://as.example"
data = "{data}"
limits.open_requests_per_reviewer = 1000
limits.creations_burst = 50
authorization_details_types = ["tests.details_types:PAYMENT", "tests.details_types:EXPORT"]

[server]
listen = "127.0.0.1:8400"

{extra}

[scopes]
now = "Granted at once"
never = "Never granted"
read = "Read the ledger"
write = "Change the ledger"
brief = "Waits for a minute"

[resources]
"https://rs.example" = "The ledger"
"https://rs2.example" = "Another"

[[reviewers]]
id = "rita"
name = "Rita"
password_hash = "{hash}"

[[reviewers]]
id = "omar"
name = "Omar, who owns c1"
password_hash = "{hash}"

[[rules]]
name = "at-once"
when = "'now' in scope"
then = "issue"

[[rules]]
name = "never"
when = "'never' in scope"
then = "deny"

[[rules]]
name = "brief"
when = "'brief' in scope"
then = "defer"
reviewers = ["rita"]
interval = "5s"
lifetime = "1m"

[[rules]]
name = "review"
then = "defer"
reviewers = ["rita", "omar"]
interval = "5s"
lifetime = "1h"
approval_lifetime = "30m"

[[clients]]
id = "s1"
name = "Ledger agent"
secret_file = "{data}/s1.secret"
scope = ["now", "never", "read", "write", "brief"]
resources = ["https://rs.example"]
authorization_details_types = ["payment", "export"]

[[clients]]
id = "p1"
name = "Posting agent"
token_endpoint_auth_method = "client_secret_post"
secret_file = "{data}/s1.secret"
scope = ["now", "read"]
default_scope = ["read"]
resources = ["https://rs.example", "https://rs2.example"]

[[clients]]
id = "c1"
name = "Key agent"
owner = "omar"
token_endpoint_auth_method = "private_key_jwt"
jwks_file = "{data}/c1.jwks"
dpop_bound_access_tokens = true
scope = ["now", "never", "read", "write", "brief"]
resources = ["https://rs.example"]
authorization_details_types = ["payment", "export"]

[[clients]]
id = "c2"
name = "Hostile agent"
token_endpoint_auth_method = "private_key_jwt"
jwks_file = "{data}/c2.jwks"
scope = ["now", "read", "write"]
resources = ["https://rs.example"]
"""


def without(config: str, heading: str) -> str:
    """The configuration without the block that has this line."""
    blocks = config.split("\n\n")
    kept = [block for block in blocks if heading not in block]
    assert len(kept) == len(blocks) - 1
    return "\n\n".join(kept)
