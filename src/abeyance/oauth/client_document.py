"""Clients whose id is the address of a document about them (OAUTH-CIMD-01 to -04).

Judged here are the id before anything is fetched, and the document before anything of it is
believed. Who fetches, and what follows, is the server's.

Source: draft-ietf-oauth-client-id-metadata-document.
"""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from abeyance.oauth.redirect_uris import is_loopback
from abeyance.oauth.registration import Offered, read_metadata, texts
from abeyance.wire import names
from abeyance.wire.errors import InvalidClientMetadata, InvalidRedirectUri
from abeyance.wire.strict_json import Json, NotStrictJson, parse_json_object

SCHEME: Final = "https://"
MAX_DOCUMENT: Final = 5 * 1024
SHORTEST: Final = timedelta(seconds=60)
LONGEST: Final = timedelta(hours=24)
USUAL: Final = timedelta(minutes=10)

# No port, no user, no query: the exact string is the client, so there is one way to write it.
_ID = re.compile(
    r"https://(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)+)(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@/-]*)",
    re.ASCII,
)
_JSON = re.compile(
    r"application/(?:json|[a-z0-9.+-]+\+json)(?:[ \t]*;.*)?", re.ASCII | re.IGNORECASE
)
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?(\d{1,9})", re.ASCII | re.IGNORECASE)
_NEVER_KEPT = re.compile(r"(?:^|[,\s])no-(?:store|cache)(?:$|[,\s=])", re.ASCII | re.IGNORECASE)
_METHODS: Final = (names.NONE, names.PRIVATE_KEY_JWT)


def host_of_id(client: str) -> str | None:
    """The host of an id that may be the address of a document, else `None`."""
    found = _ID.fullmatch(client)
    if found is None or not {".", ".."}.isdisjoint(found["path"].split("/")):
        return None
    return found["host"]


def is_json(content_type: str | None) -> bool:
    return content_type is not None and _JSON.fullmatch(content_type) is not None


def read_freshness(cache_control: str | None) -> timedelta:
    """For how long the document may be believed (RFC 9111), within our bounds."""
    told = cache_control or ""
    if _NEVER_KEPT.search(told):
        return SHORTEST
    found = _MAX_AGE.search(told)
    if found is None:
        return USUAL
    return min(LONGEST, max(SHORTEST, timedelta(seconds=int(found[1]))))


def read_document(client: str, body: bytes, offered: Offered) -> dict[str, Json]:
    """The metadata in the document of this client, as `registration.read_metadata`.

    Raises `InvalidClientMetadata`, `InvalidRedirectUri`, `UnapprovedSoftwareStatement`.
    """
    try:
        told = dict(parse_json_object(body))
    except NotStrictJson:
        raise InvalidClientMetadata("The document is not a JSON object") from None
    if told.get(names.CLIENT_ID) != client:
        raise InvalidClientMetadata("The document is about another client")
    if any(name.startswith(names.CLIENT_SECRET) for name in told):
        raise InvalidClientMetadata("A public document holds no secret")
    # The default of RFC 7591 is a secret, which there cannot be.
    if told.setdefault("token_endpoint_auth_method", names.NONE) not in _METHODS:
        raise InvalidClientMetadata("The method needs a secret")
    taken = read_metadata(told, offered)
    own = SCHEME + (host_of_id(client) or "")
    _check_home(own, texts(taken, "redirect_uris"))
    _check_home(own, texts(taken, "interaction_redirect_uris"))
    return taken


def _check_home(own: str, uris: Iterable[str]) -> None:
    """Browsers go back to where the document is, or to the own machine."""
    for uri in uris:
        if not (uri.startswith(f"{own}/") or uri == own or is_loopback(uri)):
            raise InvalidRedirectUri("A redirect URI is of another origin than the client")
