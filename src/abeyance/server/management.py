"""What an operator's machines ask, on a listener of its own (SEC-OPS-10, -14).

It answers before the house is open and while it closes, so that whoever starts and stops
processes is told which of the two it is. It knows no secret, and nobody has to sign in:
who reaches it is decided by its address, which is of this machine alone unless settings say
otherwise. A host application that mounts `Abeyance` mounts this where it likes.
"""

from enum import StrEnum

from prometheus_client.exposition import choose_encoder

from abeyance.acts.house import House
from abeyance.faces import render_error
from abeyance.server.gauges import Gauges
from abeyance.server.http import (
    NEVER_STORED,
    Receive,
    Scope,
    Send,
    json_fields,
    log_fault,
    send_reply,
)
from abeyance.server.probes import Check
from abeyance.store.ports import StoreAway
from abeyance.wire.errors import ServerError, WrongMethod
from abeyance.wire.reply import Reply, render_json

_FIELDS = json_fields(https=False)
_NOT_FOUND = Reply(404, b'{"error":"not_found"}')


class Phase(StrEnum):
    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"


class Management:
    """Probes and metrics of one server as an ASGI application."""

    __slots__ = ("_check", "_gauges", "_house", "_phase")

    def __init__(self) -> None:
        self._phase = Phase.STARTING
        self._house: House | None = None
        self._check: Check | None = None
        self._gauges: Gauges | None = None

    def opened(self, house: House) -> None:
        """The house answers from now on."""
        self._house, self._check, self._gauges = house, Check(house), Gauges(house)
        self._phase = Phase.SERVING

    def stops(self) -> None:
        """Nothing new is accepted any more; what was begun is answered."""
        self._phase = Phase.STOPPING

    def closed(self) -> None:
        """The store is closed: nothing can be measured."""
        if self._gauges is not None:
            self._gauges.close()
        self._house = self._check = self._gauges = None
        self._phase = Phase.STOPPING

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        fields = _FIELDS
        try:
            if scope["method"] not in ("GET", "HEAD"):
                reply = render_error(WrongMethod("GET, HEAD"))
            elif scope["path"] == "/metrics":
                reply, fields = await self._metrics(scope), NEVER_STORED
            else:
                reply = await self._probe(scope["path"])
        except Exception as fault:
            log_fault(fault)
            reply, fields = render_error(ServerError()), _FIELDS
        await send_reply(scope, send, reply, fields)

    async def _probe(self, path: str) -> Reply:
        match path:
            case "/livez":
                return _word(200, "ok")
            case "/startupz":
                started = self._phase is not Phase.STARTING
                return _word(200, "ok") if started else _word(503, self._phase)
            case "/readyz" | "/healthz":
                return await self._readiness()
            case _:
                return _NOT_FOUND

    async def _readiness(self) -> Reply:
        if self._check is None or self._phase is not Phase.SERVING:
            return _word(503, self._phase)
        try:
            await self._check()
        except StoreAway:
            return _word(503, "unavailable", store="away")
        return _word(200, "ok", store="ok")

    async def _metrics(self, scope: Scope) -> Reply:
        if self._house is None or self._gauges is None:
            return Reply(503, b"", ((b"retry-after", b"1"),))
        registry = self._house.counters.registry
        await self._gauges.look()
        accept = b", ".join(value for name, value in scope["headers"] if name == b"accept")
        encode, content_type = choose_encoder(accept.decode("latin-1"))
        return Reply(200, encode(registry), ((b"content-type", content_type.encode()),))


def _word(status: int, said: str, **checks: str) -> Reply:
    return Reply(status, render_json({"status": said, "checks": checks}))
