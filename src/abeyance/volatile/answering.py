"""First answers on their way out: nobody is called back before theirs is written (DTR-CB-03)."""

from collections.abc import Hashable


class Answering:
    """The requests whose first answer this process has not handed to the network yet."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: set[Hashable] = set()

    def begin(self, key: Hashable) -> None:
        self._keys.add(key)

    def end(self, key: Hashable) -> None:
        self._keys.discard(key)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._keys
