"""A verification service as an operator would plug it in: it knows what was uploaded."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from abeyance.policy.steps import Done, Finished, NotDone, Visit


class Vendor:
    origin: Final = "https://verify.example"

    def __init__(self) -> None:
        self.uploaded: dict[str, str] = {}
        self.visits: list[Visit] = []

    async def start(self, visit: Visit) -> str:
        self.visits.append(visit)
        return f"{self.origin}/upload?ref={visit.reference}&back={quote(visit.return_url, safe='')}"

    async def finish(self, visit: Visit, query: Mapping[str, str]) -> Finished:
        document = self.uploaded.get(visit.reference)
        if document is None:
            return NotDone("Nothing has arrived at the verification service yet.")
        return Done((("Document", document), ("Checked by", "verify.example")))


VENDOR: Final = Vendor()
