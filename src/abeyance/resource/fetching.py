"""The keys of an issuer, over HTTP: no redirect, nothing decoded, bounded in size and time."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import httpx2

from abeyance.volatile.fetched_keys import MAX_SET, FetchedKeys, KeysAway

_SECONDS: Final = 10.0
_PLAIN: Final = {"Accept-Encoding": "identity"}  # few bytes could become many (SEC-SSRF-62)


def keys_of(
    uri: str, http: httpx2.AsyncClient, *, tick: Callable[[], float] = time.monotonic
) -> FetchedKeys:
    """The keys at the `jwks_uri` of an issuer that the operator trusts; `http` is the host's."""

    async def fetch(address: str) -> bytes:
        try:
            # The library's bound is for each read: one byte at a time would never end.
            async with (
                asyncio.timeout(_SECONDS),
                http.stream(
                    "GET", address, headers=_PLAIN, follow_redirects=False, timeout=_SECONDS
                ) as answer,
            ):
                if answer.status_code != 200:
                    raise KeysAway
                taken = bytearray()
                async for piece in answer.aiter_raw():
                    taken += piece
                    if len(taken) > MAX_SET:
                        raise KeysAway
                return bytes(taken)
        except (httpx2.RequestError, httpx2.StreamError, httpx2.InvalidURL, OSError, TimeoutError):
            raise KeysAway from None

    return FetchedKeys(uri, fetch, tick=tick)
