"""Patients count by their values: who lacks a label says nothing of it, and what was put in has no interval."""

import csv
import io
import json
import math
from typing import Any

import pytest

from bench.errors import ResultsError
from bench.leaderboard.answer import Answer, answer
from bench.leaderboard.estimate import Estimate
from bench.leaderboard.formats import estimate_text
from bench.leaderboard.notes import heading, remarks
from bench.leaderboard.part_sheets import part_sheets
from bench.leaderboard.render import render
from bench.leaderboard.request import Request
from bench.leaderboard.sheets import task_sheet


def said(world: Any, **options: Any) -> Answer:
    return answer(world.store, Request(resamples=50, **options), "today")


def write(world: Any, model: str, quality: float, absent: int, invented: int = 0) -> None:
    """Writes 10 patients: of `absent` the lesion is not there, and in the first ones of these it was predicted."""
    row, cases = world.trial(model), []
    for patient in range(10):
        there = patient >= absent
        value = quality - 0.01 * patient if there else 0.0 if patient < invented else math.nan
        status = "ok" if there else "reference_empty" if patient < invented else "both_empty"
        cases.append(world.case(row["trial"], patient, "dice", value, status) | {"label": "lesion"})
    world.store.write(row, cases, [])


def test_few_patients_with_a_value_have_no_interval(world: Any) -> None:
    for model, quality in (("a", 0.9), ("b", 0.8), ("c", 0.7)):
        write(world, model, quality, absent=7)
    (board,) = said(world, per_label=True).boards
    assert board.ranking is None
    assert all(math.isnan(row.rank_low) and math.isnan(row.metrics["dice"].low) for row in board.rows)
    assert "10 test patients, 10 cases, Dice of 3 patients" in heading(board)
    assert (
        "3 patients with a value of Dice: no intervals, neither of means nor of ranks; they take 6."
        in remarks(board)
    )
    (sheet,) = part_sheets(board)
    assert sheet.columns[2].title == "lesion (n=3)"
    assert {row["n"] for row in csv.DictReader(io.StringIO(render([board], style="csv")))} == {"3"}
    (found,) = json.loads(render([board], style="json"))["boards"]
    assert ([row["n"] for row in found["rows"]], found["n_valued"]) == ([3, 3, 3], 3)


def test_a_cell_of_other_patients_says_so(world: Any) -> None:
    write(world, "a", 0.9, absent=3)
    write(world, "b", 0.8, absent=3, invented=2)
    (board,) = said(world, per_label=True).boards
    (sheet,) = part_sheets(board)
    assert sheet.columns[2].title == "lesion (n=9)"
    assert ["(n=7)" in cell.text for cell in sheet.columns[2].cells] == [True, False]


def test_what_was_put_in_has_neither_interval_nor_p(world: Any) -> None:
    world.final("a", patients=12)
    world.final("b", patients=12, status="oom")
    (board,) = said(world).boards
    lost = board.rows[1]
    assert lost.all_failed
    assert math.isnan(lost.metrics["dice"].low)
    assert math.isnan(lost.difference.low)
    texts = {column.key: column.cells[1].text for column in task_sheet(board).columns}
    assert texts["p"] == "failed"
    second = list(csv.DictReader(io.StringIO(render([board], style="csv"))))[1]
    assert (second["p"], second["p_raw"], second["dice_low"]) == ("", "", "")


def test_where_all_failed_it_is_said_how(world: Any) -> None:
    for seed, status in enumerate(("oom", "oom", "diverged")):
        world.final("a", seed=seed, status=status)
    (board,) = said(world).boards
    assert board.pending == {"a + dice": "no complete final trial: 1 diverged, 2 oom"}


def test_a_task_that_is_left_out_stands_above_the_tables(world: Any) -> None:
    for task in ("heart", "lung"):
        for model in ("a", "b"):
            world.final(model, task=task)
    world.final("a", task="lung", seed=1)
    claims = [
        {"id": task, "task": task, "better": {"model": "a"}, "than": {"model": "b"}}
        for task in ("heart", "lung")
    ]
    world.store.write_suite({"claims": claims})
    found = said(world, on_missing="exclude-task")
    assert found.notice == "lung: left out (b + dice lacks 1 of 2 final trials)."
    assert [claim.id for claim in found.claims] == ["heart"]
    for style in ("md", "latex", "csv", "json"):
        assert found.notice in render(found.boards, found.claims, style, found.notice)
    with pytest.raises(ResultsError, match="no task has complete results"):
        said(world, task="lung", on_missing="exclude-task")


def test_two_trainings_mark_nothing_and_say_so(world: Any) -> None:
    for seed, shift in enumerate((0.1, -0.1)):
        world.final("calm", seed=seed, quality=0.8, patients=12)
        world.final("wild", seed=seed, quality=0.7 + shift, patients=12)
    (board,) = said(world).boards
    assert board.rows[1].verdict == "worse"
    assert "Two trainings cannot tell how much another seed changes." in remarks(board)


@pytest.mark.parametrize(
    ("value", "text"), [(-0.0001, "0.000"), (0.0001, "0.000"), (-0.0006, "-0.001"), (0.02, "+0.020")]
)
def test_what_is_rounded_to_zero_has_no_sign(value: float, text: str) -> None:
    assert estimate_text(Estimate(value), 3, signed=True) == text
