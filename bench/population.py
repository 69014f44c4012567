"""Who calls the server under the benchmark, and the configuration that knows them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from abeyance.proofs.jwk import KeyPair, parse_private_pem
from abeyance.wire import names

# What the servers take themselves for, wherever they listen: proofs are made for it.
ISSUER: Final = "http://127.0.0.1:8400"
RESOURCE: Final = "https://bank.example"
REVIEWER: Final = "rita"

# Caps and rates are raised; durability, memory and everything else stay as shipped.
_CONFIGURATION: Final = """
issuer = "{issuer}"
data = "{data}"
authorization_details_types = ["bench.payment:PAYMENT"]

[server]
listen = "127.0.0.1:8400"

[limits]
open_requests_per_client = 900_000_000
open_requests_per_reviewer = 900_000_000
creations_per_second = 900_000_000
creations_burst = 900_000_000
held_polls = 100_000
held_polls_per_client = 100_000

[scopes]
pay = "Pay bills"

[resources]
"{resource}" = "The bank"

[[reviewers]]
id = "{reviewer}"
name = "Rita"

[[rules]]
name = "payments"
when = "size(authorization_details) > 0"
then = "defer"
reviewers = ["{reviewer}"]
interval = "1s"
lifetime = "24h"
"""

_STORE: Final = """
[store]
url = "{url}"
"""

_OUTBOUND: Final = """
[outbound]
development_targets = ["127.0.0.1:{port}"]
ca_file = "{ca_file}"
"""

_CLIENT: Final = """
[[clients]]
id = "{id}"
name = "{name}"
token_endpoint_auth_method = "{method}"
{credential}
scope = ["pay"]
resources = ["{resource}"]
authorization_details_types = ["payment"]
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """A client: by `secret` (Basic), with `key` for its DPoP proofs, or by assertions of `key`."""

    id: str
    method: str
    secret: str
    key: KeyPair


def make_callers(method: str, count: int) -> tuple[Caller, ...]:
    """Make so many clients that authenticate by this method, each with a key of its own."""
    short = "basic" if method == names.CLIENT_SECRET_BASIC else "signer"
    return tuple(
        Caller(
            id=f"{short}-{n:03}",
            method=method,
            secret=hashlib.sha256(f"secret of {short} {n}".encode()).hexdigest(),
            key=_make_key(),
        )
        for n in range(count)
    )


@dataclass(frozen=True, slots=True)
class CalledBack:
    """Where clients are called back, on loopback, and the certificate by which it is known."""

    url: str
    port: int
    ca_file: Path


def write_configuration(
    folder: Path,
    callers: Sequence[Caller],
    called_back: CalledBack | None = None,
    url: str | None = None,
) -> Path:
    """Write the configuration of a server that keeps its data in `folder`, or in the database
    at `url`.
    """
    text = _CONFIGURATION.format(
        issuer=ISSUER, data=folder / "data", resource=RESOURCE, reviewer=REVIEWER
    )
    endpoint = ""
    if called_back is not None:
        text += _OUTBOUND.format(port=called_back.port, ca_file=called_back.ca_file)
        endpoint = f'deferred_client_notification_endpoint = "{called_back.url}"\n'
    if url is not None:
        text += _STORE.format(url=url)
    for caller in callers:
        text += _CLIENT.format(
            id=caller.id,
            name=f"Agent {caller.id}",
            method=caller.method,
            credential=_credential(folder, caller),
            resource=RESOURCE,
        )
        text += endpoint
    file = folder / "abeyance.toml"
    file.write_text(text)
    return file


def _credential(folder: Path, caller: Caller) -> str:
    if caller.method == names.CLIENT_SECRET_BASIC:
        return f'secret_sha256 = "{hashlib.sha256(caller.secret.encode()).hexdigest()}"'
    file = folder / f"{caller.id}.jwks.json"
    file.write_text(json.dumps({"keys": [caller.key.public.jwk]}))
    return f'jwks_file = "{file.name}"'


def _make_key() -> KeyPair:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return parse_private_pem(pem)
