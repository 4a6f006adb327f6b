"""The table over tasks: a task counts once, and few tasks tell nothing."""

import math
from typing import Any

import pytest
from scipy.stats import studentized_range

from bench.leaderboard.load import load_tasks
from bench.leaderboard.suite_board import build_overall
from bench.leaderboard.suite_sheet import suite_lines, suite_sheet
from bench.leaderboard.table import SuiteBoard
from bench.stats.ranking import Scheme

FAST = 200
MODELS = ("a", "b", "c")


def over(world: Any, **options: Any) -> SuiteBoard:
    found = build_overall(load_tasks(world.store), "dice", **{"resamples": FAST} | options)
    assert found is not None
    return found


def write(world: Any, task: str, *qualities: float, patients: int = 12, **changes: Any) -> None:
    for model, quality in zip(MODELS, qualities, strict=False):
        world.final(model, quality=quality, task=task, patients=patients, noise=0.0, **changes)


def text(board: SuiteBoard) -> str:
    return " ".join(suite_lines(board))


def test_mean_ranks_over_tasks(world: Any) -> None:
    write(world, "heart", 0.9, 0.8, 0.7)
    write(world, "lung", 0.9, 0.7, 0.8)
    write(world, "xray", 0.7, 0.9, 0.8)
    board = over(world)
    assert board.tasks == ("heart", "lung", "xray")
    assert [row.entry for row in board.rows] == ["a + dice", "b + dice", "c + dice"]
    assert [row.mean_rank.mean for row in board.rows] == pytest.approx([5 / 3, 2, 7 / 3])
    assert board.rows[0].ranks == {"heart": 1.0, "lung": 1.0, "xray": 3.0}
    # Patients of a task all agree: resampling them moves nothing.
    assert board.rows[0].mean_rank.low == board.rows[0].mean_rank.high == pytest.approx(5 / 3)
    assert board.friedman is not None
    # Rank sums 5, 6, 7 of 3 tasks: chi2 = 12 / (3 * 3 * 4) * (25 + 36 + 49) - 3 * 3 * 4 = 2/3.
    assert board.friedman.chi2 == pytest.approx(2 / 3)
    assert [row.clique for row in board.rows] == [None] * 3
    assert "Entries cannot be told apart over tasks" in text(board)


def test_shorter_distances_are_better(world: Any) -> None:
    for task in ("t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8"):
        write(world, task, 0.9, 0.8, 0.7)
    board = build_overall(load_tasks(world.store), "hd95", resamples=FAST)
    assert board is not None
    assert [(row.entry, row.mean_rank.mean) for row in board.rows] == [
        ("a + dice", 1),
        ("b + dice", 2),
        ("c + dice", 3),
    ]
    assert board.rows[0].ranks == {f"t{number}": 1.0 for number in range(1, 9)}
    assert [row.clique for row in board.rows] == [True, True, False]
    assert board.ranking is not None
    assert board.ranking.probability[0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("scheme", ["rank", "test"])
def test_who_invents_labels_gains_nothing_by_it(world: Any, scheme: Scheme) -> None:
    """`invents` is a little better where the label is, and finds it where it is not, in 20 of 32 patients."""
    for task in ("heart", "lung"):
        for model, better in (("careful", 0.0), ("invents", 0.01)):
            row = world.trial(model, task=task)
            there = [world.case(row["trial"], n, "dice", 0.8 - 0.01 * n + better) for n in range(12)]
            lost = (0.0, "reference_empty") if better else (math.nan, "both_empty")
            world.store.write(
                row, there + [world.case(row["trial"], n, "dice", *lost) for n in range(12, 32)], []
            )
    board = over(world, scheme=scheme)
    assert [(row.model, row.mean_rank.mean) for row in board.rows] == [("careful", 1), ("invents", 2)]


def test_a_task_counts_once_whatever_its_patients(world: Any) -> None:
    write(world, "heart", 0.9, 0.8, patients=60)
    write(world, "lung", 0.8, 0.9, patients=6)
    assert [row.mean_rank.mean for row in over(world).rows] == [1.5, 1.5]


def test_only_entries_of_every_task_are_compared(world: Any) -> None:
    write(world, "heart", 0.9, 0.8, 0.95)
    write(world, "lung", 0.9, 0.8)
    board = over(world)
    assert [row.entry for row in board.rows] == ["a + dice", "b + dice"]
    assert board.left_out == {"c + dice": "not ranked in lung"}
    # Among the two, b is second in heart: who is left out takes no rank.
    assert board.rows[1].ranks == {"heart": 2.0, "lung": 2.0}
    assert "left out: c + dice (not ranked in lung)" in text(board)


def test_one_task_has_no_table_over_tasks(world: Any) -> None:
    write(world, "lung", 0.9, 0.8)
    assert build_overall(load_tasks(world.store), "dice") is None


def test_a_task_without_results_is_told(world: Any) -> None:
    write(world, "heart", 0.9, 0.8)
    write(world, "lung", 0.9, 0.8)
    world.tune("a", task="xray")
    assert over(world).left_out == {"xray": "nothing to rank"}


def test_nothing_in_common_is_said(world: Any) -> None:
    world.final("a", task="heart")
    world.final("b", task="lung")
    board = over(world)
    assert not board.rows
    assert "fewer than two entries are ranked in every task" in text(board)


def test_few_patients_give_no_interval(world: Any) -> None:
    write(world, "heart", 0.9, 0.8, 0.7)
    write(world, "lung", 0.9, 0.8, 0.7, patients=5)
    board = over(world)
    assert board.ranking is None
    assert board.rows[0].mean_rank.low != board.rows[0].mean_rank.low
    assert "No interval: a task has fewer than 6 patients" in text(board)
    assert "95% CI" not in suite_sheet(board).columns[3].title


def test_two_tasks_and_three_entries_cannot_tell(world: Any) -> None:
    for task in ("heart", "lung"):
        write(world, task, 0.9, 0.8, 0.7)
    board = over(world)
    # All tasks agree: chance 1/3! of that is 0.17.
    assert "cannot tell; 2 tasks and 3 entries give no p below 0.17" in text(board)
    assert [row.clique for row in board.rows] == [None] * 3
    assert "p (Nemenyi)" not in [column.title for column in suite_sheet(board).columns]


def test_entries_that_nemenyi_does_not_separate_from_the_best(world: Any) -> None:
    for task in ("t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8"):
        write(world, task, 0.9, 0.8, 0.7)
    board = over(world)
    assert board.friedman is not None
    # Demsar's table: q = 2.343 for three, so CD = 2.343 sqrt(3 * 4 / (6 * 8)) = 1.17.
    assert board.critical_difference == pytest.approx(1.1715, abs=1e-3)
    assert [row.clique for row in board.rows] == [True, True, False]
    # Nemenyi decides nothing in the table: neither what is bold, nor a column.
    assert {cell.tone for column in suite_sheet(board).columns for cell in column.cells} == {""}
    assert "emenyi" not in text(board) + "".join(column.title for column in suite_sheet(board).columns)
    assert "Friedman over 8 tasks and 3 entries: p < 0.0001 (exact)." in text(board)
    # Mean ranks 1 and 2 apart of eight tasks: studentized range 1 / sqrt(1 / 8) and twice that, of three.
    distances = [gap / math.sqrt(3 * 4 / (6 * 8)) * math.sqrt(2) for gap in (1, 2)]
    expected = [float(studentized_range.sf(distance, 3, math.inf)) for distance in distances]
    assert [row.nemenyi_p for row in board.rows[1:]] == pytest.approx(expected)
    assert math.isnan(board.rows[0].nemenyi_p)


def test_marked_entries_stay_marked(world: Any) -> None:
    write(world, "heart", 0.9, 0.8)
    write(world, "lung", 0.9)
    world.final("b", quality=0.8, task="lung", patients=12, code="old")
    world.final("a", quality=0.9, task="lung", patients=12, seed=1)
    board = over(world)
    assert board.rows[1].notes == ("see its notes in lung",)


def test_excluded_tasks_are_told(world: Any) -> None:
    write(world, "heart", 0.9, 0.8)
    write(world, "lung", 0.9, 0.8)
    board = over(world, excluded={"xray": "incomplete: 1 entry lacks values"})
    assert "left out: xray (incomplete: 1 entry lacks values)" in text(board)
