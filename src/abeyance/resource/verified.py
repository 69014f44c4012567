"""What a token that stands allows, as a resource server asks for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from abeyance.wire.strict_json import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAccess:
    """Made by `Guard` alone. `jkt`: the key that the request was proven with, if any.

    `details`: the `authorization_details` of the token, checked to be objects with a type.
    """

    issuer: str
    subject: str
    client_id: str
    scope: frozenset[str]
    details: Sequence[Mapping[str, Any]]
    auth_time: float | None
    acr: str | None
    jkt: str | None
    certificate: bool  # bound to the certificate that was shown
    claims: JsonObject = field(repr=False)

    def allows(self, type_: str, fits: Callable[[Mapping[str, Any]], bool]) -> bool:
        """Is there one detail of this type that covers the act by itself?

        Never two together: each was granted for itself (RFC 9396 §2).
        """
        return any(detail["type"] == type_ and fits(detail) for detail in self.details)
