"""Exchanges: what was sent, in values that are no secrets, and what of its answer must stay.

Of an answer that is the status, the error, which header fields it has, and its shape: the
names and types of a JSON answer, the fields of a page's forms, the parameters of a redirect.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from tests.answer import Answer
from tests.replay.references import Known, Value, read_page

_FORM: Final = "application/x-www-form-urlencoded"
_KEPT: Final = frozenset({"content-type", "prefer", "sec-fetch-site", "origin", "accept"})

Named = Sequence[Sequence[Any]]  # pairs of a name and a value


@dataclass(frozen=True, slots=True)
class Seen:
    """What of an answer must be the same."""

    status: int
    error: str | None
    headers: Sequence[str]
    shape: Any

    @classmethod
    def of(cls, answer: Answer) -> "Seen":
        kind = answer.header("content-type") or ""
        told = json.loads(answer.body) if kind.startswith("application/json") else None
        error = told.get("error") if isinstance(told, dict) else None
        shape = _page(answer) if kind.startswith("text/html") else shape_of(told)
        address = answer.header("location")
        if address is not None:
            asked = sorted(name for name, _ in parse_qsl(urlsplit(address).query))
            shape = {"to": urlsplit(address).netloc, "with": asked}
        return cls(answer.status, error, sorted({name for name, _ in answer.headers}), shape)


def shape_of(value: Any) -> Any:
    """The names and types of a JSON value; of a list, those of its members, each once."""
    match value:
        case dict():
            return {name: shape_of(each) for name, each in sorted(value.items())}
        case list():
            shapes = [shape_of(each) for each in value]
            return [each for at, each in enumerate(shapes) if each not in shapes[:at]]
        case _:
            return type(value).__name__


def _page(answer: Answer) -> Any:
    return {"fields": sorted({name for name, _ in read_page(answer.body.decode()).fields})}


@dataclass(frozen=True, slots=True)
class Exchange:
    """`at`: in seconds since the beginning. `path` in segments; `form`: none for another body."""

    at: float
    method: str
    path: Sequence[Value]
    query: Named
    headers: Named
    basic: Sequence[Value]
    token: Sequence[Value]  # the scheme, and the token
    cookies: Named
    proof: Value | None
    form: Named | None
    body: str
    seen: Seen

    @classmethod
    def of(
        cls,
        at: float,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        answer: Answer,
        known: Known,
    ) -> "Exchange":
        fields = {name.lower(): value for name, value in headers}
        path, _, query = target.partition("?")
        scheme, _, credential = fields.get("authorization", "").partition(" ")
        is_form = fields.get("content-type") == _FORM
        cookies = [each.partition("=") for each in fields.get("cookie", "").split("; ") if each]
        return cls(
            at=at,
            method=method,
            path=[known.hide("", each) for each in path.split("/")],
            query=_hidden(known, parse_qsl(query, keep_blank_values=True)),
            headers=[pair for pair in sorted(fields.items()) if pair[0] in _KEPT],
            basic=_basic(known, credential) if scheme == "Basic" else (),
            token=(scheme, known.hide("token", credential)) if scheme not in ("", "Basic") else (),
            cookies=[(name, known.hide("code", value)) for name, _, value in cookies],
            proof=known.hide("assertion", fields["dpop"]) if "dpop" in fields else None,
            form=_hidden(known, _pairs(body)) if is_form else None,
            body="" if is_form else body.decode(),
            seen=Seen.of(answer),
        )

    def target(self, known: Known) -> str:
        path = "/".join(quote(known.reveal(each)) for each in self.path)
        query = urlencode(_revealed(known, self.query))
        return f"{path}?{query}" if query else path

    def fields(self, known: Known) -> list[tuple[str, str]]:
        fields = [(str(name), str(value)) for name, value in self.headers]
        token: str | None = None
        if self.basic:
            pair = ":".join(known.reveal(each) for each in self.basic)
            fields.append(("authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
        if self.token:
            token = known.reveal(self.token[1])
            fields.append(("authorization", f"{self.token[0]} {token}"))
        if self.cookies:
            cookies = _revealed(known, self.cookies)
            fields.append(("cookie", "; ".join(f"{name}={value}" for name, value in cookies)))
        if isinstance(self.proof, Mapping) and "signed" in self.proof:
            fields.append(("dpop", known.prove(self.proof, token)))
        elif self.proof is not None:
            fields.append(("dpop", known.reveal(self.proof)))
        return fields

    def content(self, known: Known) -> bytes:
        if self.form is None:
            return self.body.encode()
        return urlencode(_revealed(known, self.form)).encode()


def _pairs(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode(), keep_blank_values=True)


def _basic(known: Known, credential: str) -> Sequence[Value]:
    name, _, secret = base64.b64decode(credential).decode().partition(":")
    return name, known.hide("client_secret", secret)


def _hidden(known: Known, pairs: Iterable[tuple[str, str]]) -> Named:
    return [(name, known.hide(name, value)) for name, value in pairs]


def _revealed(known: Known, pairs: Named) -> list[tuple[str, str]]:
    return [(str(name), known.reveal(value)) for name, value in pairs]


def write_exchanges(file: Path, exchanges: Iterable[Exchange]) -> None:
    lines = [json.dumps(_without_nothing(asdict(each)), sort_keys=True) for each in exchanges]
    file.write_text("".join(f"{line}\n" for line in lines))


def read_exchanges(file: Path) -> Iterator[Exchange]:
    nothing: dict[str, Any] = {
        "query": (), "headers": (), "basic": (), "token": (), "cookies": (), "proof": None,
        "form": None, "body": "",
    }  # fmt: skip
    for line in file.read_text().splitlines():
        told = nothing | json.loads(line)
        yield Exchange(**{**told, "seen": Seen(**told["seen"])})


def _without_nothing(told: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in told.items() if each not in ("", (), [], None)}
