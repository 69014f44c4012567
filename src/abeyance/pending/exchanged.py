"""What a token exchange adds to a request: for whom, from what, and who acts (RFC 8693).

Frozen with the snapshot, so a poll cannot change any of it (EXT-GRANT-04).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from abeyance.pending.handles import Home
from abeyance.wire.strict_json import Json, JsonObject

MAX_ACTORS: Final = 4
MAX_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class Source:
    """The token of ours that something is derived from: one at a home, or (`jti` empty) the
    family there. When it is revoked, so is what was derived (OAUTH-TX-11).
    """

    home: Home
    jti: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """Another authorization server that an ID-JAG is for, and what the client is called there."""

    issuer: str
    client: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """`subject_type`, `issued_type` and `actor_type` (`None`: nobody acts) are the token types
    of RFC 8693 §3; `until`: the end of what the subject token rests on, such as an approval,
    which nothing derived outlives (EXT-BOUND-02).
    """

    subject_type: str
    issued_type: str
    actor_type: str | None = None
    source: Source | None = None
    target: Target | None = None
    until: datetime | None = None

    @property
    def impersonates(self) -> bool:
        """Does the client pose as the subject, without saying that it acts?"""
        return self.actor_type is None and self.target is None


def outermost(actor: JsonObject | None) -> str:
    """Who acts now; those before are history and decide nothing (RFC 8693 §4.1).

    A client or person of ours by its subject alone; whom another issuer names, behind that
    issuer and a space, so that no issuer can name one of ours.
    """
    if actor is None:
        return ""
    subject = str(actor["sub"])
    return f"{actor['iss']} {subject}" if "iss" in actor else subject


def read_chain(value: Json, issuer: str | None) -> JsonObject | None:
    """An `act` claim as we keep it: who, whose word it is, and who acted before.

    `issuer`: the one who says so, if it is not us. Raises `ValueError` for what is no chain, or a
    longer one than `MAX_ACTORS`.
    """
    links: list[dict[str, Json]] = []
    while value is not None:
        if not isinstance(value, dict) or len(links) == MAX_ACTORS:
            raise ValueError("not a chain of actors")
        link = {part: value[part] for part in ("sub", "iss", "client_id") if part in value}
        if "sub" not in link or not all(_is_name(each) for each in link.values()):
            raise ValueError("an actor has no name")
        if issuer is not None:
            link["iss"] = issuer
        links.append(link)
        value = value.get("act")
    chain: JsonObject | None = None
    for link in reversed(links):
        chain = link if chain is None else {**link, "act": chain}
    return chain


def _is_name(value: Json) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_NAME


def audience(exchanged: Exchanged | None) -> str:
    """The other server that an ID-JAG is for."""
    target = None if exchanged is None else exchanged.target
    return "" if target is None else target.issuer
