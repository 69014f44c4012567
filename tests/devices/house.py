"""A server to which devices speak, a device, and a person with a browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from abeyance.outbound.caller import Outside
from tests.answer import Answer
from tests.console.house import PageSeen
from tests.people.house import CONFIG, Flow, Public, open_people, public, web
from tests.served import Caller, Served

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
CLIENTS: Final = """
[[clients]]
id = "tv"
name = "Living room"
token_endpoint_auth_method = "none"
grant_types = ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]
scope = ["read", "write", "now", "sure", "never"]
resources = ["https://ledger.example"]
authorization_details_types = ["payment"]

[[clients]]
id = "box"
name = "Box with a secret"
secret_file = "{data}/s1.secret"
grant_types = ["urn:ietf:params:oauth:grant-type:device_code"]
scope = ["read", "now"]
resources = ["https://ledger.example"]
"""


@asynccontextmanager
async def open_devices(
    folder: Path,
    *,
    extra: str = "",
    issuer: str = "https://as.example",
    on: str = "true",
    clients: str = CLIENTS,
    server: str = "",
    outside: Outside | None = None,
) -> AsyncIterator[Served]:
    async with open_people(
        folder,
        config=CONFIG.replace("[server]\n", f"[server]\n{server}\n") + clients,
        extra=f"device_authorization = {on}\n{extra}",
        issuer=issuer,
        outside=outside,
    ) as served:
        yield served


def tv(served: Served) -> "Device":
    return Device(public(served, "tv"))


def box(served: Served) -> "Device":
    return Device(web(served, "box"))


@dataclass(slots=True)
class Device:
    """A client on a device, and what it was told last."""

    client: Caller
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def served(self) -> Served:
        return self.client.served

    @property
    def code(self) -> str:
        return str(self.told["user_code"])

    async def ask(self, **parameters: Any) -> Answer:
        """The device authorization request."""
        form: list[tuple[str, str]] = []
        for name, value in {"scope": "now", **parameters}.items():
            values = value if isinstance(value, list) else [value]
            form += [(name, each) for each in values if each is not None]
        return await self.client.post("/device_authorization", form)

    async def begin(self, **parameters: Any) -> "Device":
        answer = await self.ask(**parameters)
        assert answer.status == 200, answer.body
        self.told = answer.json
        return self

    async def poll(self, *, defer: bool = False, wait: float = 6, **extra: str) -> Answer:
        """One poll at the agreed pace."""
        self.served.clock.move(wait)
        form = [("grant_type", GRANT), ("device_code", self.told["device_code"]), *extra.items()]
        if defer:
            form.append(("completion_mode", "deferred"))
        return await self.client.post("/token", form)


@dataclass(slots=True)
class Viewer:
    """A person with a browser."""

    served: Served
    person: str = "uma"
    flow: Flow = field(init=False)

    def __post_init__(self) -> None:
        self.flow = Flow(Public(self.served, "tv"), self.person)

    async def open(self, path: str = "/device") -> PageSeen:
        return await self.flow.signed_in(await self.flow.follow(path))

    async def type(self, code: str) -> PageSeen:
        """Type a code and go where that leads."""
        form = (await self.open()).form("/device")
        fields = form.fields | {"user_code": code}
        return await self.flow.onward(await self.flow.tab.post(form.action, fields, follow=False))

    async def answer(self, page: PageSeen, decision: str = "agree", **changes: str) -> PageSeen:
        form = next(each for each in page.forms if ("decision", "agree") in each.buttons)
        fields = form.fields | {"decision": decision} | changes
        return await self.flow.onward(await self.flow.tab.post(form.action, fields, follow=False))

    async def agree(self, code: str) -> PageSeen:
        return await self.answer(await self.type(code))


async def approved(device: Device, person: str = "uma", **asked: Any) -> Device:
    """A device whose person has agreed."""
    await device.begin(**asked)
    page = await Viewer(device.served, person).agree(device.code)
    assert "return to your device" in page.text, page.text
    return device


async def deferred(device: Device, **asked: Any) -> str:
    """A device whose person has agreed and that waits for somebody else; the deferral code."""
    await approved(device, **{"scope": "read", **asked})
    answer = await device.poll(defer=True)
    assert "deferral_code" in answer.json, answer.body
    return answer.code
