"""The keys of an issuer, over HTTP: no redirect, no cookie, bounded in size and time."""

import time
from collections.abc import Callable
from typing import Final

import httpx2

from abeyance.volatile.fetched_keys import MAX_SET, FetchedKeys, KeysAway

_SECONDS: Final = 10.0


def keys_of(
    uri: str, http: httpx2.AsyncClient, *, tick: Callable[[], float] = time.monotonic
) -> FetchedKeys:
    """The keys at the `jwks_uri` of an issuer that the operator trusts; `http` is the host's."""

    async def fetch(address: str) -> bytes:
        try:
            async with http.stream(
                "GET", address, follow_redirects=False, timeout=_SECONDS
            ) as answer:
                if answer.status_code != 200:
                    raise KeysAway
                taken = bytearray()
                async for piece in answer.aiter_bytes():
                    taken += piece
                    if len(taken) > MAX_SET:
                        raise KeysAway
                return bytes(taken)
        except (httpx2.RequestError, httpx2.StreamError, httpx2.InvalidURL, OSError):
            raise KeysAway from None

    return FetchedKeys(uri, fetch, tick=tick)
