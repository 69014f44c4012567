"""What a request proved that it holds, and what things are bound to (DTR-BIND-01, RFC 8705 §3).

A binding is text, and rests as such: the thumbprint of a DPoP key, that of a certificate
behind `x5t#S256=`, or both with a space between. Whoever continues must prove every part.
"""

from dataclasses import dataclass
from typing import Final

from abeyance.wire.strict_json import Json, JsonObject

X5T: Final = "x5t#S256"
_OF_CERTIFICATE: Final = X5T + "="


@dataclass(frozen=True, slots=True)
class ProvenKey:
    """The key that signed a DPoP proof for this request, by its thumbprint, and the client's
    certificate, by that of its DER (SHA-256, base64url). At least one is there.
    """

    jkt: str | None
    x5t: str | None = None

    @property
    def bound(self) -> str:
        """The binding of what starts with this request."""
        parts = (self.jkt, None if self.x5t is None else _OF_CERTIFICATE + self.x5t)
        return " ".join(part for part in parts if part is not None)

    def proves(self, bound: str) -> bool:
        """Is every part of the binding proven? More may be."""
        if bound == self.jkt:
            return True
        return set(bound.split(" ")) <= set(self.bound.split(" "))


def proves(key: ProvenKey | None, bound: str | None) -> bool:
    """May whoever proved this use what is bound to that?"""
    return bound is None or (key is not None and key.proves(bound))


def lacks_proof(key: ProvenKey | None, bound: str) -> bool:
    """Is the DPoP key of the binding not proven, whatever is with its certificate?"""
    jkt = next((part for part in bound.split(" ") if not part.startswith(_OF_CERTIFICATE)), None)
    return jkt is not None and (key is None or key.jkt != jkt)


def confirm(key: ProvenKey | None, *, certificate: bool) -> JsonObject | None:
    """The `cnf` of a token (RFC 9449 §6, RFC 8705 §3.1); `certificate`: is it bound to that too?"""
    members: dict[str, Json] = {}
    if key is not None and key.jkt is not None:
        members["jkt"] = key.jkt
    if key is not None and key.x5t is not None and certificate:
        members[X5T] = key.x5t
    return members or None


def read_confirmation(confirmation: Json) -> str | None:
    """The binding that a `cnf` states; `None` if it states none that is known."""
    if not isinstance(confirmation, dict):
        return None
    jkt, x5t = confirmation.get("jkt"), confirmation.get(X5T)
    if not (isinstance(jkt, str) or isinstance(x5t, str)):
        return None
    return ProvenKey(
        jkt if isinstance(jkt, str) else None, x5t if isinstance(x5t, str) else None
    ).bound
