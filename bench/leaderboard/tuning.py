"""Default against tuned: what a study's tuning gained on validation cases."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bench.leaderboard.cells import TaskCells
from bench.leaderboard.entries import Entry
from bench.leaderboard.estimate import LEAST_FOR_INTERVAL, Estimate, Gain
from bench.leaderboard.facts import metric_facts
from bench.leaderboard.table import TaskBoard
from bench.results.select import best_trials, newest_per_trial
from bench.results.store import Store
from bench.stats.aggregate import per_patient
from bench.stats.intervals import mean_intervals

DEFAULT = 0
"""Number of the first trial of each study: the library's default setting."""
CLOSE = 1e-6
"""Trials keep their score; where the cases tell another difference, they tell no interval of it."""
KEY = ["trial", "code"]


@dataclass(frozen=True)
class _Pair:
    """The two tuning trials that are compared; the first is none where the default setting did not complete."""

    default: "pd.Series | None"
    tuned: "pd.Series"
    n_trials: int


def with_gains(board: TaskBoard, cells: TaskCells, store: Store, seed: int = 0) -> TaskBoard:
    """Adds to each row what tuning gained.

    Args:
        board: A task's table.
        cells: What it was made of.
        store: Where the validation cases of tuning trials are.
        seed: Of the bootstrap.
    """
    shown = {row.entry for row in board.rows}
    pairs = {entry.name: _pair(entry) for entry in cells.entries if entry.name in shown}
    known = {name: pair for name, pair in pairs.items() if pair is not None}
    values = _values(store, known)
    gains = {name: _gain(pair, values, cells, seed) for name, pair in known.items()}
    return replace(board, rows=tuple(replace(row, gain=gains.get(row.entry)) for row in board.rows))


def _pair(entry: Entry) -> _Pair | None:
    """Returns the default trial and the one whose setting the finals have; none where nothing was tuned."""
    if entry.tuning.empty:
        return None
    trials = newest_per_trial(entry.tuning)
    done = trials[(trials["status"] == "complete") & trials["value"].notna()]
    mine = done[done["setting"].isin(entry.finals["setting"])] if len(entry.finals) else done.iloc[:0]
    tuned = mine.sort_values("value", kind="stable").tail(1) if len(mine) else best_trials(entry.tuning)
    if tuned.empty:
        return None
    first = done[(done["number"] == DEFAULT) & (done["metric"] == tuned["metric"].iloc[0])]
    return _Pair(first.iloc[0] if len(first) else None, tuned.iloc[0], len(trials))


def _values(store: Store, pairs: Mapping[str, _Pair]) -> pd.DataFrame:
    trials = {
        str(row["trial"]) for pair in pairs.values() for row in (pair.default, pair.tuned) if row is not None
    }
    return store.cases(trials=trials, part="validation") if trials else pd.DataFrame()


def _gain(pair: _Pair, values: pd.DataFrame, cells: TaskCells, seed: int) -> Gain:
    default = math.nan if pair.default is None else float(pair.default["value"])
    tuned, metric = float(pair.tuned["value"]), str(pair.tuned["metric"])
    difference = Estimate(tuned - default)
    if pair.default is not None and len(values):
        difference = _with_interval(difference, pair, values, cells, seed)
    return Gain(default=default, tuned=tuned, difference=difference, metric=metric, n_trials=pair.n_trials)


def _with_interval(
    difference: Estimate, pair: _Pair, values: pd.DataFrame, cells: TaskCells, seed: int
) -> Estimate:
    """Adds the interval over patients of the validation part, where the two trials share them."""
    metric = str(pair.tuned["metric"])
    sides = {"default": pair.default, "tuned": pair.tuned}
    parts = [
        values[
            (values["trial"] == row["trial"]) & (values["code"] == row["code"]) & (values["metric"] == metric)
        ].assign(entry=name, fold=0, seed=0)
        for name, row in sides.items()
        if row is not None
    ]
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[rows["definition"].isin(set.intersection(*(set(part["definition"]) for part in parts)))]
    if rows.empty or rows.duplicated(["entry", "case", "label"]).any():
        return difference
    facts = metric_facts(metric, str(rows["unit"].iloc[0]))
    table = per_patient(rows, facts.worst, cells.contract.policy, facts.agreed)
    gap = (facts.sign * (table.loc[["tuned"]] - table.loc["default"])).dropna(axis=1)
    if (
        gap.shape[1] < max(LEAST_FOR_INTERVAL, table.shape[1])
        or abs(float(gap.mean(axis=1).iloc[0]) - difference.mean) > CLOSE
    ):
        return difference
    found = mean_intervals(gap, np.random.default_rng(seed))
    return Estimate(difference.mean, float(found.low[0]), float(found.high[0]))
