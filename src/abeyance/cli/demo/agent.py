"""The agent of the story, as a program of its own, so that it can be killed and started again.

    python -m abeyance.cli.demo.agent FOLDER ISSUER

It asks for one payment, saves its handle sealed, and waits. Started again, it finds
the handle and goes on waiting: there is no second request.
"""

import sys
from pathlib import Path

from abeyance.cli.demo.stage import CLIENT
from abeyance.client import Client, ClientSecretBasic, PendingToken, Progress
from abeyance.wire.secret import Secret

LARGE = {
    "type": "payment",
    "amount": {"amount": "480.00", "currency": "EUR"},
    "creditor": "Northwind Paper",
    "reference": "INV-2291",
    "reason": "Paper for the third quarter, ordered by the office.",
}
STATE = "agent.pending"


def main(folder: Path, issuer: str) -> int:
    secret = Secret((folder / "client-secret").read_text())
    from abeyance.client import generate_key

    with Client(issuer, CLIENT, ClientSecretBasic(secret), dpop_key=generate_key()) as client:
        state = folder / STATE
        if state.exists():
            _tell("a saved handle is here: going on with it")
            pending = client.resume(state)
        else:
            answer = client.request_token(authorization_details=[LARGE])
            if not isinstance(answer, PendingToken):
                raise SystemExit("the server answered at once")
            pending = answer
            pending.save(state)
            _tell("not yet; the handle is saved, sealed")
        token = pending.wait(on_progress=_progress)
        _tell(f"token: {token.token_type}, for {token.authorization_details[0]['amount']}")
    return 0


def _progress(progress: Progress) -> None:
    _tell(f"waiting ({progress.state.name.lower()})")


def _tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
