"""Resource indicators: absolute URIs, compared exactly (RFC 8707; OAUTH-RES-01, -06)."""

import re
from typing import Final

from abeyance.wire.errors import InvalidTarget

MAX_RESOURCES: Final = 16
MAX_LENGTH: Final = 2048
_ABSOLUTE = re.compile(
    r"[A-Za-z][A-Za-z0-9+.\-]*:[\x21\x24-\x3B\x3D\x3F-\x5B\x5D\x5F\x61-\x7A\x7E%]+", re.ASCII
)
_EMPTY_PATH = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]+", re.ASCII)


def parse_resources(values: tuple[str, ...]) -> frozenset[str]:
    """Check the syntax of `resource` parameters.

    Raises `InvalidTarget` for anything but absolute URIs without fragment.
    """
    if len(values) > MAX_RESOURCES:
        raise InvalidTarget("Too many resources are named")
    for value in values:
        if len(value) > MAX_LENGTH or "#" in value or not _ABSOLUTE.fullmatch(value):
            raise InvalidTarget("A resource must be an absolute URI without fragment")
    return frozenset(values)


def find_registered(asked: str, registered: frozenset[str]) -> str | None:
    """Return the registered spelling of `asked`, or `None`.

    Exact, but for one thing: an empty path equals `/`, because URL classes of
    common clients add the slash (OAUTH-RES-06).
    """
    if asked in registered:
        return asked
    bare = asked.removesuffix("/")
    if not _EMPTY_PATH.fullmatch(bare):
        return None
    other = bare if asked != bare else asked + "/"
    return other if other in registered else None
