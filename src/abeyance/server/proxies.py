"""Who calls, where proxies stand in front that the settings name (OAUTH-HTTP-01, SEC-OPS-07).

Of what a proxy adds only `X-Forwarded-For` is read, only from a trusted peer, and only to
count by: limits and delays. Host, scheme and path come from the settings.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from abeyance.server.http import Endpoint, Receive, Scope, Send
from abeyance.volatile.customers import Address, parse_address

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_HEADER: Final = b"x-forwarded-for"
# No zone, no port, no brackets: a proxy that writes them is not one that was tried.
_ENTRY = re.compile(r"[0-9A-Fa-f:.]{2,45}")


def find_caller(peer: str, forwarded: Sequence[bytes], trusted: Sequence[Network]) -> str:
    """The caller's address: the peer's, or what trusted proxies say of it.

    `forwarded`: every X-Forwarded-For field, in order. Each proxy adds the address that
    it saw on the right, so reading from there stops at the first that no trusted proxy
    has; what stands left of it was written by the caller. If all are trusted, the caller
    is the one furthest away; if one that counts cannot be read, the peer is.
    """
    address = parse_address(peer)
    if address is None or not _is_in(address, trusted):
        return peer
    for entry in reversed(b",".join(forwarded).split(b",")):
        told = _parse_entry(entry)
        if told is None:
            return peer
        address = told
        if not _is_in(told, trusted):
            break
    return str(address)


def is_proxy(address: str, trusted: Sequence[Network]) -> bool:
    """Is this a trusted proxy's address, so that it says nothing about who calls?"""
    parsed = parse_address(address)
    return parsed is not None and _is_in(parsed, trusted)


def behind(endpoint: Endpoint, trusted: Sequence[Network]) -> Endpoint:
    """The endpoint, told who calls as if there were no proxies."""
    if not trusted:
        return endpoint

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if client is not None:
            forwarded = [value for name, value in scope["headers"] if name == _HEADER]
            caller = find_caller(client[0], forwarded, trusted)
            if caller != client[0]:
                scope = {**scope, "client": (caller, 0)}
        await endpoint(scope, receive, send)

    return told


def _parse_entry(entry: bytes) -> Address | None:
    text = entry.strip(b" \t").decode("latin-1")
    return parse_address(text) if _ENTRY.fullmatch(text) else None


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
