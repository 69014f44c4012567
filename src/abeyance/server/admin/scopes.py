"""The scopes of the admin API, declared by themselves; a client gets them like any other."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

READ: Final = "abeyance:read"
CLIENTS: Final = "abeyance:clients"
PEOPLE: Final = "abeyance:people"
REQUESTS: Final = "abeyance:requests"
DECIDE: Final = "abeyance:decide"

SCOPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        READ: "See clients, people and requests of this server",
        CLIENTS: "Register, change and disable clients of this server",
        PEOPLE: "Add, change and disable people of this server, and withdraw their consents",
        REQUESTS: "End requests and what came of them",
        DECIDE: "Decide, in your name, about what waits for you",
    }
)
MEANING: Final = "The administration of this server"
