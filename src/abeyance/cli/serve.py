"""`abeyance serve`."""

from pathlib import Path

from abeyance.cli import common
from abeyance.server.launch import serve as launch


def serve(
    *,
    config: Path | None = None,
    data: str | None = None,
    listen: str | None = None,
    workers: int | None = None,
) -> int:
    """Run the authorization server until it is told to stop.

    With nothing said it makes its data folder, keys, database and a one-time
    link for the first administrator, says where to go, and serves this machine.

    Parameters
    ----------
    config
        The configuration file (TOML); else the one that ABEYANCE_CONFIG names.
    data
        The folder for keys and database, instead of the configured one.
    listen
        host:port, instead of the configured one.
    workers
        How many processes serve together, instead of what is configured; over PostgreSQL only.
    """
    flags = {
        "data": data,
        "server.listen": listen,
        "server.workers": None if workers is None else str(workers),
    }
    return launch(common.load(config, flags))
