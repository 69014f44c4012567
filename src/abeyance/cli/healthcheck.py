"""`abeyance healthcheck`: for whoever starts and watches processes, and has no `curl`."""

import http.client
import json
import sys
from pathlib import Path
from typing import Final

from abeyance.cli import common
from abeyance.cli.app import NO, OK
from abeyance.server.settings import ConfigurationError, Listen
from abeyance.server.settings_management import KEY, read_management
from abeyance.server.settings_values import parse_listen

_SECONDS: Final = 5.0
_MOST: Final = 64 * 1024
# Who listens on all addresses is asked on this machine's own.
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound


def healthcheck(*, config: Path | None = None, listen: str | None = None) -> int:
    """Ask the server on this machine whether it is ready: 0 it is, 1 it is not.

    Its management listener is asked (management.listen), so it need not be reachable from
    anywhere else.

    Parameters
    ----------
    config
        The configuration file (TOML); else the one that ABEYANCE_CONFIG names.
    listen
        host:port of the management listener, instead of the configured one.
    """
    told = common.gather(config, {KEY: listen}).decode()
    asked = read_management(told, parse_listen("server.listen", told.server.listen), []).listen
    if asked is None:
        raise ConfigurationError(KEY, "is off, so nobody can be asked", "Give it an address.")
    try:
        status, said = _ask(asked)
    except (OSError, http.client.HTTPException) as error:
        print(f"abeyance: {asked} does not answer ({type(error).__name__})", file=sys.stderr)
        return NO
    print(said)
    return OK if status == http.client.OK else NO


def _ask(listen: Listen) -> tuple[int, str]:
    connection = http.client.HTTPConnection(
        _ANY.get(listen.host, listen.host), listen.port, timeout=_SECONDS
    )
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return response.status, _status(response.read(_MOST))
    finally:
        connection.close()


def _status(body: bytes) -> str:
    """Its own word; of somebody else who has the address, nothing is repeated."""
    try:
        said = json.loads(body)["status"]
    except (ValueError, KeyError, TypeError):
        return "not Abeyance"
    return said if isinstance(said, str) and said.isalpha() else "not Abeyance"
