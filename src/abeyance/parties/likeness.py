"""Do two names look alike to a person who reads one and thinks of the other (SEC-UI-08)?

A short table of what is mistaken in the scripts that are, not all of Unicode's: it refuses a
name to strangers, who may choose another, so it may err on that side.

Source: Unicode Technical Standard 39, §4 (skeletons), cut down.
"""

import unicodedata
from typing import Final

# Letters of other scripts beside what they are drawn like, capitals by themselves: a small Greek
# nu is like v, its capital like N.
_DRAWN_LIKE: Final = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХЬабеѕіјкмнорстухһԁԛԝгѵӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβεικνορτυχγϲϳɑɡɢɩɪıȷʀʏꞌ",
        "ABESIJKMHOPCTYXbabesijkmhopctyxhdqwrvlABEZHIKMNOPTYXabeikvoptuxycjagGiIijRY'",
        strict=True,
    )
)
# What a reader does not tell apart in one script: 1, I, l and i; 0 and O; rn and m.
_ONE: Final = str.maketrans({"1": "l", "i": "l", "|": "l", "0": "o", "5": "s"})
_PAIRS: Final = (("rn", "m"), ("vv", "w"))


def outline(name: str) -> str:
    """The same for names that look alike: letters and digits alone, each as what it is drawn like.

    May be empty, for a name of symbols.
    """
    plain = unicodedata.normalize("NFKD", name)
    drawn = "".join(_DRAWN_LIKE.get(each, each) for each in plain)
    folded = drawn.casefold().translate(_ONE)
    kept = "".join(each for each in folded if each.isalnum())
    for pair, one in _PAIRS:
        kept = kept.replace(pair, one)
    return kept
