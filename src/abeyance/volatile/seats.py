"""Seats for those who are kept waiting: so many in all, and so many for each (SEC-DOS-14)."""

from collections.abc import Hashable


class Seats:
    """Taken and left; `each` bounds what one caller has."""

    __slots__ = ("_by", "_each", "_most", "taken")

    def __init__(self, *, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self._by: dict[Hashable, int] = {}
        self.taken = 0

    def take(self, whose: Hashable) -> bool:
        """Take a seat; `False` if there is none."""
        has = self._by.get(whose, 0)
        if self.taken >= self._most or has >= self._each:
            return False
        self._by[whose] = has + 1
        self.taken += 1
        return True

    def leave(self, whose: Hashable) -> None:
        left = self._by[whose] - 1
        if left:
            self._by[whose] = left
        else:
            del self._by[whose]
        self.taken -= 1
