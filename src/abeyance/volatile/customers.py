"""Whose calls are counted together, so that a limit by address is one (SEC-DOS-08)."""

import ipaddress
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_CUSTOMER: Final = 64  # bits of an IPv6 address that one customer does not choose


def parse_address(text: str) -> Address | None:
    """The address, IPv4 as such also where a socket for both families shows it."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def find_customer(address: str) -> str:
    """An address, of IPv6 the network of one customer, who has more addresses than any memory."""
    parsed = parse_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(parsed), _CUSTOMER), strict=False))
    return address if parsed is None else str(parsed)
