"""The command: a server in a temporary folder, the story, an exit code."""

import os
import sys
import tempfile
from pathlib import Path

from abeyance.cli.demo import customer, reviewer
from abeyance.cli.demo.narrator import Narrator
from abeyance.cli.demo.stage import Stage, open_stage
from abeyance.cli.demo.stories import agent, crossing, identity, television, transfer
from abeyance.cli.demo.telling import HASTE, Told
from abeyance.cli.demo.you import You

_YES = ("1", "true", "yes")


def demo(*, auto: bool = False) -> int:
    """Tell five stories: a held transfer, an identity check, an agent that needs a yes, another
    that crosses from one company to another, and a television that cannot type.

    Starts a server on loopback with a database in a temporary folder, which goes
    when the stories end. You are the customer and the reviewer, in your browser;
    with --auto, AUTO=1 or no terminal a script is both, and the exit code says
    whether all went as told.

    Parameters
    ----------
    auto
        Let a script sign in, agree and decide.
    """
    auto = auto or os.environ.get("AUTO", "").lower() in _YES or not sys.stdin.isatty()
    narrator = Narrator(sys.stdout)
    with (
        tempfile.TemporaryDirectory(prefix="abeyance-demo-") as folder,
        open_stage(Path(folder)) as stage,
    ):
        try:
            as_told = _tell(_cast(stage, narrator, auto=auto))
        except KeyboardInterrupt:
            narrator.say("Stopped. The server and its folder go now.")
            return 130
    return 0 if as_told or not auto else 1


def _cast(stage: Stage, narrator: Narrator, *, auto: bool) -> Told:
    if not auto:
        you = You(stage, narrator)
        return Told(stage, narrator, you, you)
    rita, uma = reviewer.Script(stage, narrator), customer.Script(stage, narrator)
    return Told(stage, narrator, rita, uma, HASTE)


def _tell(told: Told) -> bool:
    """Tell all stories; `True` if everything went as told."""
    narrator, stage = told.narrator, told.stage
    narrator.title("The authorization server that can answer 'not yet'")
    narrator.say(
        f"Five stories, each with both ends: what the client hears at {stage.issuer}, and what "
        "people see in their browsers. The server is the real one, with a SQLite file in a "
        "temporary folder."
    )
    for story in (transfer, identity, agent, crossing, television):
        story.tell(told)
    narrator.title("The end")
    if told.surprises:
        count = len(told.surprises)
        narrator.say(f"{count} thing{'s' * (count > 1)} did not go as told.")
        return False
    narrator.say(
        "A transfer held and released; an identity checked, with two steps in between; an agent "
        "answered at once, approved over a kill, narrowed, denied, and withdrawn; another one let "
        "in next door by the person it works for; a television that says whose account it has. "
        "All went as told. Next: abeyance serve --config examples/abeyance.toml"
    )
    return True
