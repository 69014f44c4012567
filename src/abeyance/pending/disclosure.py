"""What a reviewer is shown, as data, and its digest (EXT-EVID-01 to -03, -06; SEC-TM-07).

The page is a function of this object and of the template named in it; the object
is a function of the snapshot, the types and the request's instants. So whoever
has the three can redraw what was on the screen, and a vote that names the digest
is a vote on exactly that.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from abeyance.access.access import Access
from abeyance.access.canonical import digest
from abeyance.access.details import TYPE, Detail, DetailsTypes
from abeyance.pending.interaction import Interaction
from abeyance.pending.request import Held, Key, Snapshot
from abeyance.wire.base64url import render_base64url
from abeyance.wire.strict_json import Json, JsonObject

OBJECT_TYPE: Final = "abeyance-disclosure"
TEMPLATE_ID: Final = "review"
TEMPLATE_VERSION: Final = "3"  # raised whenever the page words or orders the object otherwise
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
    interactions: Sequence[Interaction] = (),
) -> Disclosure:
    """Build what a reviewer must see. `scopes` maps a scope token to its meaning.

    What came of an interaction is part of it, so whoever had the page before
    them without that did not see the same (EXT-EVID-03).
    """
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
        "person": _person(snapshot),
        "asserted_by": snapshot.asserted_by,
        "actors": [*_actors(snapshot.actor)],
        "target": _target(snapshot),
        "interactions": [_interaction(each) for each in interactions],
        "key": snapshot.binding.bound,
        "items": _items(snapshot.asked, types, scopes),
        "lifetime": int(snapshot.asked.lifetime.total_seconds()),
        **({"refused_before": snapshot.refused_before} if snapshot.refused_before else {}),
        **({"remembered": True} if is_remembered(snapshot, types) else {}),
    }
    return Disclosure(shown, digest({"type": OBJECT_TYPE, "issuer": issuer, "object": shown}))


def is_remembered(snapshot: Snapshot, types: DetailsTypes) -> bool:
    """Would an approval answer later requests too? One act is approved once (EXT-QUEUE-06)."""
    return snapshot.remember and types.is_standing(snapshot.asked.details)


def request_name(key: Key) -> str:
    """A name for people and records. Not the home, with which the deferral code begins:
    no part of a handle is kept in the clear (SEC-STORE-01).
    """
    return render_base64url(hashlib.sha256(key.home + key.n.to_bytes(4, "big")).digest()[:12])


def disclose_access(asked: Access, types: DetailsTypes, *, scopes: Mapping[str, str]) -> JsonObject:
    """What a person must see before they agree: the same items as for a reviewer."""
    return {"items": _items(asked, types, scopes), "locale": LOCALE}


def _items(asked: Access, types: DetailsTypes, scopes: Mapping[str, str]) -> list[Json]:
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


def _person(snapshot: Snapshot) -> JsonObject | None:
    """The resource owner behind the request; `None`: the client asks for itself."""
    if snapshot.person is None:
        return None
    authenticated = snapshot.auth_time
    return {
        "id": snapshot.person,
        "name": snapshot.person_name or snapshot.person,
        "authenticated_at": None if authenticated is None else _instant(authenticated),
    }


def _actors(actor: JsonObject | None) -> Iterator[Json]:
    """Who acts, and those who acted before, the latest first; whose word it is, if not ours."""
    while actor is not None:
        name = {"sub": str(actor["sub"])}
        yield name | {part: str(actor[part]) for part in ("iss", "client_id") if part in actor}
        before = actor.get("act")
        actor = before if isinstance(before, dict) else None


def _target(snapshot: Snapshot) -> str | None:
    """The other server at which what is granted could be redeemed."""
    target = None if snapshot.exchanged is None else snapshot.exchanged.target
    return None if target is None else target.issuer


def _interaction(done: Interaction) -> JsonObject:
    return {
        "number": done.number,
        "title": done.title,
        "note": done.note,
        "person": {"id": done.person, "name": done.person_name},
        "vouched": done.vouched,
        "answers": [[label, value] for label, value in done.answers],
        "at": _instant(done.at),
    }


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
