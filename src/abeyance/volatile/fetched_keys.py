"""Key sets that others publish: cached, fetched anew with restraint (OAUTH-CAUTH-26).

A key that is not known makes one new fetch, and then none for a while, whatever is sent: a
forger chooses the `kid`. When a fetch fails, the last good set serves until its ceiling. A fetch
goes on when whoever began it has gone: who comes and goes must not use up those of the others.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from abeyance.proofs.jwk import BadKey, KeySet, parse_jwks
from abeyance.proofs.jws import BadToken, read_header, split_compact
from abeyance.wire.strict_json import parse_json_object

FRESH: Final = 600.0  # seconds; a set is asked for again after this
CEILING: Final = 86_400.0  # seconds; no set is believed for longer
COOL_DOWN: Final = 60.0  # seconds between two fetches, whatever the reason (OAUTH-SSRF-05)
MAX_SET: Final = 64 * 1024  # bytes

Fetch: TypeAlias = Callable[[str], Awaitable[bytes]]


class KeysAway(Exception):
    """There is no set that may be believed, and none can be had now."""


class FetchedKeys:
    """The keys at one address. `fetch` returns the document, and raises `KeysAway`;
    `tick` is a monotonic clock in seconds.
    """

    __slots__ = ("_asked", "_fetch", "_fetching", "_got", "_keys", "_tick", "_uri")

    def __init__(self, uri: str, fetch: Fetch, *, tick: Callable[[], float]) -> None:
        self._uri = uri
        self._fetch = fetch
        self._tick = tick
        self._keys: KeySet | None = None
        self._got = 0.0
        self._asked: float | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def for_token(self, compact: str) -> KeySet:
        """The set that this token is to be judged by. Raises `KeysAway`, `BadToken`."""
        header = read_header(split_compact(compact).header)
        kid, alg = header.get("kid"), header.get("alg")
        if not isinstance(alg, str) or not isinstance(kid, str | None):
            raise BadToken("the header has no algorithm, or a kid that is not a string")
        known = self._believed()
        if known is not None and self._is_fresh() and known.candidates(alg, kid):
            return known
        await self._fetched_by_somebody()
        known = self._believed()
        if known is None:
            raise KeysAway
        return known

    def _believed(self) -> KeySet | None:
        return self._keys if self._tick() - self._got < CEILING else None

    def _is_fresh(self) -> bool:
        return self._tick() - self._got < FRESH

    async def _fetched_by_somebody(self) -> None:
        """Wait for the fetch that is under way, or for a new one if it is time for one."""
        if self._fetching is None or self._fetching.done():
            now = self._tick()
            if self._asked is not None and now - self._asked < COOL_DOWN:
                return
            self._asked = now
            self._fetching = asyncio.get_running_loop().create_task(self._refetch(now))
        await asyncio.shield(self._fetching)

    async def _refetch(self, now: float) -> None:
        try:
            document = await self._fetch(self._uri)
            if len(document) <= MAX_SET:
                self._keys, self._got = parse_jwks(parse_json_object(document)), now
        except (KeysAway, BadKey, ValueError):
            return
        except asyncio.CancelledError:
            self._asked = None  # the loop ends; from another one it may be asked at once
            raise
