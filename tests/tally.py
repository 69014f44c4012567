"""How much a lane has tried: tests say it, and `python -m faults` adds it up."""

import os
from pathlib import Path
from typing import Final

_FILE: Final = os.environ.get("FAULTS_TALLY")


def count(what: str, many: int = 1) -> None:
    """So many more of this were tried, if anybody counts."""
    if _FILE is not None:
        with Path(_FILE).open("a") as file:
            file.write(f"{many} {what}\n")
