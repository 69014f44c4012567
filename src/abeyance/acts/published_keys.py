"""Keys that others publish at an address, asked for through the guard alone (OAUTH-CAUTH-26).

An address is what an operator or a client has registered, never what a token names
(OAUTH-SSRF-09). How often it is asked, and for how long an answer is believed, `FetchedKeys` says.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from abeyance.outbound.caller import Outside, Unreachable
from abeyance.outbound.targets import Forbidden
from abeyance.parties.client import Client
from abeyance.proofs.jwk import KeySet
from abeyance.proofs.jws import BadToken
from abeyance.volatile.fetched_keys import MAX_SET, FetchedKeys, KeysAway

_MOST: Final = 1024  # sets at hand; the one that was needed least lately goes
_ACCEPT: Final = "application/jwk-set+json, application/json"


class PublishedKeys:
    """Key sets by who publishes them and where."""

    __slots__ = ("_outside", "_sets", "_tick")

    def __init__(self, outside: Outside, *, tick: Callable[[], float]) -> None:
        self._outside = outside
        self._tick = tick
        self._sets: OrderedDict[tuple[str, str], FetchedKeys] = OrderedDict()

    async def of(self, whose: str, uri: str, signed: str) -> KeySet | None:
        """The set by which this token of theirs is to be judged, if one may be believed.

        Raises `BadToken` for what is none.
        """
        # By owner too: what is sent in one name must not use up the fetches of another.
        place = (whose, uri)
        known = self._sets.pop(place, None)
        if known is None:
            known = FetchedKeys(uri, self._fetch, tick=self._tick)
        self._sets[place] = known
        if len(self._sets) > _MOST:
            self._sets.popitem(last=False)
        try:
            return await known.for_token(signed)
        except KeysAway:
            return None

    async def _fetch(self, uri: str) -> bytes:
        try:
            fetched = await self._outside.get(uri, at_most=MAX_SET, accept=_ACCEPT)
        except (Forbidden, Unreachable):
            raise KeysAway from None
        if fetched.status != 200:
            raise KeysAway
        return fetched.body


async def with_keys(published: PublishedKeys, client: Client, signed: str) -> Client:
    """The client with the keys by which this token of it is to be judged.

    Without any where there are none: then nothing that is signed is right. A client whose keys
    are registered costs nothing here.
    """
    if client.jwks_uri is None or not client.enabled:
        return client
    try:
        return replace(client, keys=await published.of(client.id, client.jwks_uri, signed))
    except BadToken:
        return client
