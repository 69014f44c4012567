"""What a server answered."""

import base64
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str | None:
        found: str | None = self.json.get("error")
        return found

    def header(self, name: str) -> str | None:
        found = [value for each, value in self.headers if each == name.lower()]
        return found[0] if found else None

    @property
    def code(self) -> str:
        return str(self.json["deferral_code"])

    def claims(self) -> dict[str, Any]:
        """The access token's claims, unverified."""
        payload = self.json["access_token"].split(".")[1]
        decoded: dict[str, Any] = json.loads(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        )
        return decoded


def check_not_stored(answer: Answer) -> None:
    """No cache keeps it, of whichever age (DTR-ERR-01)."""
    assert answer.header("cache-control") == "no-store"
    assert answer.header("pragma") == "no-cache"
    assert answer.header("etag") is None
    assert answer.header("age") is None
