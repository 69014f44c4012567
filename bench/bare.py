"""The bare server: raw ASGI that reads the body and answers bytes that were recorded before.

Run as `python -m bench.bare CORE`; the first line of its standard input has the
answers in JSON. Several are given in turn.
"""

import base64
import itertools
import json
import sys
from collections.abc import Sequence

from abeyance.server.http import Endpoint, Receive, Scope, Send
from bench.machine import pin
from bench.serving import answer_questions, running_app


def bare_app(answers: Sequence[tuple[int, list[tuple[bytes, bytes]], bytes]]) -> Endpoint:
    """Answer what was recorded, byte for byte, to whatever comes."""
    messages = itertools.cycle(
        [
            (
                {"type": "http.response.start", "status": status, "headers": headers},
                {"type": "http.response.body", "body": body},
            )
            for status, headers, body in answers
        ]
    )

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        start, rest = next(messages)
        await send(start)
        await send(rest)

    return app


def main() -> None:
    pin(int(sys.argv[1]) if sys.argv[1] != "-" else None)
    answers = [
        (
            each["status"],
            [(name.encode(), value.encode("latin-1")) for name, value in each["headers"]],
            base64.b64decode(each["body"]),
        )
        for each in json.loads(sys.stdin.readline())
    ]
    with running_app(bare_app(answers)) as address:
        answer_questions(address)


if __name__ == "__main__":
    main()
