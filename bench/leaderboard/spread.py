"""How an entry's values scatter, over which other trainings its mean may move, and where its true rank may be."""

from dataclasses import replace

import numpy as np

from bench.leaderboard.cells import TaskCells
from bench.leaderboard.estimate import LEAST_FOR_INTERVAL, UNKNOWN, Estimate
from bench.leaderboard.table import EntryRow, TaskBoard
from bench.stats.certain_ranks import certain_ranks
from bench.stats.crossed import crossed_intervals
from bench.stats.paired import LEAST_PATIENTS
from bench.stats.variance import variance_components


def with_spread(board: TaskBoard, cells: TaskCells, seed: int) -> TaskBoard:
    """Adds variance components, means over patients and trainings, and simultaneous ranks to a table.

    Args:
        board: A table with rows.
        cells: What it was made of.
        seed: Of the bootstrap.
    """
    runs = cells.runs(board.metric)
    components = variance_components(runs)
    resampled = dict.fromkeys(runs.entries, UNKNOWN)
    if len(runs.runs) > 1 and len(runs.patients) >= LEAST_FOR_INTERVAL:
        found = crossed_intervals(runs, np.random.default_rng(seed))
        numbers = zip(runs.entries, found.mean, found.low, found.high, found.method, strict=True)
        for name, mean, low, high, method in numbers:
            if method == "crossed":
                resampled[name] = Estimate(float(mean), float(low), float(high))
    rows = [
        replace(row, components=components[row.entry], resampled=resampled[row.entry]) for row in board.rows
    ]
    if len(rows) > 1 and board.n_least >= LEAST_PATIENTS:
        rows = _with_true_ranks(board, cells, rows, seed)
    return replace(board, rows=tuple(rows))


def ranks_open(board: TaskBoard) -> bool:
    """Says whether there are too few patients to say anything of true ranks, though it was asked for."""
    return board.map is not None and len(board.rows) > 1 and board.n_least < LEAST_PATIENTS


def _with_true_ranks(board: TaskBoard, cells: TaskCells, rows: list[EntryRow], seed: int) -> list[EntryRow]:
    # Of one table for all pairs, so that their differences add up, and there is one order.
    order = [row.entry for row in rows]
    values = cells.together(board.metric, order, cells.patients(board.metric))
    ends = certain_ranks(values, board.facts[0].sign, np.random.default_rng(seed))
    return [
        replace(row, true_low=float(ends["low"][row.entry]), true_high=float(ends["high"][row.entry]))
        for row in rows
    ]
