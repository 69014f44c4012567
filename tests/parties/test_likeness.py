"""Which names people take for one another."""

import pytest

from abeyance.parties.likeness import outline
from tests.covers import covers


@covers("SEC-UI-08")
@pytest.mark.parametrize(
    "name",
    [
        "Ledger agent",
        "LEDGER AGENT",
        "ledger-agent",
        "Ledger  agent!",
        "Ledger \u0430gent",  # Cyrillic
        "\uff2cedger agent",  # full width
        "Ledger a\u0261ent",
        "L\u00e9dger agent",
        "1edger agent",
        "Iedger agent",
        "\U0001d40bedger agent",
    ],
)
def test_what_looks_like_a_name_has_its_outline(name: str) -> None:
    assert outline(name) == outline("Ledger agent")


@covers("SEC-UI-08")
@pytest.mark.parametrize("name", ["Ledger agents", "Ledger", "Agent of the ledger", "", "***"])
def test_another_name_has_another(name: str) -> None:
    assert outline(name) != outline("Ledger agent")


@covers("SEC-UI-08")
def test_letters_that_are_drawn_as_one_are_one() -> None:
    assert outline("Acrne") == outline("Acme")
    assert outline("\u041d\u0420 Bank") == outline("HP Bank")
    assert outline("\u03a1\u03bf\u03c1") == outline("Pop")
