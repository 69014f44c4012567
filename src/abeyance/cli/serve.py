"""`abeyance serve`."""

from pathlib import Path

from abeyance.cli import common
from abeyance.server.launch import serve as launch


def serve(*, config: Path | None = None, data: str | None = None, listen: str | None = None) -> int:
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
    """
    return launch(common.load(config, {"data": data, "server.listen": listen}))
