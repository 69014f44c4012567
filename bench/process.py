"""Servers as processes: started, asked and ended by the benchmark."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.machine import resident_bytes
from bench.talking import Answer

_ENDING = 20.0  # seconds


class Process:
    """A server of the benchmark; leaves with the block that opened it."""

    def __init__(self, module: str, core: int | None, *arguments: str, first: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, "-" if core is None else str(core), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._write(first)
        self.port: int = self._read()["port"]

    @classmethod
    def bare(cls, core: int | None, answers: Sequence[Answer]) -> Self:
        """The bare server, which gives these answers in turn."""
        told = [
            {
                "status": each.status,
                "headers": each.headers,
                "body": base64.b64encode(each.body).decode(),
            }
            for each in answers
        ]
        return cls("bench.bare", core, first=json.dumps(told) + "\n")

    @classmethod
    def shipped(
        cls, core: int | None, configuration: Path, *, decisions: bool = False, paced: bool = False
    ) -> Self:
        """The shipped server."""
        more = [*(["decisions"] if decisions else []), *(["paced"] if paced else [])]
        return cls("bench.entry", core, str(configuration), *more)

    def counters(self) -> Mapping[str, float]:
        """What the server has counted so far, and `cpu_seconds` that it has used."""
        self._write("\n")
        counted: Mapping[str, float] = self._read()
        return counted

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.wait()

    def resident_bytes(self) -> int:
        return resident_bytes(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server ended with {self._process.wait()}")
        return json.loads(line)
