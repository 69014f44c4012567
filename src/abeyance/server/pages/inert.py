"""Text that others wrote, made inert: every character visible, its own isolate, nothing executed.

A string of a client may hold characters that cannot be seen, that turn the writing
direction of what stands beside it, or that look like others (SEC-UI-07, -08). Here
each of the first two kinds becomes a visible escape with its number, and letters from
beyond the Latin script are named. HTML is escaped; nothing becomes a link (SEC-UI-01,
-02; OAUTH-SESS-05).
"""

import unicodedata
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from markupsafe import Markup, escape

# Invisible although Unicode calls them letters, marks or symbols.
_FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_MARKS: Final = frozenset({"Mn", "Me"})
_MARKS_IN_A_ROW: Final = 3  # more than any living orthography stacks
_LATIN_ENDS: Final = "\u024f"  # beyond: phonetic and styled letters that pass for plain ones
_LATIN_ADDITIONAL: Final = range(0x1E00, 0x1F00)  # Vietnamese and others
# Scripts that one language writes together.
_FAMILIES: Final = (
    frozenset({"Han", "Hiragana", "Katakana"}),
    frozenset({"Han", "Hangul"}),
    frozenset({"Han", "Bopomofo"}),
)
_LATIN: Final = "Latin"
_STYLED: Final = "look-alike"
_NAMES: Final = {"Cjk": "Han", "Fullwidth": _STYLED, "Mathematical": _STYLED}


def show(text: str) -> Markup:
    """Return the text as an isolate of its own, with what is unseen made visible."""
    return Markup('<bdi class="said">{}</bdi>{}').format(_visible(text), _note(text))


def plain(text: str, at_most: int = 80) -> str:
    """Return the text for places that hold no markup (a window's title), cut."""
    seen = "".join(_escape(run) if unseen else run for run, unseen in _runs(text))
    return seen if len(seen) <= at_most else seen[: at_most - 1] + "…"


def describe_letters(text: str) -> str | None:
    """Name the scripts of a text that is not all in plain Latin letters."""
    scripts = sorted({_script(character) for character in text if character.isalpha()})
    if not scripts or scripts == [_LATIN]:
        return None
    if len(scripts) == 1 or any(family.issuperset(scripts) for family in _FAMILIES):
        return f"{' and '.join(scripts)} letters"
    return f"mixed letters: {', '.join(scripts)}"


def _note(text: str) -> Markup:
    letters = describe_letters(text)
    return Markup(' <span class="note">{}</span>').format(letters) if letters else Markup()


def _visible(text: str) -> Markup:
    return Markup().join(
        Markup('<span class="unseen">{}</span>').format(_escape(run)) if unseen else escape(run)
        for run, unseen in _runs(text)
    )


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """What is seen in one piece, what is unseen in runs of one character."""
    for (unseen, _), run in groupby(_each(text), lambda each: (each[1], each[1] and each[0])):
        yield "".join(character for character, _ in run), unseen


def _each(text: str) -> Iterator[tuple[str, bool]]:
    """Each character, and whether it must be shown by its number."""
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in _MARKS else 0
        unseen = character in _FILLERS or marks > _MARKS_IN_A_ROW or _is_selector(character)
        yield character, unseen or (category in _UNSEEN and character != " ")


def _escape(run: str) -> str:
    """A character's number, and how often it comes: folded, so that it pushes nothing away."""
    times = f" \u00d7{len(run)}" if len(run) > 1 else ""
    return f"\u2039U+{ord(run[0]):04X}{times}\u203a"


def _is_selector(character: str) -> bool:
    """A variation selector: changes a glyph and is none itself."""
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _script(letter: str) -> str:
    """The script of a letter, by the first word of its Unicode name."""
    if letter <= _LATIN_ENDS:
        return _LATIN
    word = unicodedata.name(letter, "unnamed").partition(" ")[0].partition("-")[0].capitalize()
    if word == _LATIN and ord(letter) not in _LATIN_ADDITIONAL:
        return _STYLED
    return _NAMES.get(word, word)
