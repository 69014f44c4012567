"""The import contract of `.importlinter`: each room imports only what its row allows.

Import Linter's own contracts know layers and forbidden pairs; our table is an allow-list, and it
must hold while a room is still missing. Only direct imports are judged: every room is, so no
indirect path can be wider than the table.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


def parse_rows(lines: list[str]) -> dict[str, frozenset[str]]:
    """Parse rows such as `parties: wire access`; the part after the colon may be empty."""
    rows: dict[str, frozenset[str]] = {}
    for line in lines:
        room, colon, allowed = line.partition(":")
        if not colon:
            raise fields.ValidationError(f"'{line}' is not of the form 'room: other rooms'.")
        rows[room.strip()] = frozenset(allowed.split())
    return rows


def parse_words(lines: list[str]) -> frozenset[str]:
    """Parse words separated by spaces or ends of lines."""
    return frozenset(word for line in lines for word in line.split())


def room_of(module: str, rooms: Mapping[str, object]) -> str | None:
    """Find the row that speaks for a module: the longest name wins. `module` has no root."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in rooms), None)


def is_within(module: str, package: str) -> bool:
    """Tell whether a module is the package or lies in it."""
    return module == package or module.startswith(f"{package}.")


class RoomsContract(Contract):
    """Judge every import that starts in the root package against the table."""

    type_name = "rooms"

    rooms = fields.ListField(subfield=fields.StringField())
    pure = fields.ListField(subfield=fields.StringField())
    pure_never_import = fields.ListField(subfield=fields.StringField())
    client_rooms = fields.ListField(subfield=fields.StringField())
    client_never_imports = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Collect the imports that no row allows."""
        rows = parse_rows(_lines(self.rooms))
        bans = [
            (parse_words(_lines(self.pure)), parse_words(_lines(self.pure_never_import))),
            (
                parse_words(_lines(self.client_rooms)),
                parse_words(_lines(self.client_never_imports)),
            ),
        ]
        root = str(self.session_options["root_packages"][0])
        broken = sorted(set(_violations(graph, root, rows, bans)))
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line for each import that is not allowed."""
        for line in check.metadata["broken"]:
            output.print_error(line)
        output.new_line()


def _lines(field: Any) -> list[str]:
    # On an instance a field holds its parsed value, which the declaration cannot say.
    return list(field)


def _violations(
    graph: ImportGraph,
    root: str,
    rows: Mapping[str, frozenset[str]],
    bans: list[tuple[frozenset[str], frozenset[str]]],
) -> Iterator[str]:
    for importer in graph.modules:
        if not is_within(importer, root):
            continue
        module = importer.removeprefix(root).removeprefix(".")
        room = room_of(module, rows)
        if room is None and module:
            yield f"{importer} lies in no room of the table"
            continue
        # The root package belongs to every room, and so may import none.
        allowed = rows[room] | {room, room.partition(".")[0]} if room else frozenset[str]()
        banned = frozenset[str]().union(*(names for rooms, names in bans if room in rooms))
        for imported in graph.find_modules_directly_imported_by(importer):
            where = graph.get_import_details(importer=importer, imported=imported)
            arrow = f"{importer}:{where[0]['line_number'] if where else '?'} imports {imported}"
            if is_within(imported, root):
                target = imported.removeprefix(root).removeprefix(".")
                if target and not any(is_within(target, name) for name in allowed):
                    choice = ", ".join(sorted(allowed)) or "no room"
                    yield f"{arrow}: {room or root} may import {choice}"
            elif any(is_within(imported, name) for name in banned):
                yield f"{arrow}: never in {room}"
