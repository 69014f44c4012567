"""Ports for servers that are to have them again after they were down."""

import secrets
import socket
from contextlib import ExitStack, suppress


def free_ports(many: int) -> int:
    """The first of so many free ports in a row.

    Below those that the system gives to callers (Linux: from 32768 on): one of those could be
    taken by somebody's connection while its server is down.
    """
    while True:
        with ExitStack() as stack, suppress(OSError):
            first = secrets.choice(range(15_000, 32_000))
            for port in range(first, first + many):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
