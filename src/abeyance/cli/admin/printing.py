"""What the commands print: tables for people, JSON for programs, a no on standard error."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from abeyance.cli.admin.connect import Api, NotDone, Where, connect
from abeyance.cli.app import NO, OK


def run(where: Where, work: Callable[[Api], Any], show: Callable[[Any], Sequence[str]]) -> int:
    """Do the work, and print what came of it; exit code 1 if the API says no."""
    try:
        with connect(where) as api:
            told = work(api)
    except NotDone as no:
        print(f"abeyance: {plain(str(no))}", file=sys.stderr)
        return NO
    if where.output == "json":
        print(json.dumps(told, indent=2))
    else:
        for line in show(told):
            print(line)
    return OK


def pages(api: Api, path: str, *query: tuple[str, str | None]) -> dict[str, Any]:
    """All pages of a list as one."""
    items: list[Any] = []
    cursor: str | None = None
    while True:
        told = api.call("GET", path, query=[*query, ("limit", "100"), ("cursor", cursor)]).body
        items += told["items"]
        cursor = told["next"]
        if cursor is None:
            return {"items": items}


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns, each as wide as it must be."""
    cells = [[plain(cell) for cell in row] for row in rows]
    if not cells:
        return []
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def facts(pairs: Sequence[tuple[str, str]]) -> list[str]:
    return table([(name, value) for name, value in pairs if value])


def plain(text: str) -> str:
    """Text that others wrote, without anything that moves a terminal's cursor or turns a line."""
    return "".join(
        each if each.isprintable() else f"<{ord(each):X}>" for each in text.replace("\n", " ")
    )


def yes_no(value: bool, yes: str, no: str) -> str:
    return yes if value else no
