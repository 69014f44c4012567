"""The command line: `abeyance serve`, `policy test`, `token`, `demo` and small helpers.

Exit codes, of every command: 0 it went well; 1 the answer is no (denied,
expired, not healthy); 2 the call or the configuration is wrong.
"""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; the script's entry point."""
    try:
        from abeyance.cli.app import run
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] == "abeyance":
            raise
        print(
            f"abeyance: the module {missing.name} is missing. "
            'Run: pip install "abeyance[server]" (or "abeyance[cli]" for `abeyance token` alone).',
            file=sys.stderr,
        )
        return 2
    return run(sys.argv[1:] if arguments is None else arguments)
