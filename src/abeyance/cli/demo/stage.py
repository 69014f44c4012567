"""The servers of the stories: real ones, from files like yours, on loopback."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from abeyance.cli.demo.door import Door
from abeyance.cli.demo.employer import open_employer
from abeyance.cli.demo.narrator import Narrator
from abeyance.cli.demo.vendor import VENDOR
from abeyance.client import generate_key
from abeyance.proofs.jwk import KeyPair
from abeyance.server.launch import address_of, reserve, running_server
from abeyance.server.passwords import hash_password_now
from abeyance.server.settings import Listen, load_settings
from abeyance.wire.secret import Secret

REVIEWER: Final = "rita"
CUSTOMER: Final = "uma"
CLIENT: Final = "bookkeeper"
BANK_APP: Final = "bank-app"
ONBOARDING: Final = "onboarding"
TELEVISION: Final = "television"
BANK: Final = "https://bank.example"

_CONFIG: Final = """\
issuer = "http://{address}"
data = "{folder}/data"
authorization_details_types = ["abeyance.cli.demo.types:PAYMENT", "abeyance.cli.demo.types:EXPORT"]
device_authorization = true

[server]
listen = "{address}"

[openid]
enabled = true
signing_algorithms = ["ES256"]

[scopes]
"identity:verified" = "Prove who you are"
"statements:read" = "Read the statements of your accounts"

[resources]
"https://bank.example" = "The bank"

[[reviewers]]
id = "rita"
name = "Rita, who decides"

[[users]]
id = "uma"
name = "Uma Underwood, a customer"
password_hash = "{password_hash}"

[[interactions]]
id = "document"
title = "Show your passport"
text = "You upload a photo of it at ProofPort, our verification service."
hook = "abeyance.cli.demo.vendor:VENDOR"

[[clients]]
id = "bank-app"
name = "Bank app on Uma's phone"
token_endpoint_auth_method = "none"
application_type = "native"
grant_types = ["authorization_code"]
redirect_uris = ["http://127.0.0.1/callback"]
resources = ["https://bank.example"]
authorization_details_types = ["payment"]

[[clients]]
id = "onboarding"
name = "Account opening"
secret_file = "{folder}/client-secret"
application_type = "native"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["http://127.0.0.1/callback"]
scope = ["identity:verified"]
resources = ["https://bank.example"]

[[clients]]
id = "bookkeeper"
name = "Bookkeeping agent"
secret_file = "{folder}/client-secret"
dpop_bound_access_tokens = true
resources = ["https://bank.example"]
authorization_details_types = ["payment", "export"]
deferred_token_response_profiles = ["idempotent", "interact", "outcome", "wait"]

[[clients]]
id = "northwind-assistant"
name = "Northwind's assistant"
secret_file = "{folder}/client-secret"
grant_types = ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
scope = ["statements:read"]
resources = ["https://bank.example"]

[[clients]]
id = "television"
name = "Television"
token_endpoint_auth_method = "none"
grant_types = ["urn:ietf:params:oauth:grant-type:device_code"]
id_token_signed_response_alg = "ES256"
scope = ["openid", "statements:read"]
resources = ["https://bank.example"]

[[trusted_issuers]]
issuer = "{employer}"
uses = ["id-jag"]
clients = ["northwind-assistant"]
jwks_file = "{folder}/northwind.jwks"
subjects = "same"
consent = "ask"

[[rules]]
name = "what their employer vouches for, customers may read"
when = "client.id == 'northwind-assistant'"
then = "issue"

[[rules]]
name = "what somebody lets their television show"
when = "client.id == 'television'"
then = "issue"

[[rules]]
name = "transfers of customers are held for fraud review"
when = "client.id == 'bank-app'"
then = "defer"
reviewers = ["rita"]
interval = "1s"
lifetime = "1h"
approval_lifetime = "15m"

[[rules]]
name = "identity takes a document, and whatever Rita asks besides"
when = "'identity:verified' in scope"
then = "defer"
reviewers = ["rita"]
interaction = "document"
interactions = ["document", "statement"]
interval = "1s"
lifetime = "24h"
approval_lifetime = "24h"

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
    """A running server, and what the ends need to speak to it.

    `issuer` is the bank, `employer` the server of the company where Uma works. `password` is
    Uma's at both, for her script.
    """

    issuer: str
    employer: str
    folder: Path
    config: str
    secret: Secret
    key: KeyPair
    doors: tuple[Door, ...]
    password: Secret

    def rule(self, name: str) -> list[str]:
        """The lines of the rule whose name begins so, as the configuration has them."""
        return self.table("rules", f'name = "{name}')

    def table(self, name: str, part: str = "") -> list[str]:
        """The lines of the table of that name that has this part."""
        tables = self.config.split("\n[[")
        [found] = [each for each in tables if each.startswith(f"{name}]]") and part in each]
        return f"[[{found}".strip().splitlines()

    def link(self, person: str, url: str) -> Secret:
        """A link that leads to `url`, at one of the servers, and signs `person` in there."""
        [door] = [each for each in self.doors if url.startswith(f"{each.issuer}/")]
        return door.link(person, url.removeprefix(door.issuer))


@contextmanager
def open_stage(folder: Path) -> Iterator[Stage]:
    """Start the servers in threads; they end with the block."""
    secret, password = (Secret(secrets.token_urlsafe(32)) for _ in range(2))
    (folder / "client-secret").write_text(secret.reveal())
    password_hash = hash_password_now(password)
    with VENDOR.listening(), reserve(Listen("127.0.0.1", 0)) as listener:
        address = address_of(listener)
        with open_employer(
            folder / "northwind",
            bank=f"http://{address}",
            secret=secret.reveal(),
            password_hash=password_hash,
        ) as (employer, key_set):
            (folder / "northwind.jwks").write_bytes(key_set)
            config = _CONFIG
            for name, value in (
                ("address", address), ("folder", str(folder)), ("employer", employer.issuer),
                ("password_hash", password_hash),
            ):  # fmt: skip
                config = config.replace(f"{{{name}}}", value)
            file = folder / "abeyance.toml"
            file.write_text(config)
            settings = load_settings(file, environ={}, demo=True)
            door = Door(settings.issuer)
            with running_server(settings, listener=listener, wrap=door.before):
                yield Stage(
                    issuer=settings.issuer,
                    employer=employer.issuer,
                    folder=folder,
                    config=config,
                    secret=secret,
                    key=generate_key(),
                    doors=(door, employer),
                    password=password,
                )


def tapped(narrator: Narrator) -> httpx2.Client:
    """An HTTP client whose exchanges the narrator shows."""

    def tell(response: httpx2.Response) -> None:
        response.read()
        narrator.exchange(response)

    return httpx2.Client(event_hooks={"response": [tell]})
