"""The world outside of a served house: nothing of it is real, and what was sent is kept."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from abeyance.outbound.caller import Fetched, Headers, Outside, Unreachable
from abeyance.outbound.targets import Forbidden, Reach, parse_target


@dataclass(slots=True)
class Post:
    url: str
    body: Any
    headers: dict[str, str]
    raw: str = field(default="", compare=False)


@dataclass(slots=True)
class Network(Outside):
    """The world outside: `answers` come one after the other, the last for ever."""

    answers: list[int | Exception] = field(default_factory=lambda: [204])
    posts: list[Post] = field(default_factory=list)
    gate: asyncio.Event | None = None
    behind_gate: str = ""  # what is in the addresses that wait at it
    pages: dict[str, Fetched] = field(default_factory=dict)
    gets: list[str] = field(default_factory=list)

    def check(self, url: str) -> None:
        parse_target(url, Reach())

    async def check_now(self, url: str) -> None:
        self.check(url)
        if "private" in url:
            raise Forbidden("a name that leads into a private network")

    async def get(self, url: str, *, at_most: int, accept: str) -> Fetched:
        self.check(url)
        self.gets.append(url)
        if self.gate is not None and self.behind_gate in url:
            await self.gate.wait()
        page = self.pages.get(url)
        if page is None or len(page.body) > at_most:
            raise Unreachable("nobody is there")
        return page

    def serves(self, url: str, value: Any, *, kind: str = "application/json") -> None:
        """From now on there is a document at this address."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.pages[url] = Fetched(200, ((b"content-type", kind.encode()),), body)

    async def post(self, url: str, body: bytes, headers: Headers, *, at_most: int) -> Fetched:
        del at_most
        told = {name.decode(): value.decode() for name, value in headers}
        self.posts.append(Post(url, json.loads(body), told, body.decode()))
        if self.gate is not None and self.behind_gate in url:
            await self.gate.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Fetched(answer, (), b"")
