"""The machine: which core is whose, and what a process holds."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cores:
    """One core for the server that is measured, another for the load; `None`: not pinned.

    `second`: for a second process beside the server; of two cores, the load's.
    """

    server: int | None
    load: int | None
    second: int | None = None


def choose_cores() -> Cores:
    """The last core that we may use for the servers, the first for the load."""
    if sys.platform != "linux":
        return Cores(None, None)
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[-1], usable[0], usable[-2]) if len(usable) > 1 else Cores(None, None)


def pin(core: int | None) -> None:
    """Keep this process, its threads and its children on one core."""
    if sys.platform == "linux" and core is not None:
        os.sched_setaffinity(0, {core})


def resident_bytes(pid: int) -> int:
    """The resident memory of a process."""
    statm = Path(f"/proc/{pid}/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    told = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return int(told.stdout) * 1024


def stolen_seconds() -> float:
    """For how long a host has kept this machine from a core, on average over the cores.

    0 where no host tells it.
    """
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    ticks = int(stat.read_text().split()[8])
    return ticks / os.sysconf("SC_CLK_TCK") / (os.cpu_count() or 1)


def load_average() -> tuple[float, float, float]:
    """How busy the machine was in the last 1, 5 and 15 minutes: ours and everybody else's."""
    return os.getloadavg()
