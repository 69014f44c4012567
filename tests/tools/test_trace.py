"""The report of `make trace`: what it reads, what it concludes, when it fails."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import trace
from tools.trace import Mistake, Requirement, Verdict

Project = Callable[..., Path]

CATALOGUE = """\
# Polling

| ID | who | lvl | requirement |
| --- | --- | --- | --- |
| DTR-POLL-01 | C | M | Polls are POST. |
| **DTR-POLL-02** | C | M | Not faster than `a \\| b`. |

| grant | approved | denied |
| --- | --- | --- |
| code | T-001 | T-002 |

- EXT-WAIT-01 [O] Hold the reply,
  but not for ever.
- no ID here, though EXT-WAIT-02 is named
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Write a small project: a catalogue, a status file and a test file."""

    def write(*, catalogue: str = CATALOGUE, status: str = "", test: str = "") -> Path:
        for path, text in {
            "docs/requirements/poll.md": catalogue,
            "docs/requirements/status.toml": status,
            "tests/test_poll.py": test,
        }.items():
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        return tmp_path

    return write


def verdicts(root: Path) -> dict[str, tuple[Verdict, str]]:
    return {
        finding.requirement.id: (finding.verdict, finding.why)
        for finding in trace.trace(root).findings
    }


def test_rows_items_and_grids_define_requirements() -> None:
    found = list(trace.parse_catalogue("poll.md", CATALOGUE))
    assert found == [
        Requirement("DTR-POLL-01", "poll.md", 5, "M", "C | Polls are POST."),
        Requirement("DTR-POLL-02", "poll.md", 6, "M", "C | Not faster than `a \\| b`."),
        Requirement("T-001", "poll.md", 10, "", "code: approved"),
        Requirement("T-002", "poll.md", 10, "", "code: denied"),
        Requirement("EXT-WAIT-01", "poll.md", 12, "", "[O] Hold the reply, but not for ever."),
    ]


def test_an_id_in_the_middle_of_a_row_defines_nothing() -> None:
    table = "| ID | IDs |\n| --- | --- |\n| 16 | RD-07 |\n| 17 | RD-08 |\n"
    assert list(trace.parse_catalogue("poll.md", table)) == []


def test_a_requirement_defined_twice_is_a_mistake(project: Project) -> None:
    root = project(catalogue="# x\n\n- T-001 a\n- T-001 b\n")
    with pytest.raises(Mistake, match="T-001 is defined twice"):
        trace.trace(root)


@pytest.mark.parametrize(
    "source",
    [
        '@covers("T-001", "T-002")\ndef test_a(): ...',
        '@pytest.mark.covers("T-001", "T-002")\nasync def test_a(): ...',
        'class TestX:\n    @covers("T-001")\n    @covers("T-002")\n    def test_a(self): ...',
        'pytestmark = [covers("T-001"), covers("T-002")]\ndef test_a(): ...',
        'CASES = [pytest.param(1, marks=covers("T-001", "T-002"))]\ndef test_a(x): ...',
    ],
)
def test_every_way_to_mark_a_test_is_seen(source: str) -> None:
    assert {id_ for id_, _ in trace.parse_tests("tests/test_x.py", source)} == {"T-001", "T-002"}


def test_a_mark_is_told_with_the_test_that_carries_it() -> None:
    source = 'class TestX:\n    @covers("T-001")\n    def test_a(self): ...'
    assert list(trace.parse_tests("tests/test_x.py", source)) == [
        ("T-001", "tests/test_x.py::TestX::test_a")
    ]


@pytest.mark.parametrize("argument", ["WHICH", "*ALL", "f'T-{n}'"])
def test_an_id_that_cannot_be_read_from_the_source_is_a_mistake(argument: str) -> None:
    with pytest.raises(Mistake, match=r"test_x\.py:1: covers\(\) takes literal IDs only"):
        list(trace.parse_tests("test_x.py", f"@covers({argument})\ndef test_a(): ..."))


def test_every_requirement_gets_one_verdict(project: Project) -> None:
    root = project(
        test='@covers("DTR-POLL-01")\ndef test_a(): ...',
        status="""
            [[not_yet]]
            brings = "grants"
            ids = ["T-*"]
            [[not_applicable]]
            reason = "withdrawn"
            ids = ["T-002"]
            [in_part]
            "DTR-POLL-01" = "certificates"
        """,
    )
    assert verdicts(root) == {
        "DTR-POLL-01": (Verdict.COVERED, "certificates"),
        "DTR-POLL-02": (Verdict.MISSING, ""),
        "T-001": (Verdict.NOT_YET, "grants"),
        "T-002": (Verdict.NOT_APPLICABLE, "withdrawn"),
        "EXT-WAIT-01": (Verdict.MISSING, ""),
    }


def test_a_range_wins_over_an_area_and_an_exception_over_both(project: Project) -> None:
    root = project(
        status="""
            [[not_yet]]
            brings = "area"
            ids = ["DTR-*", "T-*"]
            [[not_yet]]
            brings = "range"
            ids = ["DTR-POLL-01..02", "T-001..002"]
            except = ["T-002"]
        """
    )
    found = verdicts(root)
    assert found["DTR-POLL-02"] == (Verdict.NOT_YET, "range")
    assert found["T-001"] == (Verdict.NOT_YET, "range")
    assert found["T-002"] == (Verdict.NOT_YET, "area")
    assert found["EXT-WAIT-01"] == (Verdict.MISSING, "")


def test_a_covered_id_makes_its_exact_entry_stale_but_not_its_area(project: Project) -> None:
    root = project(
        test='@covers("T-001", "DTR-POLL-01")\ndef test_a(): ...',
        status='[[not_yet]]\nbrings = "x"\nids = ["T-001", "DTR-POLL-*"]',
    )
    report = trace.trace(root)
    assert [warning.partition(": ")[2] for warning in report.warnings] == [
        "T-001 is covered, its entry is stale"
    ]


@pytest.mark.parametrize(
    ("status", "complaint"),
    [
        ('[[not_yet]]\nbrings = "x"\nids = ["T-009"]', "'T-009' matches nothing"),
        ('[[not_yet]]\nbrings = "x"\nids = ["ABC-*"]', "'ABC-*' matches nothing"),
        ('[in_part]\n"T-009" = "x"', "in_part names T-009"),
        (
            'not_yet = [{brings = "x", ids = ["T-001"]}, {brings = "y", ids = ["T-001"]}]',
            "two entries speak for T-001",
        ),
    ],
)
def test_a_status_that_cannot_be_meant_is_an_error(
    project: Project, status: str, complaint: str
) -> None:
    report = trace.trace(project(status=status))
    assert any(complaint in error for error in report.errors)
    assert not report.is_whole


@pytest.mark.parametrize(
    "status",
    [
        "[[not_yet]",
        '[[never]]\nids = ["T-001"]',
        '[[not_yet]]\nids = ["T-001"]',
        '[[not_yet]]\nbrings = "x"\nids = ["T-1*"]',
    ],
)
def test_a_status_file_that_cannot_be_read_is_a_mistake(status: str) -> None:
    with pytest.raises(Mistake, match=r"status\.toml"):
        trace.parse_status(status)


def test_an_unknown_id_in_a_test_is_an_error(project: Project) -> None:
    report = trace.trace(project(test='@covers("T-009")\ndef test_a(): ...'))
    assert report.errors == ("tests/test_poll.py::test_a: T-009 is in no catalogue",)


def test_the_exit_status_is_zero_only_without_a_hole(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = '@covers("DTR-POLL-01", "DTR-POLL-02", "T-001", "T-002", "EXT-WAIT-01")'
    assert trace.main([], project(test=f"{marks}\ndef test_a(): ...")) == 0
    assert "covered: DTR-POLL-*, T-*, EXT-WAIT-01" in capsys.readouterr().out
    assert trace.main(["--missing"], project(test="")) == 1
    assert capsys.readouterr().out.splitlines()[0] == "DTR-POLL-01  C | Polls are POST."


def test_one_requirement_is_shown_with_its_tests(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project(test='@covers("DTR-POLL-01")\ndef test_a(): ...')
    assert trace.main(["--id", "DTR-POLL-01"], root) == 0
    assert capsys.readouterr().out.splitlines() == [
        "DTR-POLL-01 [M]  docs/requirements/poll.md:5",
        "  C | Polls are POST.",
        "  covered",
        "  tests/test_poll.py::test_a",
    ]
    assert trace.main(["--id", "T-009"], root) == 1


def test_json_tells_the_same(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    trace.main(["--json"], project())
    document = json.loads(capsys.readouterr().out)
    assert [entry["verdict"] for entry in document["requirements"]] == ["missing"] * 5


def test_neighbours_and_whole_areas_are_named_shortly() -> None:
    def rows(*numbers: int) -> list[Requirement]:
        return [Requirement(f"T-{number:03d}", "x.md", 1, "", "") for number in numbers]

    areas = {"T-": {row.id for row in rows(1, 2, 3, 4, 5)}}
    assert trace.shorten(rows(1, 2, 3, 5), areas) == "T-001..003, T-005"
    assert trace.shorten(rows(1, 2, 3, 4, 5), areas) == "T-*"


def test_the_catalogues_and_the_status_of_this_repository_agree() -> None:
    assert trace.trace().errors == ()
