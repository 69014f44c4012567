"""What goes wrong, as `application/problem+json` (RFC 9457). `code` is stable; texts are ours."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from abeyance.wire.reply import Reply, header, render_json

TYPE: Final = (b"content-type", b"application/problem+json")


@dataclass(eq=False)
class Problem(Exception):
    """The request ends here. `member` names the part of the body that is wrong."""

    status: int
    code: str
    title: str
    detail: str | None = None
    member: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def members(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "type": f"urn:abeyance:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
        }
        if self.detail is not None:
            told["detail"] = self.detail
        if self.member is not None:
            told["member"] = self.member
        return told

    def reply(self) -> Reply:
        headers = tuple(header(name, value) for name, value in self.headers.items())
        return Reply(self.status, render_json(self.members()), (TYPE, *headers))


def not_found() -> Problem:
    return Problem(404, "not_found", "There is nothing here, or not for you")


def malformed(detail: str, member: str | None = None) -> Problem:
    return Problem(400, "malformed", "The request cannot be read", detail, member)


def unfit(detail: str, member: str | None = None) -> Problem:
    return Problem(422, "unfit", "A value cannot be used", detail, member)


def conflict(code: str, detail: str) -> Problem:
    return Problem(409, code, "What stands now does not allow this", detail)


def forbidden(code: str, detail: str) -> Problem:
    return Problem(403, code, "This is not yours to do", detail)


DECLARED: Final = (
    "The configuration declares it, and alone changes it. It can be disabled and enabled."
)
