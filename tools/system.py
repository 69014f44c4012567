"""Programs of the system that tests and benchmarks drive: Chromium, Node and wrk.

`ensure` finds one, installs the Debian package where that is possible (root, `apt-get`), or says
loudly what will be skipped. From the command line: `python tools/system.py chromium node`.
"""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Program:
    """A program, under any of its names, with what it needs beside it."""

    names: tuple[str, ...]
    packages: tuple[str, ...]
    skipped: str
    companions: tuple[str, ...] = ()

    def find(self) -> Path | None:
        """Find the program on PATH, together with its companions."""
        if not all(shutil.which(companion) for companion in self.companions):
            return None
        found = next((path for name in self.names if (path := shutil.which(name))), None)
        return Path(found) if found else None


PROGRAMS: Mapping[str, Program] = MappingProxyType(
    {
        "chromium": Program(
            names=("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
            packages=("chromium",),
            skipped="the tests that drive pages in a real browser",
        ),
        "node": Program(
            names=("node", "nodejs"),
            packages=("nodejs", "npm"),
            skipped="the tests against a JavaScript OAuth client",
            companions=("npm",),
        ),
        "wrk": Program(
            names=("wrk",),
            packages=("wrk",),
            skipped="every benchmark",
        ),
    }
)


def find(name: str) -> Path | None:
    """Find a program, and install nothing."""
    return PROGRAMS[name].find()


def ensure(name: str) -> Path | None:
    """Find a program or install its Debian packages; say on stderr what its absence costs."""
    program = PROGRAMS[name]
    if found := program.find():
        return found
    obstacle = _install(program.packages)
    if obstacle is None and (found := program.find()):
        return found
    _shout(
        f"{name} is not here: {program.skipped} will be skipped",
        f"why it was not installed: {obstacle or 'the packages did not bring it'}",
        f"what to do: install {' and '.join(program.packages)}, then run this again",
    )
    return None


def _install(packages: tuple[str, ...]) -> str | None:
    """Install packages; returns what stood in the way, if anything."""
    if not shutil.which("apt-get"):
        return "there is no apt-get here"
    if os.geteuid() != 0:
        return "this is not root, and only root can run apt-get"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _update_package_lists()
    print(f"Installing {' '.join(packages)} with apt-get", file=sys.stderr, flush=True)
    done = subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        env=environment,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return None if done.returncode == 0 else f"apt-get install ended with {done.returncode}"


@functools.cache
def _update_package_lists() -> None:
    # A failure shows itself in the installation that follows.
    subprocess.run(["apt-get", "update", "-qq"], stdout=subprocess.DEVNULL, check=False)


def _shout(*lines: str) -> None:
    width = max(map(len, lines)) + 4
    print("*" * width, *(f"* {line}" for line in lines), "*" * width, sep="\n", file=sys.stderr)


def main(names: list[str]) -> int:
    """Ensure each program that is named; absence is told, and an error only when CI is set."""
    unknown = [name for name in names if name not in PROGRAMS]
    if unknown or not names:
        print(f"usage: system.py {' '.join(f'[{name}]' for name in PROGRAMS)}", file=sys.stderr)
        return 2
    missing = [name for name in names if ensure(name) is None]
    return 1 if missing and os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
