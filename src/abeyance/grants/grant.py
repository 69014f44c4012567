"""What an originating grant is: a name and what it makes of a validated request.

Everything else (authentication, proof, scope, resources, details, policy,
minting, deferral) is the shared path's, so a new grant is one module and one
line in `grants/__init__.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from abeyance.parties.client import Client
from abeyance.pending.change import Step


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the grant's own credential stands for.

    `subject` is whom the token will be about; `requires` are the steps that
    spend the credential, the same for a token at once and for "not yet"
    (OAUTH-DEFER-01, -02).
    """

    subject: str
    requires: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """`claim` raises an `OAuthError` for a credential that does not hold."""

    name: str
    claim: Callable[[Client], Claimed]
