"""What a reviewer is shown, as data, and its digest (EXT-EVID-01 to -03, -06; SEC-TM-07).

The page is a function of this object and of the template named in it; the object
is a function of the snapshot, the types and the request's instants. So whoever
has the three can redraw what was on the screen, and a vote that names the digest
is a vote on exactly that.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from abeyance.access.canonical import digest
from abeyance.access.details import TYPE, Detail, DetailsTypes
from abeyance.pending.request import Held, Key, Snapshot
from abeyance.wire.base64url import render_base64url
from abeyance.wire.strict_json import Json, JsonObject

OBJECT_TYPE: Final = "abeyance-disclosure"
TEMPLATE_ID: Final = "review"
TEMPLATE_VERSION: Final = "1"  # raised whenever the page words or orders the object otherwise
LOCALE: Final = "en"

NOT_RENDERABLE: Final = "This server does not know this type any more"


@dataclass(frozen=True, slots=True)
class Disclosure:
    """The object and its digest, `sha-256:` and base64url."""

    object: JsonObject
    digest: str


def disclose(
    held: Held,
    snapshot: Snapshot,
    types: DetailsTypes,
    *,
    issuer: str,
    scopes: Mapping[str, str],
) -> Disclosure:
    """Build what a reviewer must see. `scopes` maps a scope token to its meaning."""
    shown: JsonObject = {
        "template": {"id": TEMPLATE_ID, "version": TEMPLATE_VERSION},
        "locale": LOCALE,
        "request": {
            "id": request_name(held.key),
            "grant_type": snapshot.grant_type,
            "opened_at": _instant(held.opened_at),
            "decide_by": _instant(held.decide_by),
            "expires_at": _instant(held.expires_at),
        },
        "client": {"id": snapshot.client, "name": snapshot.client_name},
        "subject": snapshot.subject,
        "key": snapshot.binding.jkt,
        "items": _items(snapshot, types, scopes),
        "lifetime": int(snapshot.asked.lifetime.total_seconds()),
    }
    return Disclosure(shown, digest({"type": OBJECT_TYPE, "issuer": issuer, "object": shown}))


def request_name(key: Key) -> str:
    """A name for people and records. Not the home, with which the deferral code begins:
    no part of a handle is kept in the clear (SEC-STORE-01).
    """
    return render_base64url(hashlib.sha256(key.home + key.n.to_bytes(4, "big")).digest()[:12])


def _items(snapshot: Snapshot, types: DetailsTypes, scopes: Mapping[str, str]) -> list[Json]:
    asked = snapshot.asked
    items: list[Json] = [
        _detail_item(index, detail, types) for index, detail in enumerate(asked.details)
    ]
    items += [
        {"id": f"scope:{token}", "kind": "scope", "title": scopes.get(token, token), "value": token}
        for token in sorted(asked.scope)
    ]
    items += [
        {"id": f"resource:{uri}", "kind": "resource", "title": "Use at", "value": uri}
        for uri in sorted(asked.resources)
    ]
    return items


def _detail_item(index: int, detail: Detail, types: DetailsTypes) -> JsonObject:
    name = str(detail[TYPE])
    item: dict[str, Json] = {
        "id": f"detail:{index}",
        "kind": "authorization_details",
        "type": name,
        "digest": digest(detail),
        "data": detail,
    }
    if not types.accepts(detail):
        # Not approvable: the page offers no way to grant what it cannot show (SEC-UI-11).
        return item | {"title": NOT_RENDERABLE, "facts": [], "claims": [], "known": False}
    kind = types[name]
    rendering = kind.render(detail)
    return item | {
        "title": rendering.title,
        "facts": [[fact.label, fact.value] for fact in rendering.facts if not fact.claim],
        "claims": [[fact.label, fact.value] for fact in rendering.facts if fact.claim],
        "known": True,
        "divisible": kind.divisible,
        "parts": [[part.id, part.label] for part in kind.parts(detail)] if kind.divisible else [],
        "limits": [
            [limit.id, limit.label, f"{limit.asked:f}", limit.unit]
            for limit in (kind.limits(detail) if kind.divisible else ())
        ],
    }


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
