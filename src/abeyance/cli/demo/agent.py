"""The agent of the story, as a program of its own, so that it can be killed and started again.

    python -m abeyance.cli.demo.agent FOLDER ISSUER

It asks for one payment, saves its handle sealed, and waits. Started again, it finds
the handle and goes on waiting: there is no second request. Its DPoP key travels in
the handle, so the process that is started again is the same holder.
"""

import sys
from pathlib import Path

from abeyance.cli.demo.asked import HELD, LARGE, STATE, render_amount
from abeyance.cli.demo.narrator import Narrator
from abeyance.cli.demo.stage import CLIENT, tapped
from abeyance.client import Client, ClientError, ClientSecretBasic, PendingToken, generate_key
from abeyance.wire.secret import Secret


def main(folder: Path, issuer: str) -> int:
    """Ask or resume, wait, and say what came of it."""
    narrator = Narrator(sys.stdout)
    secret, state = Secret((folder / "client-secret").read_text()), folder / STATE
    with (
        tapped(narrator) as http,
        Client(
            issuer, CLIENT, ClientSecretBasic(secret), dpop_key=generate_key(), http=http
        ) as client,
    ):
        if state.exists():
            pending = client.resume(state)
            narrator.by("agent", "a sealed handle is here: going on with it, nothing asked anew")
        else:
            answer = client.request_token(authorization_details=[LARGE])
            if not isinstance(answer, PendingToken):
                return 1
            answer.save(state)
            pending = answer
            narrator.by("agent", HELD)
        try:
            token = pending.wait()
        except ClientError as ended:
            narrator.by("agent", f"no token: {ended}")
            return 1
        narrator.by("agent", f"granted  {render_amount(token.authorization_details[0])}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
