"""First requests that may be sent again (EXT-IDEMP): what makes two of them the same.

A client names its request; the name and what was asked are two keys of one home. What is
compared is what the request was resolved to, never raw tokens or proofs, so a repetition may
carry fresh ones.

Source: EXT-IDEMP-01, -02, -07, -09.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from abeyance.access.access import Access
from abeyance.access.canonical import canonical_json
from abeyance.access.scope import render_scope
from abeyance.parties.client import ClientId
from abeyance.pending.exchanged import Exchanged
from abeyance.pending.handles import Home
from abeyance.wire.strict_json import Json, JsonObject

RETENTION: Final = timedelta(hours=24)  # of an identifier, behind the end of its code
MOST_RECOVERIES: Final = 3


@dataclass(frozen=True, slots=True)
class Delivery:
    """What request `n` was turned into, so that it can be made once more: the approval, and
    the generation at which this left the family.
    """

    n: int
    granted: Access
    until: datetime
    generation: int | None


@dataclass(frozen=True, slots=True)
class Repetition:
    """Request `n` may be sent again under `key`. `delivery`: once it was redeemed."""

    n: int
    key: bytes
    fingerprint: bytes
    recoveries: int = 0
    delivery: Delivery | None = None


def identifier_key(client: ClientId, identifier: str) -> bytes:
    """Under which a client's `deferral_request_id` is unique."""
    return hashlib.sha256(f"deferral_request_id\0{client}\0{identifier}".encode()).digest()


def content_key(key: bytes, fingerprint: bytes) -> bytes:
    """Under which this identifier with this content is unique."""
    return hashlib.sha256(b"content\0" + key + fingerprint).digest()


def fingerprint(
    *,
    grant_type: str,
    client: ClientId,
    subject: str,
    access: Access,
    home: Home | None,
    jkt: str | None,
    actor: JsonObject | None = None,
    exchanged: Exchanged | None = None,
) -> bytes:
    """The digest of all that makes a request what it is (EXT-IDEMP-02).

    `home` stands for the credential: whoever shows the same code, family or assertion
    comes to the same home. `None`: the grant has none.
    """
    return hashlib.sha256(
        canonical_json(
            {
                "grant_type": grant_type,
                "client": client,
                "subject": subject,
                "scope": render_scope(access.scope),
                "resources": sorted(access.resources),
                "authorization_details": list(access.details),
                "credential": None if home is None else home.hex(),
                "jkt": jkt,
                **_exchange(actor, exchanged),
            }
        )
    ).digest()


def _exchange(actor: JsonObject | None, exchanged: Exchanged | None) -> JsonObject:
    """Who acts, and what is made for whom; the subject token itself may be a fresh one."""
    members: dict[str, Json] = {}
    if actor is not None:
        members["actor"] = actor
    if exchanged is not None:
        target = exchanged.target
        members["exchanged"] = [
            exchanged.subject_type,
            exchanged.issued_type,
            exchanged.actor_type,
            None if target is None else [target.issuer, target.client],
        ]
    return members
