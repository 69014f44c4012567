"""The server of the story: the real one, from a file like yours, on loopback."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from abeyance.cli.demo.door import Door
from abeyance.cli.demo.narrator import Narrator
from abeyance.client import generate_key
from abeyance.parties.person import PersonId
from abeyance.proofs.jwk import KeyPair
from abeyance.server.launch import address_of, reserve, running_server
from abeyance.server.settings import Listen, load_settings
from abeyance.wire.secret import Secret

REVIEWER: Final = "rita"
CLIENT: Final = "bookkeeper"

_CONFIG: Final = """\
issuer = "http://{address}"
data = "{folder}/data"
authorization_details_types = ["abeyance.cli.demo.types:PAYMENT", "abeyance.cli.demo.types:EXPORT"]

[server]
listen = "{address}"

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
name = "standing approval, single payments up to 50 EUR"
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

    `door` signs Rita in, once: the demo's stand-in for her password.
    """

    issuer: str
    folder: Path
    config: str
    secret: Secret
    key: KeyPair
    door: Secret


@contextmanager
def open_stage(folder: Path) -> Iterator[Stage]:
    """Start the server in a thread; it ends with the block."""
    secret, ticket = (Secret(secrets.token_urlsafe(32)) for _ in range(2))
    (folder / "client-secret").write_text(secret.reveal())
    with reserve(Listen("127.0.0.1", 0)) as listener:
        address = address_of(listener)
        config = _CONFIG.replace("{address}", address).replace("{folder}", str(folder))
        file = folder / "abeyance.toml"
        file.write_text(config)
        settings = load_settings(file, environ={}, demo=True)
        with running_server(
            settings, listener=listener, wrap=lambda app: Door(app, ticket, PersonId(REVIEWER))
        ):
            yield Stage(
                issuer=settings.issuer,
                folder=folder,
                config=config,
                secret=secret,
                key=generate_key(),
                door=Secret(f"{settings.issuer}{Door.PATH}{ticket.reveal()}"),
            )


def tapped(narrator: Narrator) -> httpx2.Client:
    """An HTTP client whose exchanges the narrator shows."""

    def tell(response: httpx2.Response) -> None:
        response.read()
        narrator.exchange(response)

    return httpx2.Client(event_hooks={"response": [tell]})
