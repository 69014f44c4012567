"""For resource servers: verify access tokens, ask for better ones, say who is trusted.

Needs nothing of the server, and no server of ours: any that issues JWT access tokens
(RFC 9068) or answers introspection (RFC 7662) will do.
"""

from abeyance.resource.admission import Guard, Needs, Shown
from abeyance.resource.described import ProtectedResource
from abeyance.resource.fetching import keys_of
from abeyance.resource.refusals import Refused
from abeyance.resource.shielded import ShieldedApp, access_of
from abeyance.resource.tokens import IntrospectedTokens, SignedTokens
from abeyance.resource.verified import VerifiedAccess
from abeyance.volatile.fetched_keys import KeysAway

__all__ = [
    "Guard",
    "IntrospectedTokens",
    "KeysAway",
    "Needs",
    "ProtectedResource",
    "Refused",
    "ShieldedApp",
    "Shown",
    "SignedTokens",
    "VerifiedAccess",
    "access_of",
    "keys_of",
]
