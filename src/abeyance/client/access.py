"""What was asked, what was granted, and what is missing (EXT-NARROW-02, -04).

The library does not know the types of `authorization_details`, so it compares
them only as far as RFC 9396 §2 gives members a common meaning: a requested
object counts as granted if one granted object has the same members, where a
list may have grown but not shrunk.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Detail: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Access:
    """Scope, resources and `authorization_details`; false if there is nothing in it."""

    scope: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    authorization_details: tuple[Detail, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        scope: str | Iterable[str] = (),
        resource: str | Iterable[str] = (),
        authorization_details: Sequence[Detail] = (),
    ) -> "Access":
        """Take what callers like to give: one string or many."""
        return cls(
            scope=_once(scope.split() if isinstance(scope, str) else scope),
            resources=_once((resource,) if isinstance(resource, str) else resource),
            authorization_details=tuple(authorization_details),
        )

    def __bool__(self) -> bool:
        return bool(self.scope or self.resources or self.authorization_details)

    def without(self, granted: "Access") -> "Access":
        """What of this is not in `granted`.

        No member of a token response tells the granted resources, so they are
        never found missing.
        """
        left = list(granted.authorization_details)
        missing = []
        for wanted in self.authorization_details:
            # Each granted object answers one requested object: two payments are not one.
            match = next((one for one in left if _covers(one, wanted)), None)
            if match is None:
                missing.append(wanted)
            else:
                left.remove(match)
        return Access(
            scope=tuple(value for value in self.scope if value not in granted.scope),
            authorization_details=tuple(missing),
        )


NOTHING: Final = Access()


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _covers(granted: Detail, wanted: Detail) -> bool:
    return granted.keys() == wanted.keys() and all(
        _has_all(granted[name], value) if isinstance(value, list) else granted[name] == value
        for name, value in wanted.items()
    )


def _has_all(granted: Any, wanted: Sequence[Any]) -> bool:
    return isinstance(granted, list) and all(value in granted for value in wanted)
