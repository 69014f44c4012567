"""The whole server in one process, on a real store and a clock that the test moves.

`Served` speaks HTTP to the ASGI application as a client would; `Caller` is one
client with its credentials and key. Nothing here knows how the server works
inside, but for `house`, by which a test decides, looks into the store or counts.
"""

import asyncio
import base64
import itertools
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlencode

import apsw
import asyncpg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from abeyance.acts.decide import Counted, Vote, VoteResult, decide, review
from abeyance.acts.house import House
from abeyance.outbound.caller import Outside
from abeyance.outbound.mail import Mailer
from abeyance.parties.client import ClientId
from abeyance.pending.choosing import Choice
from abeyance.pending.handles import HandleKind, parse_handle
from abeyance.pending.request import Held, Key
from abeyance.pending.votes import Verdict
from abeyance.proofs import client_assertion, dpop
from abeyance.proofs.jwk import KeyPair, parse_private_pem
from abeyance.server.app import Abeyance
from abeyance.server.pages.host import HostPeople
from abeyance.server.settings import load_settings
from abeyance.wire import names
from tests.answer import Answer
from tests.clock import MovableClock
from tests.config import CONFIG, ISSUER, OWNER_HASH, SECRET
from tests.outside import Network
from tests.postgres.databases import PATIENT


def make_key() -> KeyPair:
    """A fresh P-256 key."""
    private = ec.generate_private_key(ec.SECP256R1())
    return parse_private_pem(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@dataclass(slots=True)
class Caller:
    """One client as a caller: `secret` by Basic or post, `key` by assertion, `dpop` by proof."""

    served: "Served"
    id: str
    method: str = names.CLIENT_SECRET_BASIC
    key: KeyPair | None = None
    dpop: KeyPair | None = None
    nonce: str | None = None
    count: "itertools.count[int]" = field(default_factory=itertools.count)

    def without_proof(self) -> "Caller":
        return Caller(self.served, self.id, self.method, self.key, None, None, self.count)

    def with_dpop(self, key: KeyPair | None) -> "Caller":
        return Caller(self.served, self.id, self.method, self.key, key, self.nonce, self.count)

    def assertion(self) -> str:
        assert self.key is not None
        return client_assertion.make_assertion(
            self.key,
            client_id=self.id,
            audience=self.served.issuer,
            now=self.served.clock.now(),
            jti=f"{self.id}-{next(self.count)}",
            lifetime=timedelta(seconds=60),
        )

    def proof(self, url: str, *, jti: str | None = None) -> str:
        assert self.dpop is not None
        return dpop.make_proof(
            self.dpop,
            method="POST",
            url=url,
            now=self.served.clock.now(),
            jti=jti or f"proof-{self.id}-{self.dpop.public.jkt[:6]}-{next(self.count)}",
            nonce=self.nonce,
        )

    def credentials(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Form parameters and header fields by which this client authenticates."""
        if self.key is not None:
            return [
                ("client_assertion_type", names.ASSERTION_JWT_BEARER),
                ("client_assertion", self.assertion()),
            ], []
        if self.method == names.CLIENT_SECRET_POST:
            return [("client_id", self.id), ("client_secret", SECRET)], []
        basic = base64.b64encode(f"{self.id}:{SECRET}".encode()).decode()
        return [], [("authorization", f"Basic {basic}")]

    async def post(
        self,
        path: str,
        form: Sequence[tuple[str, str]],
        *,
        headers: Sequence[tuple[str, str]] = (),
        leaves: asyncio.Event | None = None,
    ) -> Answer:
        more, fields = self.credentials()
        if self.dpop is not None:
            fields = [*fields, ("dpop", self.proof(self.served.issuer + path))]
        fields = [*fields, *headers]
        return await self.served.post(path, [*form, *more], headers=fields, leaves=leaves)

    async def ask(self, *, defer: bool = True, **parameters: Any) -> Answer:
        """A first request by client credentials; `scope` is `read` unless said otherwise."""
        form = [("grant_type", names.GRANT_CLIENT_CREDENTIALS)]
        if "scope" not in parameters and "authorization_details" not in parameters:
            parameters["scope"] = "read"
        for name, value in parameters.items():
            if name == "authorization_details" and not isinstance(value, str):
                value = json.dumps(value)
            form.append((name, value))
        if defer and "completion_mode" not in parameters:
            form.append(("completion_mode", "deferred"))
        return await self.post("/token", form)

    async def defer(self, **parameters: Any) -> str:
        """Ask for what must wait; return the deferral code."""
        answer = await self.ask(**parameters)
        assert answer.error == "authorization_pending", answer.body
        return answer.code

    async def poll(self, code: str, **extra: str) -> Answer:
        form = [("grant_type", names.GRANT_DEFERRED), ("deferral_code", code)]
        return await self.post("/token", [*form, *extra.items()])

    async def hold(
        self, code: str, seconds: int | str = 25, *, leaves: asyncio.Event | None = None
    ) -> Answer:
        """Poll, and wait so long for a better answer."""
        form = [("grant_type", names.GRANT_DEFERRED), ("deferral_code", code)]
        prefer = [("prefer", f"wait={seconds}")]
        return await self.post("/token", form, headers=prefer, leaves=leaves)

    async def revoke(self, token: str, **extra: str) -> Answer:
        return await self.post("/revoke", [("token", token), *extra.items()])


@dataclass(slots=True)
class Served:
    """A running server; `clock` is the test's to move."""

    app: Abeyance
    house: House
    clock: MovableClock
    keys: Mapping[str, KeyPair]
    answers: list[tuple[str, Answer]] = field(default_factory=list)
    issuer: str = ISSUER

    @property
    def s1(self) -> Caller:
        return Caller(self, "s1")

    @property
    def p1(self) -> Caller:
        return Caller(self, "p1", method=names.CLIENT_SECRET_POST)

    @property
    def c1(self) -> Caller:
        return Caller(self, "c1", key=self.keys["c1"], dpop=self.keys["d1"], count=_COUNTS)

    @property
    def c2(self) -> Caller:
        return Caller(self, "c2", key=self.keys["c2"], dpop=self.keys["d2"], count=_COUNTS)

    async def post(
        self,
        path: str,
        form: Sequence[tuple[str, str]] | bytes,
        *,
        headers: Sequence[tuple[str, str]] = (),
        leaves: asyncio.Event | None = None,
    ) -> Answer:
        body = form if isinstance(form, bytes) else urlencode(list(form)).encode()
        fields = [("content-type", "application/x-www-form-urlencoded"), *headers]
        return await self.send("POST", path, body=body, headers=fields, leaves=leaves)

    async def get(self, path: str, headers: Sequence[tuple[str, str]] = ()) -> Answer:
        return await self.send("GET", path, headers=headers)

    async def send(
        self,
        method: str,
        target: str,
        *,
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
        root_path: str = "",
        leaves: asyncio.Event | None = None,
    ) -> Answer:
        """Send a request; the caller stays until the answer, or until `leaves` is set."""
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": root_path + unquote(path),
            "raw_path": (root_path + path).encode(),
            "root_path": root_path,
            "query_string": query.encode(),
            "headers": [
                (name.lower().encode(), value.encode("latin-1")) for name, value in headers
            ],
            "client": ("192.0.2.1", 50_000),
            "server": ("as.example", 443),
        }
        sent: list[Any] = []
        incoming = iter([{"type": "http.request", "body": body, "more_body": False}])

        stays = leaves or asyncio.Event()

        async def receive() -> Any:
            for message in incoming:
                return message
            await stays.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        answer = Answer(
            sent[0]["status"],
            tuple((name.decode(), value.decode("latin-1")) for name, value in sent[0]["headers"]),
            b"".join(message.get("body", b"") for message in sent[1:]),
        )
        self.answers.append((path, answer))
        return answer

    async def registers(self, client: str, *profiles: str) -> None:
        """The client registers these profiles of deferral, and no others."""
        before = await self.house.store.find_client(ClientId(client))
        assert before is not None
        await self.house.store.put_client(replace(before, profiles=frozenset(profiles)))

    # --- what reviewers do

    async def held(self, code: str) -> Held:
        handle = parse_handle(HandleKind.DEFERRAL_CODE, code)
        assert handle is not None
        held = await self.house.store.find_held(handle)
        assert held is not None
        return held

    async def key_of(self, code: str) -> Key:
        return (await self.held(code)).key

    async def vote(
        self,
        code: str,
        verdict: Verdict = Verdict.APPROVE,
        *,
        by: str = "rita",
        choice: Choice | None = None,
        reason: str | None = None,
        shareable: bool = False,
    ) -> VoteResult:
        """Look at the request and vote on what was shown."""
        key = await self.key_of(code)
        person = next(each for each in await self.house.store.list_people() if each.id == by)
        seen = await review(self.house, person, key)
        return await decide(
            self.house,
            person,
            key,
            Vote(
                verdict=verdict,
                seen="" if seen is None else seen.disclosure.digest,
                version=0 if seen is None else seen.loaded.held.version,
                choice=choice,
                reason=reason,
                shareable=shareable,
            ),
        )

    async def approve(self, code: str, choice: Choice | None = None) -> None:
        assert isinstance(await self.vote(code, choice=choice), Counted)

    async def deny(self, code: str, reason: str | None = None, *, shareable: bool = False) -> None:
        voted = await self.vote(code, Verdict.DENY, reason=reason, shareable=shareable)
        assert isinstance(voted, Counted)


_COUNTS: "itertools.count[int]" = itertools.count()


@asynccontextmanager
async def serve(
    folder: Path,
    *,
    extra: str = "",
    config: str = CONFIG,
    people: HostPeople | None = None,
    outside: Outside | None = None,
    mailer: Mailer | None = None,
    clock: MovableClock | None = None,
) -> AsyncIterator[Served]:
    """Run the server over a store in `folder`; run it again there to restart it."""
    keys = place_keys(folder)
    file = folder / "abeyance.toml"
    if STORE is not None:
        config = f'store.url = "{STORE}"\n{config}'
    file.write_text(
        config.replace("{data}", str(folder))
        .replace("{extra}", extra)
        .replace("{hash}", OWNER_HASH)
    )
    clock = clock or MovableClock()
    app = Abeyance(
        load_settings(file, environ={}),
        clock=clock,
        people=people,
        outside=outside or Network(),
        mailer=mailer,
    )
    async with app.running() as house:
        yield Served(app, house, clock, keys)


def place_keys(folder: Path) -> Mapping[str, KeyPair]:
    folder.mkdir(exist_ok=True, parents=True)
    keys = _KEYS
    (folder / "s1.secret").write_text(SECRET)
    for name in ("c1", "c2"):
        (folder / f"{name}.jwks").write_text(json.dumps({"keys": [keys[name].public.jwk]}))
    return keys


# Where every server of a test keeps things: a database, if one was named.
STORE: str | None = None


@contextmanager
def keeping_in(url: str) -> Iterator[None]:
    """Servers that are begun in this block keep things in this database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "STORE", url)
        patch.setattr("abeyance.store.postgres.store.Bounds", lambda: PATIENT)
        yield


def count_rows(folder: Path, table: str) -> int:
    """How many rows a table has, seen from beside the server whose folder this is."""
    query = f"SELECT count(*) FROM {table}"
    if STORE is None:
        [(count,)] = apsw.Connection(str(folder / "abeyance.db")).execute(query)
        return int(count)

    async def ask(url: str) -> int:
        db = await asyncpg.connect(url)
        try:
            return int(await db.fetchval(query))
        finally:
            await db.close()

    with ThreadPoolExecutor(1) as aside:
        return aside.submit(asyncio.run, ask(STORE)).result()


_KEYS: Final = {name: make_key() for name in ("c1", "c2", "d1", "d2")}
