"""A task's table by label and by subgroup of patients."""

import csv
import io
import json
import re
from typing import Any

import pytest
from rich.console import Console

from bench.errors import DataMissingError, ResultsError
from bench.leaderboard.answer import answer
from bench.leaderboard.part_sheets import part_sheets
from bench.leaderboard.render import render
from bench.leaderboard.request import Request
from bench.leaderboard.subgroup_file import read_subgroups
from bench.leaderboard.table import TaskBoard
from bench.leaderboard.terminal import Leaderboard

FAST = 200
DICE = {"unet": {"LV": 0.9, "RV": 0.6}, "resunet": {"LV": 0.8, "RV": 0.7}}


@pytest.fixture(scope="module")
def hearts(shared_world: Any) -> Any:
    """14 patients with two labels and two phases, half of them with DCM; unet leads in LV, resunet in RV."""
    for model, by_label in DICE.items():
        row = shared_world.trial(model)
        cases = [
            shared_world.case(
                row["trial"], patient, "dice", value - 0.01 * patient - (0.1 if phase == "ES" else 0)
            )
            | {
                "label": label,
                "phase": phase,
                "case": f"p{patient}-{phase}",
                "subgroup": "DCM" if patient < 7 else "NOR",
            }
            for patient in range(14)
            for phase in ("ED", "ES")
            for label, value in by_label.items()
        ]
        shared_world.store.write(row, cases, [])
    return shared_world


def board_of(world: Any, **options: Any) -> TaskBoard:
    (board,) = answer(world.store, Request(resamples=FAST, **options), "today").boards
    return board


def means(board: TaskBoard) -> dict[str, dict[str, float]]:
    return {
        part.part: {row.model: round(row.metrics["dice"].mean, 6) for row in part.rows}
        for part in board.parts
    }


def test_by_label(hearts: Any) -> None:
    board = board_of(hearts, per_label=True)
    # Patients 0..13 lose 0.065 on average, the phases 0.05.
    assert means(board) == {
        "LV": {"unet": pytest.approx(0.785), "resunet": pytest.approx(0.685)},
        "RV": {"resunet": pytest.approx(0.585), "unet": pytest.approx(0.485)},
    }
    assert [[row.verdict for row in part.rows] for part in board.parts] == [["best", "worse"]] * 2
    # The mean over labels hides it all.
    assert board.rows[0].metrics["dice"].mean - board.rows[1].metrics["dice"].mean == pytest.approx(0)


def test_holm_counts_the_comparisons_of_all_parts(hearts: Any) -> None:
    alone = board_of(hearts).rows[1]
    board = board_of(hearts, per_label=True)
    assert [part.comparisons for part in board.parts] == [2, 2]
    smallest = 2 / 2**14
    assert [part.rows[1].p for part in board.parts] == pytest.approx([2 * smallest] * 2)
    # The table of the task is a family of its own.
    assert board.comparisons == 1
    assert board.rows[1].p == alone.p


def test_by_pathology_and_phase(hearts: Any) -> None:
    board = board_of(hearts, by="pathology")
    assert [(part.part, part.kind, part.n_patients) for part in board.parts] == [
        ("DCM", "pathology", 7),
        ("NOR", "pathology", 7),
    ]
    assert means(board)["DCM"]["unet"] == pytest.approx(0.75 - 0.03 - 0.05)
    board = board_of(hearts, by="phase")
    assert [(part.part, part.n_patients, part.n_cases) for part in board.parts] == [
        ("ED", 14, 14),
        ("ES", 14, 14),
    ]
    assert means(board)["ES"]["unet"] == pytest.approx(0.75 - 0.065 - 0.1)


def test_by_a_column_of_a_file(hearts: Any, tmp_path: Any) -> None:
    file = tmp_path / "sites.csv"
    file.write_text(
        "patient,site,scanner\n" + "".join(f"p{n},{'A' if n < 8 else 'B'},1.5T\n" for n in range(14))
    )
    board = board_of(hearts, by="site", subgroups=file)
    assert [(part.part, part.n_patients) for part in board.parts] == [("A", 8), ("B", 6)]


def test_who_has_no_group_or_no_task_is_told(hearts: Any, tmp_path: Any) -> None:
    file = tmp_path / "sites.csv"
    file.write_text("patient,site\n" + "".join(f"p{n},A\n" for n in range(12)) + "p12,\nP13,B\nq1,B\n")
    sheets = part_sheets(board_of(hearts, by="site", subgroups=file, per_label=True))
    assert sheets[1].lines[-2:] == (
        "2 of 14 patients have no site: not shown",
        "2 patients of the file are in no task: P13, q1",
    )
    assert not any("no site" in line for line in sheets[0].lines)
    assert not any("no phase" in line for line in part_sheets(board_of(hearts, by="phase"))[0].lines)


def test_labels_and_subgroups_are_tables_and_families_of_their_own(hearts: Any) -> None:
    board = board_of(hearts, per_label=True, by="pathology")
    assert [part.kind for part in board.parts] == ["label", "label", "pathology", "pathology"]
    assert [sheet.title for sheet in part_sheets(board)] == [
        "lung, by label: Dice",
        "lung, by pathology: Dice",
    ]
    assert {part.comparisons for part in board.parts} == {2}


def test_too_few_patients_of_a_group_cannot_tell(world: Any) -> None:
    for model, quality in (("unet", 0.9), ("resunet", 0.5)):
        row = world.trial(model)
        cases = [
            world.case(row["trial"], patient, "dice", quality)
            | {"subgroup": "rare" if patient < 3 else "common"}
            for patient in range(12)
        ]
        world.store.write(row, cases, [])
    board = board_of(world, by="pathology")
    common, rare = board.parts
    assert [row.verdict for row in common.rows] == ["best", "worse"]
    assert [row.verdict for row in rare.rows] == ["best", "cannot tell"]
    assert rare.rows[0].metrics["dice"].low != rare.rows[0].metrics["dice"].low
    (sheet,) = part_sheets(board)
    assert [[cell.text for cell in row[2:]] for row in sheet.rows] == [
        ["0.900 [0.900, 0.900] *", "0.900 *"],
        ["0.500 [0.500, 0.500]  ", "0.500 ?"],
    ]
    # Only where something can be told does anyone stand out.
    assert [[cell.tone for cell in row[2:]] for row in sheet.rows] == [["best", ""], ["", "faint"]]
    assert any(line == "Too few patients for any p-value below the level: rare." for line in sheet.lines)


def test_what_is_not_known_is_one_line(hearts: Any, world: Any, tmp_path: Any) -> None:
    with pytest.raises(ResultsError, match="no subgroups by 'site'"):
        board_of(hearts, by="site")
    world.final("unet")
    with pytest.raises(ResultsError, match="lung: no phases are recorded"):
        board_of(world, by="phase")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "other.csv").write_text("id,site\n1,A\n")
    (tmp_path / "twice.csv").write_text("patient,site\np1,A\np1,B\n")
    faults = {
        "empty.csv": "cannot be read",
        "other.csv": "expected a column 'patient'",
        "twice.csv": "p1 has several",
    }
    for name, said in faults.items():
        with pytest.raises(DataMissingError, match=said):
            read_subgroups(tmp_path / name)


def test_a_task_that_knows_no_groups_says_so_beside_one_that_does(world: Any) -> None:
    for task, subgroup in (("heart", "DCM"), ("lung", "")):
        row = world.trial("unet", task=task)
        world.store.write(
            row, [world.case(row["trial"], n, "dice", 0.8) | {"subgroup": subgroup} for n in range(8)], []
        )
    heart, lung = answer(world.store, Request(resamples=FAST, by="pathology"), "today").boards
    assert [part.part for part in heart.parts] == ["DCM"]
    assert not lung.parts
    assert any("no pathology is recorded" in note for note in lung.notes)


def test_parts_are_in_every_format(hearts: Any) -> None:
    board = board_of(hearts, per_label=True)
    assert "## lung, by label: Dice" in render([board], style="md")
    assert "by label: Dice" in render([board], style="latex")
    rows = list(csv.DictReader(io.StringIO(render([board], style="csv"))))
    assert [(row["kind"], row["part"], row["model"]) for row in rows[2:]] == [
        ("label", "LV", "unet"),
        ("label", "LV", "resunet"),
        ("label", "RV", "resunet"),
        ("label", "RV", "unet"),
    ]
    (found,) = json.loads(render([board], style="json"))["boards"]
    assert [part["part"] for part in found["parts"]] == ["LV", "RV"]
    page = Console(file=io.StringIO(), width=100)
    page.print(Leaderboard([board]))
    text = page.file.getvalue()  # type: ignore[attr-defined]
    assert re.search(r"unet +dice +0\.785 \[0\.76\d, 0\.80\d\] \* +0\.485 ", text)
    assert "Holm over 2 pairs of entries of all columns" in " ".join(text.split())
