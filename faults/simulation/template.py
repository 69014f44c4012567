"""What every world begins with: a house as the server wires it, and its database. Made once."""

import asyncio
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

import apsw

from abeyance.acts.house import House
from abeyance.keys.folder import Keys, load_or_create
from abeyance.keys.making import new_private_pem, parse_signing_pem
from abeyance.policy.decider import Decider, Defer, Question, Verdict
from abeyance.proofs.jwk import KeyPair
from abeyance.server.clock import SystemClock
from abeyance.server.settings import load_settings
from abeyance.server.wiring import open_house

SECRET: Final = "simulated-0123456789-0123456789-0123456789"
LOUD: Final = "loud"  # a client that wants callbacks
QUIET: Final = "quiet"
REVIEWERS: Final = ("rita", "omar")
RECEIVER: Final = "https://agent.example/deferral"
LIFETIMES: Final = {"read": 3600.0, "write": 3600.0, "brief": 120.0, "grave": 3600.0}
GRAVE: Final = "grave"  # what it takes both reviewers to approve

_HASH: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
_CLIENT: Final = """
[[clients]]
id = "{id}"
name = "Agent"
secret_file = "{data}/secret"
scope = ["read", "write", "brief", "grave"]
resources = ["https://rs.example"]
{more}
"""
_CONFIG: Final = """
issuer = "https://as.example"
data = "{data}"
limits.creations_burst = 1000

[server]
listen = "127.0.0.1:8400"

[scopes]
read = "Read"
write = "Write"
brief = "Waits for two minutes"
grave = "Takes two to approve"

[resources]
"https://rs.example" = "The resource"

[[reviewers]]
id = "rita"
name = "Rita"
password_hash = "{hash}"

[[reviewers]]
id = "omar"
name = "Omar"
password_hash = "{hash}"

[[rules]]
name = "brief"
when = "'brief' in scope"
then = "defer"
reviewers = ["rita", "omar"]
interval = "5s"
lifetime = "2m"

[[rules]]
name = "review"
then = "defer"
reviewers = ["rita", "omar"]
interval = "5s"
lifetime = "1h"
approval_lifetime = "1h"
"""


@dataclass(frozen=True, slots=True)
class TwoForGrave:
    """Decides as the rules do, and lets two approve what is grave."""

    rules: Decider

    @property
    def version(self) -> str:
        return self.rules.version

    async def decide(self, question: Question) -> Verdict:
        verdict = await self.rules.decide(question)
        if isinstance(verdict, Defer) and GRAVE in question.asked.scope:
            return replace(verdict, plan=replace(verdict.plan, approvals=2))
        return verdict


@dataclass(frozen=True, slots=True)
class Template:
    """`house` is closed: whoever begins a host gives it a store, a clock and a memory."""

    house: House
    image: bytes
    keys: Keys
    signers: tuple[KeyPair, ...]

    def changed(self, statement: str) -> "Template":
        """With a database in which this was done."""
        db = apsw.Connection(":memory:")
        db.deserialize("main", self.image)
        db.execute(statement)
        return replace(self, image=db.serialize("main"))


@cache
def template() -> Template:
    """The same for the whole process."""
    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(_make(Path(name)))


async def _make(folder: Path) -> Template:
    (folder / "secret").write_text(SECRET)
    told = f'deferred_client_notification_endpoint = "{RECEIVER}"'
    text = _CONFIG + _CLIENT.replace("{id}", LOUD).replace("{more}", told)
    text += _CLIENT.replace("{id}", QUIET).replace("{more}", "")
    file = folder / "abeyance.toml"
    file.write_text(text.replace("{data}", str(folder)).replace("{hash}", _HASH))
    settings = load_settings(file, environ={})
    clock = SystemClock()
    async with open_house(settings, clock=clock) as house:
        keys = load_or_create(folder / "keys", now=clock.now())
    with apsw.Connection(str(settings.store.path)) as db:
        image = bytearray(db.serialize("main"))
    db.close()
    # A database in memory has no write-ahead log: the header says so in two bytes.
    image[18:20] = b"\1\1"
    signers = tuple(parse_signing_pem(new_private_pem()) for _ in range(2))
    house = replace(house, decider=TwoForGrave(house.decider))
    return Template(house, bytes(image), keys, signers)
