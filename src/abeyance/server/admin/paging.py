"""Lists that are read whole and told page by page, in the order of their ids."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from abeyance.server.admin.problems import malformed
from abeyance.server.admin.route import AdminRequest
from abeyance.wire.base64url import parse_base64url, render_base64url

T = TypeVar("T")


def page(
    items: Sequence[T], name: Callable[[T], str], request: AdminRequest
) -> tuple[list[T], str | None]:
    """This page of the list, and the cursor of the next.

    A cursor is the last name that was told, so what comes or goes meanwhile moves
    nothing that was not seen yet.
    """
    after = _read(request.query.get("cursor"))
    rest = sorted((item for item in items if name(item) > after), key=name)
    limit = request.limit()
    told = rest[:limit]
    return told, render_base64url(name(told[-1]).encode()) if len(rest) > limit else None


def _read(cursor: str | None) -> str:
    if cursor is None:
        return ""
    try:
        return parse_base64url(cursor).decode()
    except ValueError:
        raise malformed("The cursor is not one of this list", "cursor") from None
