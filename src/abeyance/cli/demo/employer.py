"""A second server: Northwind, where Uma works, signs its people in and vouches for them elsewhere.

It is called `localhost` and the bank `127.0.0.1`, so a browser keeps their cookies apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx2

from abeyance.cli.demo.door import Door
from abeyance.server.launch import address_of, reserve, running_server
from abeyance.server.settings import Listen, load_settings

ASSISTANT: Final = "assistant"  # as Northwind knows it
ASSISTANT_THERE: Final = "northwind-assistant"  # as the bank does
STATEMENTS: Final = "statements:read"

_CONFIG: Final = """\
issuer = "{issuer}"
data = "{folder}/data"

[server]
listen = "{address}"

[scopes]
profile = "Know who you are"

[resources]
"https://northwind.example" = "Northwind's own services"

[[users]]
id = "uma"
name = "Uma Underwood, who works here"
password_hash = "{password_hash}"

[[clients]]
id = "assistant"
name = "Northwind's assistant"
secret_file = "{folder}/client-secret"
application_type = "native"
grant_types = [
  "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange",
]
redirect_uris = ["http://127.0.0.1/callback"]
scope = ["profile"]
resources = ["https://northwind.example"]

[[assertion_targets]]
issuer = "{bank}"
clients = ["assistant"]
client_ids = { assistant = "northwind-assistant" }
scope = ["statements:read"]
resources = ["https://bank.example"]

[[rules]]
name = "who works here may use it"
then = "issue"
"""


@contextmanager
def open_employer(
    folder: Path, *, bank: str, secret: str, password_hash: str
) -> Iterator[tuple[Door, bytes]]:
    """Start the employer's server; its door, and its key set as the bank is given it."""
    folder.mkdir()
    (folder / "client-secret").write_text(secret)
    with reserve(Listen("127.0.0.1", 0)) as listener:
        address = address_of(listener)
        issuer = f"http://localhost:{address.rpartition(':')[2]}"
        text = _CONFIG
        for name, value in (
            ("issuer", issuer), ("folder", str(folder)), ("address", address), ("bank", bank),
            ("password_hash", password_hash),
        ):  # fmt: skip
            text = text.replace(f"{{{name}}}", value)
        file = folder / "abeyance.toml"
        file.write_text(text)
        settings = load_settings(file, environ={}, demo=True)
        door = Door(settings.issuer)
        with running_server(settings, listener=listener, wrap=door.before):
            yield door, httpx2.get(f"http://{address}/jwks", trust_env=False).content
