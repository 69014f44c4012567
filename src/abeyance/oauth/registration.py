"""What a client says about itself: which members are taken, and of which types (RFC 7591 §2).

A table of members, and nothing else is read: what the server grants of its own accord
(a first party's rights, introspection, people who answer for it) has no member here and
cannot be set (OAUTH-DCR-04). Whether a value fits the others is the configuration's code.

Source: RFC 7591 §2, §3.2.2; OAUTH-DCR-04 to -07, OAUTH-SCOPE-07.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from abeyance.access.scope import Scope, parse_scope, render_scope
from abeyance.proofs.certificate import SUBJECT_MEMBERS
from abeyance.wire import names
from abeyance.wire.errors import (
    InvalidClientMetadata,
    InvalidRedirectUri,
    InvalidScope,
    UnapprovedSoftwareStatement,
)
from abeyance.wire.strict_json import Json, JsonObject

MAX_TEXT: Final = 2048
MAX_ITEMS: Final = 32


class Kind(Enum):
    TEXT = auto()
    TEXTS = auto()
    BOOLEAN = auto()
    NUMBER = auto()
    OBJECT = auto()
    SHOWN = auto()  # a URI that is shown to people and never fetched
    CALLED = auto()  # a URI that this server fetches or posts to


MEMBERS: Final[dict[str, Kind]] = {
    "redirect_uris": Kind.TEXTS,
    "interaction_redirect_uris": Kind.TEXTS,
    "grant_types": Kind.TEXTS,
    "response_types": Kind.TEXTS,
    "contacts": Kind.TEXTS,
    "authorization_details_types": Kind.TEXTS,
    "deferred_token_response_profiles": Kind.TEXTS,
    "client_name": Kind.TEXT,
    "scope": Kind.TEXT,
    "software_id": Kind.TEXT,
    "software_version": Kind.TEXT,
    "application_type": Kind.TEXT,
    "subject_type": Kind.TEXT,
    "token_endpoint_auth_method": Kind.TEXT,
    "token_endpoint_auth_signing_alg": Kind.TEXT,
    "request_object_signing_alg": Kind.TEXT,
    "id_token_signed_response_alg": Kind.TEXT,
    **dict.fromkeys(SUBJECT_MEMBERS, Kind.TEXT),
    "tls_client_certificate_bound_access_tokens": Kind.BOOLEAN,
    "dpop_bound_access_tokens": Kind.BOOLEAN,
    "require_pushed_authorization_requests": Kind.BOOLEAN,
    "require_signed_request_object": Kind.BOOLEAN,
    "default_max_age": Kind.NUMBER,
    "jwks": Kind.OBJECT,
    "client_uri": Kind.SHOWN,
    "logo_uri": Kind.SHOWN,
    "policy_uri": Kind.SHOWN,
    "tos_uri": Kind.SHOWN,
    "jwks_uri": Kind.CALLED,
    "deferred_client_notification_endpoint": Kind.CALLED,
}
CALLED: Final = tuple(name for name, kind in MEMBERS.items() if kind is Kind.CALLED)
# Members for people may come in several languages (RFC 7591 §2.2).
_TRANSLATED: Final = frozenset({"client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri"})
_TAG = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,4}", re.ASCII)
_SHOWN = re.compile(r"https://[a-z0-9.-]+(:[0-9]{1,5})?([/?][!-;=?-\[\]_a-z~]*)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What clients that nobody knows may have."""

    scope: Scope
    default_scope: Scope
    resources: frozenset[str]
    grant_types: frozenset[str]
    details_types: frozenset[str]


def read_metadata(told: JsonObject, offered: Offered) -> dict[str, Json]:
    """The members that are taken, with the defaults of the server, as they will be registered.

    Raises `InvalidClientMetadata`, `InvalidRedirectUri`, `UnapprovedSoftwareStatement`.
    """
    if "software_statement" in told:
        # Its values would have to win over the others, so it cannot be passed over.
        raise UnapprovedSoftwareStatement
    taken: dict[str, Json] = {}
    for name, value in told.items():
        plain, mark, tag = name.partition("#")
        kind = MEMBERS.get(plain)
        if kind is None or (mark and not (plain in _TRANSLATED and _TAG.fullmatch(tag))):
            continue
        if not _fits(kind, value):
            if plain in ("redirect_uris", "interaction_redirect_uris"):
                raise InvalidRedirectUri(f"{plain} is not a short array of strings")
            if plain in CALLED:
                raise unfit(plain)
            raise InvalidClientMetadata(f"{plain} is of the wrong type or not an accepted URI")
        taken[name] = value
    if len(taken) > 2 * len(MEMBERS):
        raise InvalidClientMetadata("There are too many members")
    if "jwks" in taken and "jwks_uri" in taken:
        raise InvalidClientMetadata("Only one of jwks and jwks_uri may be registered")
    if taken.setdefault("subject_type", "public") != "public":
        raise InvalidClientMetadata("subject_type is public here")
    if taken.setdefault("application_type", "web") not in ("web", "native"):
        raise InvalidClientMetadata("application_type is web or native")
    taken.setdefault("token_endpoint_auth_method", names.CLIENT_SECRET_BASIC)
    _choose_grants(taken, offered)
    _choose_scope(taken, offered)
    if "authorization_details_types" in taken:
        taken["authorization_details_types"] = _of(
            texts(taken, "authorization_details_types"), offered.details_types
        )
    return taken


def unfit(member: str) -> InvalidClientMetadata:
    """One text whatever is wrong, so that nobody learns where a name leads (OAUTH-SSRF-07)."""
    return InvalidClientMetadata(f"{member} cannot be registered with this value")


def texts(metadata: JsonObject, name: str) -> list[str]:
    """An array of strings that `read_metadata` has taken; empty if it is not there."""
    value = metadata.get(name)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def text(metadata: JsonObject, name: str) -> str | None:
    """A string that `read_metadata` has taken."""
    value = metadata.get(name)
    return value if isinstance(value, str) else None


def _choose_grants(taken: dict[str, Json], offered: Offered) -> None:
    asked = texts(taken, "grant_types") or [names.GRANT_AUTHORIZATION_CODE]
    # A deferral is collected by whoever was deferred: no grant of its own to register.
    grants = [each for each in asked if each in offered.grant_types]
    if not grants:
        raise InvalidClientMetadata("None of the grant_types is open to clients that register")
    with_code = names.GRANT_AUTHORIZATION_CODE in grants
    responses = texts(taken, "response_types") if "response_types" in taken else None
    if responses is not None and responses != ([names.CODE] if with_code else []):
        raise InvalidClientMetadata("response_types does not go with grant_types")
    taken["grant_types"] = list(dict.fromkeys(grants))
    taken["response_types"] = [names.CODE] if with_code else []


def _choose_scope(taken: dict[str, Json], offered: Offered) -> None:
    asked = text(taken, "scope")
    if asked is None:
        taken["scope"] = render_scope(offered.scope)
        return
    try:
        scope = parse_scope(asked) & offered.scope
    except InvalidScope:
        raise InvalidClientMetadata("scope is not a list of scope tokens") from None
    if not scope:
        raise InvalidClientMetadata("Nothing of scope is open to clients that register")
    taken["scope"] = render_scope(scope)


def _of(asked: Iterable[str], offered: frozenset[str]) -> list[Json]:
    return [each for each in dict.fromkeys(asked) if each in offered]


def _fits(kind: Kind, value: Json) -> bool:
    match kind:
        case Kind.TEXT | Kind.CALLED:
            return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()
        case Kind.SHOWN:
            return (
                isinstance(value, str)
                and len(value) <= MAX_TEXT
                and _SHOWN.fullmatch(value) is not None
            )
        case Kind.TEXTS:
            return (
                isinstance(value, list)
                and len(value) <= MAX_ITEMS
                and all(_fits(Kind.TEXT, each) for each in value)
            )
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.NUMBER:
            return isinstance(value, int) and not isinstance(value, bool) and value >= 0
        case Kind.OBJECT:
            return isinstance(value, dict)
