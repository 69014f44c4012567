"""From settings to a server that answers: checks, socket, event loop, what the operator reads.

`serve` is the command; `running_server` is the same server in a thread, for
tests, the demonstration and the benchmark, without the listener for probes. Both
run uvicorn as `serving.py` has it.
"""

import asyncio
import gc
import os
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from typing import Final

import abeyance
from abeyance.acts.house import Clock, House
from abeyance.keys import UnsafeKeys
from abeyance.server.app import Abeyance
from abeyance.server.declared import invite_first_administrator
from abeyance.server.http import Endpoint
from abeyance.server.logs import configure_logs
from abeyance.server.management import Management
from abeyance.server.serving import BACKLOG, Server, managing
from abeyance.server.serving import make_config as make_config
from abeyance.server.settings import ConfigurationError, Listen, Settings
from abeyance.server.settings_management import KEY as MANAGEMENT
from abeyance.server.settings_management import Managed
from abeyance.server.workers import BEAT, Place, run_workers
from abeyance.store.ports import StoreAway, StoreInUse, StoreTooNew
from abeyance.wire.secret import Secret

if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    import resource

    from uvloop import new_event_loop

OK: Final = 0
WRONG: Final = 2  # the configuration, or what it names, cannot be used

_DESCRIPTORS: Final = 65_536
_MANY_OBJECTS: Final = 20_000
_PRIVATE_UMASK: Final = 0o077


@dataclass(slots=True)
class Running:
    """A server that answers. `stop` may be called from any thread."""

    settings: Settings
    house: House
    address: str
    welcome: Secret | None  # the one-time link for the first administrator
    management: str | None  # where probes are answered; None: nowhere
    _server: Server = field(repr=False)

    def stop(self) -> None:
        self._server.should_exit = True


def serve(settings: Settings) -> int:
    """Serve until told to stop; return the exit code.

    What an operator can mend is told in one line on standard error. With several workers this
    process only starts them, and starts them again.
    """
    configure_logs("DEBUG" if settings.debug else "INFO", settings.log_format)
    os.umask(_PRIVATE_UMASK)  # whoever starts us with 0 still gets private files (SEC-OPS-04)
    _allow_descriptors()
    return _telling(lambda: _serve_here(settings))


def _serve_here(settings: Settings) -> int:
    check_place(settings)
    with ExitStack() as stack:
        listener = stack.enter_context(reserve(settings.listen))
        managements = [
            stack.enter_context(_reserve_management(settings.management, number))
            for number in range(settings.workers)
        ]
        if settings.workers == 1:
            _run(settings, _Post(listener, managements[0]), _greet)
        else:
            code = _run_workers(settings, listener, managements)
            if code != OK:
                return code
    _say("Stopped.\n")
    return OK


def _run_workers(
    settings: Settings, listener: socket.socket, managements: Sequence[socket.socket | None]
) -> int:
    if sys.platform == "win32":
        raise ConfigurationError("server.workers", "needs a system that forks", "Use 1 worker.")

    def work(place: Place) -> int:
        def ready(running: Running) -> None:
            _beat(place.alive)
            if place.first:
                _greet(running)

        post = _Post(listener, managements[place.number], place.first, place.parent)
        return _telling(lambda: _run(settings, post, ready))

    # Ours first: what came to a socket that nobody accepts from would be lost.
    return run_workers(settings.workers, work, listener.close)


def _telling(serve: Callable[[], int]) -> int:
    """Serve; tell what an operator can mend."""
    try:
        return serve()
    except (ConfigurationError, UnsafeKeys, StoreInUse, StoreAway, StoreTooNew) as error:
        sys.stderr.write(f"abeyance: {' '.join(str(error).split())}\n")
        return WRONG
    except KeyboardInterrupt:  # before the server had taken over the signals
        return OK


@contextmanager
def running_server(
    settings: Settings,
    *,
    listener: socket.socket | None = None,
    clock: Clock | None = None,
    wrap: Callable[[Abeyance], Endpoint] = lambda app: app,
) -> Iterator[Running]:
    """Run the real server in a thread; it has stopped when the block ends.

    `wrap` may put something in front of the application.

    For an ephemeral port, `reserve` one first, since the issuer must name it:

        with reserve(Listen("127.0.0.1", 0)) as listener:
            settings = load_settings(flags={"issuer": f"http://{address_of(listener)}", ...})
            with running_server(settings, listener=listener) as running: ...

    Raises whatever keeps the server from starting.
    """
    started = threading.Event()
    found: list[Running] = []
    failures: list[BaseException] = []

    def ready(running: Running) -> None:
        found.append(running)
        started.set()

    def work() -> None:
        try:
            with listener if listener is not None else reserve(settings.listen) as reserved:
                _run(settings, _Post(reserved), ready, clock, wrap)
        except BaseException as error:
            failures.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=work, name="abeyance")
    thread.start()
    started.wait()
    try:
        if found:
            yield found[0]
    finally:
        if found:
            found[0].stop()
        thread.join()
    if failures:
        raise failures[0]


def reserve(listen: Listen, key: str = "server.listen") -> socket.socket:
    """Take the address, so that nobody else gets it; connections wait until we serve.

    Raises `ConfigurationError`, about the setting `key`, if it cannot be had.
    """
    try:
        family, kind, number, _, place = socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
        try:
            if sys.platform != "win32":  # there it would let others take the port from us
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            # At once: to have bound it keeps out nobody who reuses addresses, as we do.
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ConfigurationError(
            key,
            f"{listen} cannot be had ({error.strerror})",
            "Stop whoever has it, or choose another address.",
        ) from None
    return listener


@contextmanager
def _reserve_management(managed: Managed, worker: int) -> Iterator[socket.socket | None]:
    """Take the address for probes of this worker, from 0; none where there shall be none, or
    where a default one is taken.
    """
    if managed.listen is None:
        yield None
        return
    try:
        listener = reserve(managed.of_worker(worker), MANAGEMENT)
    except ConfigurationError:
        if managed.demanded:
            raise
        yield None
        return
    with listener:
        yield listener


def address_of(listener: socket.socket) -> str:
    """host:port of a bound socket."""
    host, port = listener.getsockname()[:2]
    return str(Listen(host, port))


def check_place(settings: Settings) -> None:
    """Refuse to serve others from where a break-in would cost too much (SEC-OPS-04)."""
    if settings.is_loopback():
        return
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        raise ConfigurationError(
            "server",
            "does not serve other machines as root",
            "Run it as a user of its own, who owns the data folder and nothing else.",
        )
    code = Path(abeyance.__file__).parent
    for place in (code, *code.rglob("*")):
        if place.stat().st_mode & stat.S_IWOTH:
            raise ConfigurationError(
                "server",
                f"runs code that everybody may change ({place})",
                f"Run: chmod -R o-w {code}",
            )


@dataclass(frozen=True, slots=True)
class _Post:
    """Where one process serves, and among which."""

    listener: socket.socket
    management: socket.socket | None = None
    first: bool = True  # of those that were started together
    parent: int | None = None  # a descriptor that can be read when the parent has died


def _run(
    settings: Settings,
    post: _Post,
    ready: Callable[[Running], None],
    clock: Clock | None = None,
    wrap: Callable[[Abeyance], Endpoint] = lambda app: app,
) -> int:
    with _collected_seldom(), asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(Abeyance(settings, clock=clock), settings, post, ready, wrap))
    return OK


@contextmanager
def _collected_seldom() -> Iterator[None]:
    """Look for garbage that holds itself when much has come, not at each few requests.

    Where requests wait for a database side by side, each such look finds all of them alive: 6 %
    of what a poll on PostgreSQL cost. What goes around in circles is errors, and takes
    a few megabytes more before it is found.
    """
    before = gc.get_threshold()
    gc.set_threshold(_MANY_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def _serve(
    app: Abeyance,
    settings: Settings,
    post: _Post,
    ready: Callable[[Running], None],
    wrap: Callable[[Abeyance], Endpoint],
) -> None:
    probed = Management()
    where = None if post.management is None else address_of(post.management)
    # Opened here and not by a lifespan event, which would turn the reason why it
    # cannot be opened into a line of somebody else's log.
    async with managing(probed, post.management), app.running() as house:
        welcome = await invite_first_administrator(house) if post.first else None
        address = address_of(post.listener)

        def start() -> None:
            probed.opened(house)
            ready(Running(settings, house, address, welcome, where, server))

        def stop() -> None:
            probed.stops()
            house.waiters.close()

        server = Server(make_config(wrap(app)), start, stop)
        if post.parent is not None:
            _follow(post.parent, server)
        try:
            await server.serve(sockets=[post.listener])
        finally:
            probed.closed()


def _beat(alive: Callable[[], None]) -> None:
    """Give a sign of life, and again and again as long as the event loop moves."""
    alive()
    asyncio.get_running_loop().call_later(BEAT, _beat, alive)


def _follow(parent: int, server: Server) -> None:
    """End when the parent has."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(parent)
        server.handle_exit(SIGTERM, None)

    loop.add_reader(parent, end)


def _allow_descriptors() -> None:
    """Take what the system grants: the usual 1,024 are few for slow callers (SEC-DOS-03)."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _greet(running: Running) -> None:
    _say(_greeting(running))


def _greeting(running: Running) -> str:
    settings, house = running.settings, running.house
    lines = [
        f"Abeyance {abeyance.__version__} serves at {running.address}",
        f"  issuer   {house.endpoints.issuer}",
        f"  console  {house.endpoints.console}",
        f"  data     {settings.data}",
        *([f"  workers  {settings.workers}"] if settings.workers > 1 else []),
        f"  probes   {_probes(running)}",
    ]
    if running.welcome is not None:
        lines += [
            "",
            "Nobody can administer this server yet. Whoever opens this link within 15 minutes",
            "sets the administrator's password; it works once and is not shown again:",
            "",
            f"  {running.welcome.reveal()}",
        ]
    return "\n".join([*lines, "", ""])


def _probes(running: Running) -> str:
    if running.management is not None:
        return f"http://{running.management}"
    managed = running.settings.management
    return "off" if managed.listen is None else f"none: somebody else has {managed.listen}"


def _say(text: str) -> None:
    # Not to the log: the link is for the one who looks at this terminal, once.
    sys.stdout.write(text)
    sys.stdout.flush()
