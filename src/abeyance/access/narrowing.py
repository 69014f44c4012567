"""The only "not wider than" of the house (OAUTH-DEFER-05; DTR-INV-01, EXT-NARROW).

Used by decisions, by the sum of votes and by the re-check before a token is
minted. Whoever needs to know whether access grew asks here.
"""

from abeyance.access.access import Access
from abeyance.access.details import DetailsTypes


class Wider(Exception):
    """The grant would exceed what was asked; `dimension` names where."""

    def __init__(self, dimension: str) -> None:
        super().__init__(f"the {dimension} would be wider than asked")
        self.dimension = dimension


def check_not_wider(granted: Access, asked: Access, types: DetailsTypes) -> None:
    """Raise `Wider` if `granted` exceeds `asked` in any dimension."""
    if not granted.scope <= asked.scope:
        raise Wider("scope")
    if not granted.resources <= asked.resources:
        raise Wider("resources")
    if not types.covered(granted.details, asked.details):
        raise Wider("authorization_details")
    if granted.lifetime > asked.lifetime:
        raise Wider("lifetime")


def intersect(one: Access, other: Access, types: DetailsTypes) -> Access:
    """What both allow: the sum of two approving votes (never their union)."""
    return Access(
        scope=one.scope & other.scope,
        resources=one.resources & other.resources,
        details=types.common(one.details, other.details),
        lifetime=min(one.lifetime, other.lifetime),
    )
