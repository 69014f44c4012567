"""One of several processes that need the same token at once.

    python -m tests.client.flight_worker ISSUER PATH

Says that it is ready, waits for a line, prints the access token that it got.
"""

import sys
from pathlib import Path

from abeyance.client import Client, PublicClient, TokenSource


def main(issuer: str, path: Path) -> None:
    with Client(issuer, "agent", PublicClient()) as client:
        source = TokenSource(client, path=path)
        say("ready")
        sys.stdin.readline()
        say(source.token().access_token.reveal())


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
