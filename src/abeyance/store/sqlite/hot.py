"""What the store keeps in memory, so that a pending poll costs a dictionary lookup.

Bounded, least recently used out. What a commit has moved is replaced or
forgotten on the loop, after COMMIT and before anybody is told. A read that was
under way meanwhile may come back with the row as it was: it must not put that
in (the mark in `_loading` tells).
"""

from collections import OrderedDict
from collections.abc import Awaitable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memory(Generic[K, V]):
    """At most `most` values; touched by the loop alone."""

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError("the memory of a store must have room for something")
        self._most = most
        self._known: OrderedDict[K, V] = OrderedDict()
        self._loading: dict[K, object] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: K) -> V | None:
        value = self._known.get(key)
        if value is not None:
            self._known.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Remember what the latest commit says."""
        self._loading.pop(key, None)
        self._remember(key, value)

    def forget(self, key: K) -> None:
        self._loading.pop(key, None)
        self._known.pop(key, None)

    async def load(self, key: K, read: Awaitable[V | None]) -> V | None:
        """Wait for `read` and remember what it found, unless a commit came between."""
        mark = self._loading.setdefault(key, object())
        try:
            value = await read
            if value is not None and self._loading.get(key) is mark:
                self._remember(key, value)
            return value
        finally:
            if self._loading.get(key) is mark:
                del self._loading[key]

    def _remember(self, key: K, value: V) -> None:
        self._known[key] = value
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
