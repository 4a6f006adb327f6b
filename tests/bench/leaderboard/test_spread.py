"""How values spread, and where true ranks may be."""

import math
from typing import Any

import pytest

from bench.leaderboard.answer import answer
from bench.leaderboard.board import build_task
from bench.leaderboard.columns import columns
from bench.leaderboard.load import load_tasks
from bench.leaderboard.notes import about
from bench.leaderboard.request import Request
from bench.leaderboard.table import TaskBoard

FAST = 199


def write(world: Any, patients: int = 12, seeds: int = 1) -> None:
    for model, quality in (("a", 0.8), ("b", 0.7), ("c", 0.7)):
        for seed in range(seeds):
            world.final(
                model,
                quality=quality + seed / 100,
                patients=patients,
                noise=0.0 if seeds > 1 else 0.01,
                seed=seed,
            )


def board_of(world: Any, whole: bool = True) -> TaskBoard:
    (cells,) = load_tasks(world.store)
    return build_task(cells, "dice", (), FAST, whole=whole)


def texts(board: TaskBoard, key: str) -> list[str]:
    (column,) = [one for one in columns(board) if one.key == key]
    return [column.text(row) for row in board.rows]


def test_true_ranks_count_who_is_surely_better_and_worse(world: Any) -> None:
    write(world)
    board = board_of(world)
    assert texts(board, "true_rank") == ["1–1", "2–3", "2–3"]
    assert about(board) == []


def test_few_patients_narrow_no_rank(world: Any) -> None:
    write(world, patients=5)
    board = board_of(world)
    assert texts(board, "true_rank") == ["–"] * 3
    assert dict(about(board))["true_rank"] == "true rank: cannot tell of 5 patients; it takes 6."


def test_true_ranks_of_distances(world: Any) -> None:
    write(world)
    (cells,) = load_tasks(world.store)
    board = build_task(cells, "hd95", (), FAST, whole=True)
    assert board.rows[0].model == "a"
    assert texts(board, "true_rank") == ["1–1", "2–3", "2–3"]


def test_shares_of_patients_and_seeds(world: Any) -> None:
    write(world, seeds=3)
    board = board_of(world)
    (row, *_) = board.rows
    assert row.components is not None
    # Patients are 0.02 apart, seeds 0.01, and nothing else varies.
    assert row.components.patient == pytest.approx(0.02**2 * 13)
    assert row.components.seed == pytest.approx(0.01**2)
    assert texts(board, "spread")[0] == "98% / 2% / – / 0%"
    assert row.resampled.mean == pytest.approx(row.metrics["dice"].mean)
    assert row.resampled.low < row.metrics["dice"].low
    assert row.resampled.high > row.metrics["dice"].high


def test_one_training_tells_nothing_of_others(world: Any) -> None:
    write(world)
    board = board_of(world)
    assert texts(board, "spread") == texts(board, "mean_trained") == ["–"] * 3
    assert board.rows[0].components is not None


def test_they_are_made_where_they_are_shown(world: Any) -> None:
    write(world, seeds=2)
    for asked, made in ((None, False), (("cost",), False), (("quality",), True), (("spread",), True)):
        (board,) = answer(world.store, Request(columns=asked, resamples=FAST), "today").boards
        assert (board.map is not None) == made
        assert math.isnan(board.rows[0].true_low) != made
