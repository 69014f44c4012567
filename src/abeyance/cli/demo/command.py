"""The command: a server in a temporary folder, the story, an exit code."""

import os
import sys
import tempfile
from pathlib import Path

from abeyance.cli.demo.narrator import Narrator
from abeyance.cli.demo.reviewer import Person, Reviewer, Script
from abeyance.cli.demo.stage import open_stage
from abeyance.cli.demo.story import tell

_YES = ("1", "true", "yes")


def demo(*, auto: bool = False) -> int:
    """Tell the story of an agent that asks for more than its standing approval.

    Starts a server on loopback with a database in a temporary folder, which goes
    when the story ends. You decide in your browser; with --auto, AUTO=1 or no
    terminal, a scripted reviewer decides, and the exit code says whether all went
    as told.

    Parameters
    ----------
    auto
        Let a script decide.
    """
    auto = auto or os.environ.get("AUTO", "").lower() in _YES or not sys.stdin.isatty()
    narrator = Narrator(sys.stdout)
    with (
        tempfile.TemporaryDirectory(prefix="abeyance-demo-") as folder,
        open_stage(Path(folder)) as stage,
    ):
        reviewer: Reviewer = Script(stage, narrator) if auto else Person(stage, narrator)
        try:
            as_told = tell(stage, narrator, reviewer)
        except KeyboardInterrupt:
            narrator.say("Stopped. The server and its folder go now.")
            return 130
    return 0 if as_told or not auto else 1
