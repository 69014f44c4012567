"""Clients that nobody has declared: from what they say of themselves to a `Client`.

The configuration's own code judges what a client says, so that nothing can be registered that
could not be declared. What they may have beyond that is `Offered` (OAUTH-SCOPE-07).
"""

from dataclasses import replace
from typing import Any, Final

from abeyance.acts.house import House
from abeyance.oauth.client_document import host_of_id
from abeyance.oauth.registration import CALLED, Offered, text, texts, unfit
from abeyance.outbound.targets import Forbidden
from abeyance.parties.client import Client, ClientId
from abeyance.parties.likeness import outline
from abeyance.server.settings_file import ClientTable
from abeyance.server.settings_parties import WITH_SECRET, Known, read_client
from abeyance.server.settings_values import ConfigurationError
from abeyance.wire import names
from abeyance.wire.errors import InvalidClientMetadata, InvalidRedirectUri
from abeyance.wire.strict_json import Json

_NAME_LENGTH: Final = 100
_PLACEHOLDER: Final = "registered"
# The file speaks of members by its own names.
_NAMES: Final = {"jwks_file": "jwks", "name": "client_name", "resources": "grant_types"}


async def read_registered(
    house: House,
    known: Known,
    metadata: dict[str, Json],
    offered: Offered,
    *,
    client: ClientId,
    digests: tuple[bytes, ...],
) -> Client:
    """Raises `InvalidRedirectUri`, `InvalidClientMetadata`; `metadata` is `read_metadata`'s."""
    scope = frozenset(str(metadata["scope"]).split())
    name = (text(metadata, "client_name") or str(client))[:_NAME_LENGTH]
    said: dict[str, Any] = {
        each: metadata[each] for each in ClientTable.__struct_fields__ if each in metadata
    }
    said |= {
        "id": _PLACEHOLDER,
        "name": name if name.strip() else str(client)[:_NAME_LENGTH],
        "scope": sorted(scope),
        "default_scope": sorted(offered.default_scope & scope),
        "resources": sorted(offered.resources),
        "secret_sha256": [digest.hex() for digest in digests] or None,
    }
    try:
        read = read_client(ClientTable(**said), replace(known, people={}, warnings=[]))
    except ConfigurationError as wrong:
        raise _refusal(wrong) from None
    await _check_name(house, replace(read, id=client))
    for each in CALLED:
        if (url := text(metadata, each)) is not None:
            try:
                await house.outside.check_now(url)
            except Forbidden:
                raise unfit(each) from None
    return replace(read, id=client, declared=False)


async def _check_name(house: House, client: Client) -> None:
    """Nobody who registers by themselves takes the name of a client that somebody here has looked
    at, or one that people would take for it (SEC-UI-08). Among themselves they may: each copy of
    a program registers anew.
    """
    looks = outline(client.name)
    for each in await house.store.list_clients():
        if (
            each.id != client.id
            and host_of_id(each.id) is None
            and outline(each.name) == looks
            and await house.store.find_registration(each.id) is None
        ):
            raise InvalidClientMetadata("client_name cannot be registered with this value")


def has_secret(metadata: dict[str, Json]) -> bool:
    return metadata["token_endpoint_auth_method"] in WITH_SECRET


def told_of(client: Client, metadata: dict[str, Json]) -> dict[str, Json]:
    """The metadata as it was registered, with what the server has made of it."""
    told = dict(metadata)
    told["redirect_uris"] = list[Json](texts(metadata, "redirect_uris"))
    if client.profiles is not None:
        told["deferred_token_response_profiles"] = list[Json](sorted(client.profiles))
    if not told["redirect_uris"] and names.GRANT_AUTHORIZATION_CODE not in client.grant_types:
        del told["redirect_uris"]
    return told


def _refusal(wrong: ConfigurationError) -> InvalidRedirectUri | InvalidClientMetadata:
    # The problem is told to operators and may name what was sent: a client hears the member.
    member = wrong.key.rpartition("].")[2]
    member = _NAMES.get(member, member)
    if member in ("redirect_uris", "interaction_redirect_uris"):
        return InvalidRedirectUri(f"{member} has a URI that cannot be registered, or lacks one")
    return unfit(member)
