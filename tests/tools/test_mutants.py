"""The table of faulty builds: each of the catalogue, and each fits the sources as they are."""

from pathlib import Path

import pytest

from tests.covers import covers
from tools import mutants, trace
from tools.mutants import Edit, Mutant

ALL = mutants.read_mutants()
COVERING = trace.read_tests()


@covers(
    "M-01", "M-02", "M-03", "M-04", "M-05", "M-06", "M-07", "M-08", "M-09", "M-10", "M-11", "M-12",
    "M-13", "M-14", "M-15", "M-16", "M-17", "M-18", "M-19", "M-20", "M-21", "M-22", "M-23", "M-24",
    "M-25", "M-26", "M-27", "M-28", "M-29", "M-30", "M-31", "M-32", "M-33", "M-34", "M-35", "M-36",
    "M-37", "M-38", "M-39", "M-40", "M-41", "M-42", "M-43", "M-44", "M-45", "M-46", "M-47", "M-48",
    "M-49", "M-50", "M-51", "M-52", "M-53", "M-54", "M-55", "M-56", "M-57", "M-58", "M-59", "M-60",
    "M-61", "M-62", "M-63", "M-64", "M-65", "M-66", "M-67", "M-68", "M-69", "M-70", "M-71", "M-72",
    "M-73", "M-74", "M-75", "M-76", "M-77", "M-78",
    "CM-01", "CM-02", "CM-03", "CM-04", "CM-05", "CM-06", "CM-07", "CM-08", "CM-09", "CM-10",
)  # fmt: skip
@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.id)
def test_every_fault_fits_the_sources_and_has_tests_that_should_see_it(mutant: Mutant) -> None:
    assert list(mutants.misfits(mutant)) == []
    assert mutant.reason or mutants.choose_tests(mutant, COVERING)


def test_a_fault_stands_in_the_copy_alone(tmp_path: Path) -> None:
    mutant = next(each for each in ALL if each.edits)
    mutants.build(mutant, tmp_path)
    for edit in mutant.edits:
        faulty = (tmp_path / "src" / "abeyance" / edit.file).read_text("utf-8")
        sound = (trace.ROOT / "src" / "abeyance" / edit.file).read_text("utf-8")
        assert edit.new in faulty
        assert edit.old in sound


def test_table_and_catalogue_speak_of_the_same(tmp_path: Path) -> None:
    table = tmp_path / "mutants.toml"
    table.write_text('[M-99]\nreason = "none"\n')
    with pytest.raises(ValueError, match="M-01"):
        mutants.read_mutants(table)


@pytest.mark.parametrize(("line", "sound"), [("assert True", True), ("assert False", False)])
def test_a_test_that_is_red_without_a_fault_is_no_evidence(
    tmp_path: Path, line: str, sound: bool
) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(f"def test_it():\n    {line}\n")
    fault = Mutant("M-99", "", (), (Edit("x.py", "a", "b"),), None, (str(file),))
    assert mutants.is_sound([fault], {}) is sound
