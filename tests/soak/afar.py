"""`Served`, but of a process of its own: what it answers comes over HTTP, and nobody can look
into its house.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import apsw
import httpx2

from tests.answer import Answer
from tests.clock import MovableClock
from tests.served import Served, place_keys
from tests.soak.server import MOVED, TIDY

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PROGRAM: Final = "tests.soak.server"
_WITHIN: Final = 60.0  # seconds; nothing here depends on them


@dataclass(slots=True)
class Afar(Served):
    """`clock` is moved here, and there with the next request."""

    pid: int = 0
    folder: Path = field(default_factory=Path)
    client: httpx2.AsyncClient = field(default_factory=httpx2.AsyncClient)
    _moved: float = field(init=False)

    def __post_init__(self) -> None:
        self._moved = self.clock.tick()

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
        del root_path
        moved = str(self.clock.tick() - self._moved)
        asks = asyncio.ensure_future(
            self.client.request(
                method, target, content=body, headers=[*headers, (MOVED, moved)], timeout=_WITHIN
            )
        )
        if leaves is not None:
            asyncio.ensure_future(leaves.wait()).add_done_callback(lambda _: asks.cancel())
        answer = await asks
        fields = tuple((name.lower(), value) for name, value in answer.headers.multi_items())
        return Answer(answer.status_code, fields, answer.content)

    async def tidy(self) -> int:
        """Give back what memory it can; how many tasks it has."""
        answer = await self.send("POST", TIDY)
        return int(answer.json["tasks"])

    async def hang_up(self) -> None:
        """Close all connections to it."""
        await self.client.aclose()
        self.client = _client(self.issuer)

    def resident(self) -> int:
        """Bytes of memory that it holds."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> list[str]:
        """What it has open."""
        found = []
        for each in Path(f"/proc/{self.pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.append(str(each.readlink()))
        return found

    def rows(self) -> Mapping[str, int]:
        """How many each table has."""
        db = apsw.Connection(str(self.folder / "abeyance.db"))
        names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        tables = [name for (name,) in db.execute(names)]
        counts = {name: next(db.execute(f"SELECT count(*) FROM {name}"))[0] for name in tables}
        db.close()
        return counts


def _client(url: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=url, trust_env=False, limits=httpx2.Limits())


@asynccontextmanager
async def serve_afar(
    folder: Path, config: str, *, name: str = "abeyance", program: str = PROGRAM
) -> AsyncIterator[Afar]:
    """Run a server in a process of its own until the block ends; `name`: of its files."""
    keys = place_keys(folder)
    file = folder / f"{name}.toml"
    file.write_text(config.replace("{data}", str(folder)).replace("{extra}", ""))
    with _process(file, program) as (process, address):
        url = f"http://{address}"
        nothing = cast(Any, None)  # of the house: it is not here
        afar = Afar(
            nothing,
            nothing,
            MovableClock(),
            keys,
            issuer=url,
            pid=process.pid,
            folder=folder,
            client=_client(url),
        )
        try:
            yield afar
        finally:
            await afar.client.aclose()


@contextmanager
def _process(file: Path, program: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The server, and its address. Whoever ends it finds that it has ended well."""
    log = file.with_suffix(".log")
    with log.open("w") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", program, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
            cwd=ROOT,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout as says:
        try:
            address = says.readline().strip()
            assert address, log.read_text()
            yield process, address
        finally:
            process.stdin.close()
            process.wait(_WITHIN)
    assert process.returncode == 0, log.read_text()
