"""The page about the states is drawn from the table, and is the drawing of today's table."""

from pathlib import Path

import pytest

from abeyance.pending.states import Event, Stage, stage_after
from tools import draw_states


def test_the_page_in_the_repository_is_what_the_tool_draws() -> None:
    assert draw_states.PAGE.read_text(encoding="utf-8") == draw_states.draw(), (
        "run: python -m tools.draw_states"
    )


def test_every_cell_of_the_table_stands_on_the_page() -> None:
    lines = draw_states.draw().splitlines()
    head = next(line for line in lines if line.startswith("| state | interaction"))
    columns = [cell.strip().replace(" ", "_") for cell in head.strip("|").split("|")[1:]]
    assert columns == [event.value for event in Event]
    for stage in Stage:
        name = stage.value.replace("_", " ")
        row = next(line for line in lines if line.startswith(f"| **{name}** |"))
        cells = [cell.strip().replace(" ", "_") for cell in row.strip("|").split("|")[1:]]
        assert cells == [stage_after(stage, event) or "-" for event in Event]


def test_every_transition_is_an_arrow_of_the_diagram() -> None:
    arrows = [line.strip() for line in draw_states.draw().splitlines() if "-->" in line]
    for stage in Stage:
        for event in Event:
            target = stage_after(stage, event)
            drawn = [
                arrow
                for arrow in arrows
                if arrow.startswith(f"{stage.value} --> ")
                and event.value.replace("_", " ") in arrow.split(": ")[-1].split(", ")
            ]
            assert len(drawn) == (target is not None)
            if target is not None:
                assert f"--> {target.value}:" in drawn[0]


def test_checking_tells_a_page_that_is_old_or_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "state-machine.md"
    monkeypatch.setattr(draw_states, "PAGE", page)
    assert draw_states.main(["--check"]) == 1
    assert draw_states.main([]) == 0
    assert draw_states.main(["--check"]) == 0
    page.write_text(page.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert draw_states.main(["--check"]) == 1
    assert "python -m tools.draw_states" in capsys.readouterr().out
    assert draw_states.main(["--chek"]) == 2
