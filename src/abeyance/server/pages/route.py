"""How an area of pages declares what it answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from abeyance.server.pages.desk import Desk

Answer: TypeAlias = Callable[[Desk, Request], Awaitable[Response]]


class Area(Enum):
    """Which header fields a page has (OAUTH-SESS-04)."""

    INNER = auto()  # cut off from whoever opened it
    FRONT = auto()  # on the way from a client and back: its window may be the client's


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRoute:
    """`path` is below the issuer's; a GET decides nothing."""

    path: str
    get: Answer | None = None
    post: Answer | None = None
    area: Area = Area.INNER
