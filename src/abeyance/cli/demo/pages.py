"""Pages, read as a browser without script would: what is written, and the forms."""

from html.parser import HTMLParser
from typing import Final

_TEXT: Final = ("text", "password")
_READ: Final = ("h1", "h3", "dt", "dd", "p")


class Form:
    """One form of a page: where it goes, what it sends by itself, and its boxes."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.fields: dict[str, str] = {}
        self.boxes: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.radios: dict[str, list[str]] = {}
        self.buttons: dict[str, str] = {}
        self.texts: list[str] = []


class Page(HTMLParser):
    """The title, what is told besides, and the forms of a page of ours.

    `eyebrow` stands above the title. By section (the id of its heading, or nothing):
    `items` are headings of the third level, `facts` pairs of label and value, `quotes`
    somebody's words.
    """

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.eyebrow = ""
        self.items: list[tuple[str, str]] = []
        self.facts: list[tuple[str, str, str]] = []
        self.quotes: list[tuple[str, str]] = []
        self._section = ""
        self._label = ""
        self._reading: tuple[str, str] | None = None  # the element, and its class
        self._text = ""
        self._forms: list[Form] = []
        self._box: str | None = None

    def form(self, vote: str) -> Form:
        """The form with this button; its value is sent with it."""
        for form in self._forms:
            if form.buttons.get("vote") == vote or form.fields.get("vote") == vote:
                form.fields["vote"] = vote
                return form
        raise LookupError(f"the page has no form to {vote}")

    def find(self, ending: str) -> Form | None:
        """The form whose address ends so, if there is one."""
        return next((form for form in self._forms if form.action.endswith(ending)), None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "section":
            self._section = given.get("aria-labelledby", "")
        if tag in _READ:
            self._reading, self._text = (tag, given.get("class", "")), ""
        if tag == "form":
            self._forms.append(Form(given.get("action", "")))
        if not self._forms or "name" not in given:
            return
        form, name, value = self._forms[-1], given["name"], given.get("value", "")
        if tag == "button":
            form.buttons[name] = value
        elif tag == "textarea" or (tag == "input" and given.get("type", "text") in _TEXT):
            form.texts.append(name)
        elif tag == "input" and given.get("type") == "hidden":
            form.fields[name] = value
        elif tag == "input" and given.get("type") == "radio":
            form.radios.setdefault(name, []).append(value)
        elif tag == "input" and given.get("type") == "checkbox":
            form.boxes[name] = value or "on"
            form.labels[name] = ""
            self._box = name

    def handle_endtag(self, tag: str) -> None:
        if tag == "section":
            self._section = ""
        if self._reading is None or self._reading[0] != tag:
            return
        text = " ".join(self._text.split())
        match self._reading:
            case "h1", _:
                self.title = text
            case "h3", _:
                self.items.append((self._section, text))
            case "dt", _:
                self._label = text
            case "dd", _:
                self.facts.append((self._section, self._label, text))
            case "p", "eyebrow":
                self.eyebrow = text
            case "p", "quote":
                self.quotes.append((self._section, text))
        self._reading = None

    def handle_data(self, data: str) -> None:
        self._text += data
        if self._box is not None and data.strip():
            self._forms[-1].labels[self._box] = " ".join(data.split())
            self._box = None
