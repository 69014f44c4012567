"""Templates, and the files beside them, from inside the package.

Every text goes through Jinja's escaping; every text that others wrote also through
`show`. Static files carry the digest of their content in their name, so they may be
kept for ever, and a new version is a new name.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import jinja2
from markupsafe import Markup

from abeyance.server.pages import inert, words

# The shared ones first; a name stands in one area only.
_AREAS: Final = ("pages", "console", "frontchannel", "account")
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    content: bytes
    content_type: str


class Pages:
    """`base` is the issuer's path on its host, from the settings, never from the request."""

    def __init__(self, base: str) -> None:
        self._base = base
        self.files: dict[str, StaticFile] = {}
        self._places: dict[str, str] = {}
        for folder in _folders("static"):
            for file in sorted(folder.iterdir(), key=lambda file: file.name):
                self._keep(file.name, file.read_bytes())
        self._templates = jinja2.Environment(
            loader=jinja2.FunctionLoader(_read_template),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.globals.update(
            base=base,
            file=self.place_of,
            about=words.about,
            countdown=words.countdown_tag,
            age=words.age_tag,
            number=words.number,
            anchor=_anchor,
        )
        self._templates.filters.update(
            show=inert.show, plain=inert.plain, span=words.span, instant=words.instant_tag
        )

    def place_of(self, name: str) -> str:
        """The path of a static file."""
        return f"{self._base}/static/{self._places[name]}"

    def draw(self, template: str, facts: Mapping[str, Any]) -> Markup:
        # The templates escape everything, so what they give is markup.
        return Markup(self._templates.get_template(template).render(facts))  # noqa: S704

    def _keep(self, name: str, content: bytes) -> None:
        stem, dot, suffix = name.rpartition(".")
        kept = f"{stem}.{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
        self.files[kept] = StaticFile(content, _TYPES[dot + suffix])
        self._places[name] = kept


def _anchor(field: str) -> str:
    """The id of a form field, whatever characters its name has."""
    return f"f-{field.encode().hex()}"


def _folders(name: str) -> list[Any]:
    places = [resources.files("abeyance.server") / area / name for area in _AREAS]
    return [place for place in places if place.is_dir()]


def _read_template(name: str) -> str | None:
    for folder in _folders("templates"):
        file = folder / name
        if file.is_file():
            text: str = file.read_text("utf-8")
            return text
    return None
