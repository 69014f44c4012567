"""Values in requests, written so that none of them is a secret, and found again in a replay.

A value is text, or an object of one member that says where it is to be had:

    {"of": [3, "json.deferral_code"]}     the answer to exchange 3 brought it
    {"secret": "password"}                what the tests use under this name
    {"signed": "c1", "typ": …, "claims": …, "ath": value}   a key of this name signs it
    {"unknown": 43}                       of so many characters, and nobody ever had it
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from abeyance.proofs.jws import sign_jws
from abeyance.wire import names
from tests.answer import Answer
from tests.config import SECRET
from tests.console.house import PASSWORD
from tests.exchange.house import IDP_KEY
from tests.people.house import VERIFIER, challenge
from tests.served import Served

Value: TypeAlias = str | Mapping[str, Any]

SECRETS: Final[Mapping[str, str]] = {
    "client secret": SECRET,
    "password": PASSWORD,
    "verifier": VERIFIER,
    "challenge": challenge(),
}
# Parameters and fields that never stand in a file as they were.
_NEVER_AS_IT_IS: Final = frozenset(
    {
        "actor_token",
        "assertion",
        "client_assertion",
        "client_notification_token",
        "client_secret",
        "code",
        "code_verifier",
        "csrf",
        "deferral_code",
        "device_code",
        "password",
        "refresh_token",
        "request_uri",
        "subject_token",
        "token",
        "user_code",
    }
)
_LEAST: Final = 8  # characters; what is shorter is a word and no secret
_JWT: Final = "eyJ"


@dataclass(slots=True)
class Known:
    """What the answers so far have brought, by exchange and place, and the keys that sign."""

    keys: Mapping[str, Any]
    values: dict[tuple[int, str], str] = field(default_factory=dict)
    places: dict[str, tuple[int, str]] = field(default_factory=dict)

    @classmethod
    def to(cls, served: Served) -> "Known":
        return cls({**served.keys, "idp": IDP_KEY})

    def learn(self, number: int, answer: Answer) -> None:
        if "no-store" not in (answer.header("cache-control") or ""):
            return  # a public document: whoever quotes it says nothing secret
        for place, value in brought(answer):
            if len(value) >= _LEAST and " " not in value:
                self.values[number, place] = value
                self.places.setdefault(value, (number, place))

    def hide(self, name: str, value: str) -> Value:
        """How a value stands in a file."""
        if value in self.places:
            return {"of": list(self.places[value])}
        for secret, known in SECRETS.items():
            if value == known:
                return {"secret": secret}
        if value.startswith(_JWT) and value.count(".") == 2:
            return self._claims_of(value)
        return {"unknown": len(value)} if name in _NEVER_AS_IT_IS else value

    def reveal(self, value: Value) -> str:
        """What stands for it now. Raises `KeyError` if an answer did not bring it."""
        match value:
            case str():
                return value
            case {"of": [int(number), str(place)]}:
                return self.values[number, place]
            case {"secret": str(name)}:
                return SECRETS[name]
            case {"signed": str(name)}:
                return self._sign(name, value)
            case {"unknown": int(length)}:
                return "A" * length
            case _:
                raise ValueError(f"no value: {value!r}")

    def _claims_of(self, jws: str) -> Value:
        header, claims = (_decoded(each) for each in jws.split(".")[:2])
        jkt = header.get("jwk", header).get("x", header.get("kid"))
        for name, key in self.keys.items():
            if jkt in (key.public.jwk["x"], key.kid):
                said: dict[str, Any] = {"signed": name, "typ": header["typ"], "claims": claims}
                if "nonce" in claims:
                    said["nonce"] = self.hide("nonce", claims.pop("nonce"))
                if claims.pop("ath", None) is not None:
                    said["ath"] = True  # of the token that goes with it
                return said
        return {"unknown": len(jws)}

    def _sign(self, name: str, told: Mapping[str, Any], token: str | None = None) -> str:
        key, claims = self.keys[name], dict(told["claims"])
        if "nonce" in told:
            claims["nonce"] = self.reveal(told["nonce"])
        if token is not None:
            digest = hashlib.sha256(token.encode()).digest()
            claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        bare = {name: key.public.jwk[name] for name in ("kty", "crv", "x", "y")}
        header = {"jwk": bare} if told["typ"] == names.TYP_DPOP else None
        return sign_jws(claims, key, typ=told["typ"], header=header)

    def prove(self, told: Mapping[str, Any], token: str | None) -> str:
        """A proof for a request that comes with this token."""
        return self._sign(told["signed"], told, token if told.get("ath") else None)


def _decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def brought(answer: Answer) -> Iterator[tuple[str, str]]:
    """Every value in an answer with its place, which is the same in every replay."""
    for name, value in answer.headers:
        if name == "set-cookie":
            cookie, _, rest = value.partition("=")
            yield f"cookie.{cookie}", rest.partition(";")[0]
        elif name == "location":
            yield from _of_address("location", value)
        elif name == "dpop-nonce":
            yield "dpop-nonce", value
    kind = answer.header("content-type") or ""
    if kind.startswith("application/json") and answer.body:
        yield from _of_json("json", json.loads(answer.body))
    elif kind.startswith("text/html"):
        yield from read_page(answer.body.decode()).values()


def _of_address(place: str, address: str) -> Iterator[tuple[str, str]]:
    parts = urlsplit(address)
    for name, value in parse_qsl(parts.query):
        yield f"{place}?{name}", value
    for number, segment in enumerate(parts.path.split("/")):
        yield f"{place}/{number}", segment


def _of_json(place: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield place, value
            if value.startswith(("http:", "https:")):
                yield from _of_address(place, value)
        case dict():
            for name, each in value.items():
                yield from _of_json(f"{place}.{name}", each)
        case list():
            for number, each in enumerate(value):
                yield from _of_json(f"{place}.{number}", each)


class Page(HTMLParser):
    """What of a page others rely on: its heading, its links, and the fields of its forms."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag in ("input", "button", "textarea", "select") and "name" in at:
            self.fields.append((at["name"], at.get("value", "")))
        for name in ("href", "action"):
            if name in at:
                self.links.append(at[name])

    def values(self) -> Iterator[tuple[str, str]]:
        seen: dict[str, int] = {}
        for name, value in self.fields:
            seen[name] = seen.get(name, -1) + 1
            yield f"field.{name}.{seen[name]}", value
        for link in self.links:
            kind = "/".join(link.split("/")[1:3])
            seen[kind] = seen.get(kind, -1) + 1
            yield from _of_address(f"link.{kind}.{seen[kind]}", link)


def read_page(html: str) -> Page:
    page = Page()
    page.feed(html)
    return page
