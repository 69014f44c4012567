"""The server of the story: the real one, from a file like yours, on loopback."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from abeyance.acts.house import House
from abeyance.client import generate_key
from abeyance.proofs.jwk import KeyPair
from abeyance.server.console.door import open_door
from abeyance.server.launch import running_server
from abeyance.wire.secret import Secret

REVIEWER: Final = "rita"
CLIENT: Final = "bookkeeper"

_CONFIG: Final = """\
issuer = "http://127.0.0.1:{port}"
data = "{folder}/data"
authorization_details_types = ["abeyance.cli.demo.types:PAYMENT", "abeyance.cli.demo.types:EXPORT"]

[server]
listen = "127.0.0.1:{port}"

[resources]
"https://bank.example" = "The company's bank and books"

[[reviewers]]
id = "rita"
name = "Rita, who runs the books"

[[clients]]
id = "bookkeeper"
name = "Bookkeeping agent"
secret_file = "{folder}/client-secret"
dpop_bound_access_tokens = true
resources = ["https://bank.example"]
authorization_details_types = ["payment", "export"]

[[rules]]
name = "standing approval: single payments up to 50 EUR"
when = '''authorization_details.size() == 1 && authorization_details[0].type == "payment"
          && at_most(authorization_details[0].amount, "50.00", "EUR")'''
then = "issue"

[[rules]]
name = "everything else is for Rita"
then = "defer"
reviewers = ["rita"]
interval = "1s"
lifetime = "1h"
approval_lifetime = "15m"
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running server, and what the two ends need to speak to it.

    `door` signs the reviewer in, once: the demo's stand-in for a password.
    """

    house: House
    issuer: str
    folder: Path
    config: str
    secret: Secret
    key: KeyPair
    door: Secret


@contextmanager
def open_stage(folder: Path) -> Iterator[Stage]:
    """Start the server in a thread; it ends with the block."""
    secret = Secret(secrets.token_urlsafe(32))
    (folder / "client-secret").write_text(secret.reveal())
    with running_server(lambda port: _settings(folder, port), wrap=open_door) as server:
        yield Stage(
            house=server.house,
            issuer=server.house.endpoints.issuer,
            folder=folder,
            config=(folder / "abeyance.toml").read_text(),
            secret=secret,
            key=generate_key(),
            door=Secret(""),
        )
