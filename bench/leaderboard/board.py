"""Builds one table per task: ranks, estimates with intervals, paired tests, costs and failures."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from bench.errors import ResultsError
from bench.leaderboard.cavities import cavity_rows
from bench.leaderboard.cells import TaskCells, load_tasks
from bench.leaderboard.entries import Entry
from bench.leaderboard.table import Cost, EntryRow, Estimate, TaskBoard, Verdict
from bench.results.store import Store
from bench.stats.aggregate import Policy, is_lost, status_counts
from bench.stats.intervals import RESAMPLES, mean_intervals
from bench.stats.paired import ALPHA, PairedTest, compare, holm, smallest_p

METRICS = ("dice", "iou", "hd95", "nsd", "pixel_accuracy")
"""Shown by default, where measured."""

OnMissing = Literal["worst", "fail"]


def build(
    store: Store,
    suite: str | None = None,
    task: str | None = None,
    metric: str = "dice",
    metrics: Sequence[str] = METRICS,
    code: str | None = None,
    on_missing: OnMissing = "worst",
    resamples: int = RESAMPLES,
    seed: int = 0,
    policy: Policy | None = None,
) -> list[TaskBoard]:
    """Builds a table per task from the test values of final trials.

    Every entry counts every fold, seed and case that any entry of its task has. What is missing counts as the
    worst value and is marked.

    Args:
        store: Results.
        suite: Only trials of this suite.
        task: Only this task.
        metric: What is ranked by.
        metrics: What else is shown, where measured.
        code: Fingerprint of today's code, to mark what other code made; by default that of the newest trial.
        on_missing: ``"fail"`` refuses to rank where anything is missing.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.
        policy: What empty masks count; by default what each task declares.

    Raises:
        ResultsError: If there are no results, the metric was not measured, or values are missing and
            `on_missing` says fail.
        BenchError: If the metric is only reported, never ranked by.
    """
    loaded = load_tasks(store, suite, None if task is None else [task], code)
    loaded = [replace(cells, asked_policy=policy) for cells in loaded]
    if on_missing == "fail":
        _refuse_holes(loaded, metric)
    return [build_task(cells, metric, metrics, resamples, seed) for cells in loaded]


def build_task(
    cells: TaskCells, metric: str, metrics: Sequence[str], resamples: int = RESAMPLES, seed: int = 0
) -> TaskBoard:
    """Builds the table of one task; arguments and errors as in `build`."""
    if cells.cells.empty or (metric in cells.apart and metric not in cells.metrics):
        waiting = {entry.name: "no complete final trial" for entry in cells.entries}
        waiting |= cells.apart.get(metric, {})
        return TaskBoard(task=cells.task, metric=metric, pending=cells.pending | waiting, notes=cells.notes)
    cells.check_ranked(metric)
    names = list(dict.fromkeys([metric, *(name for name in metrics if name in cells.metrics)]))
    facts = {name: cells.facts(name) for name in names}
    tables = {name: cells.patients(name) for name in names}
    score = tables[metric].mean(axis=1) * facts[metric].sign
    order = [str(name) for name in score.sort_values(ascending=False, kind="stable").index]
    pairs = {name: cells.together(metric, [name, order[0]], tables[metric]) for name in order[1:]}
    tests = {name: compare(pair, name, order[0]) for name, pair in pairs.items()}
    runs = cells.cells[["fold", "seed"]]
    board = TaskBoard(
        task=cells.task,
        metric=metric,
        facts=tuple(facts.values()),
        pending=cells.pending | cells.apart.get(metric, {}),
        n_patients=tables[metric].shape[1],
        n_cases=cells.cells["case"].nunique(),
        n_folds=runs["fold"].nunique(),
        n_seeds=runs["seed"].nunique(),
        comparisons=len(tests),
        smallest_p=_smallest_p(list(tests.values())),
        resamples=resamples,
        notes=cells.notes,
        policy=cells.policy,
        declared_policy=cells.contract.policy,
        cavities=cavity_rows(cells, order),
        paired_absent=any(not pair.equals(tables[metric].loc[pair.index]) for pair in pairs.values()),
    )
    ranks = score.round(facts[metric].decimals).rank(ascending=False, na_option="bottom")
    estimates, gaps = _estimates(tables, _gaps(tables[metric], pairs, order), order, resamples, seed)
    return _with_rows(board, cells, order, ranks, estimates, gaps, tests)


def _with_rows(
    board: TaskBoard,
    cells: TaskCells,
    order: list[str],
    ranks: "pd.Series[float]",
    estimates: dict[str, dict[str, Estimate]],
    gaps: dict[str, Estimate],
    tests: dict[str, PairedTest],
) -> TaskBoard:
    measured, sign = cells.of_metric(board.metric), board.facts[0].sign
    counts = status_counts(measured)
    failed = _failures(measured)
    corrected = dict(zip(tests, holm([test.p for test in tests.values()]), strict=True))
    entries = {entry.name: entry for entry in cells.entries}
    rows = tuple(
        EntryRow(
            rank=float(ranks[name]),
            entry=name,
            model=entries[name].model,
            loss=entries[name].loss,
            metrics=estimates[name],
            difference=gaps[name],
            p=corrected.get(name, math.nan),
            verdict=_verdict(corrected.get(name), board.smallest_p, gaps[name].mean * sign),
            n_compared=tests[name].n if name in tests else board.n_patients,
            cost=_cost(entries[name]),
            n_failed=failed.get(name, 0),
            n_valid=int(counts["n_valid"][name]),
            n_empty_reference=int(counts["n_empty_reference"][name]),
            n_hallucinated=int(counts["n_hallucinated"][name]),
            n_missed=int(counts["n_missed"][name]),
            notes=entries[name].notes,
        )
        for name in order
    )
    return replace(board, rows=rows)


def _estimates(
    tables: dict[str, pd.DataFrame], gaps: pd.DataFrame, order: list[str], resamples: int, seed: int
) -> tuple[dict[str, dict[str, Estimate]], dict[str, Estimate]]:
    """Returns estimates by entry and metric, and the differences to the best, from the same resamples."""
    # An entry that is set apart for a metric has no row: NaN.
    parts = [table.reindex(order) for table in tables.values()] + [gaps]
    stacked = pd.concat(parts, ignore_index=True).rename_axis(index="entry", columns="patient")
    found = mean_intervals(stacked, np.random.default_rng(seed), resamples)
    flat = [
        Estimate(float(mean), float(low), float(high))
        for mean, low, high in zip(found.mean, found.low, found.high, strict=True)
    ]
    size = len(order)
    estimates = {
        name: {key: flat[size * part + place] for part, key in enumerate(tables)}
        for place, name in enumerate(order)
    }
    return estimates, dict(zip(order, flat[size * len(tables) :], strict=True))


def _gaps(alone: pd.DataFrame, pairs: dict[str, pd.DataFrame], order: list[str]) -> pd.DataFrame:
    """Returns every entry minus the best, entries x patients, as they are compared."""
    best = order[0]
    rows = {best: alone.loc[best] - alone.loc[best]}
    rows |= {name: pair.loc[name] - pair.loc[best] for name, pair in pairs.items()}
    return pd.DataFrame(rows).T.reindex(columns=alone.columns)


def _smallest_p(tests: list[PairedTest]) -> float:
    return min(1.0, len(tests) * smallest_p(max((test.n for test in tests), default=0)))


def _verdict(p: float | None, smallest: float, gap: float) -> Verdict:
    """Says what a corrected p-value means, given the difference to the best, positive where it is better."""
    if p is None:
        return "best"
    if p < ALPHA:
        return "better" if gap > 0 else "worse"
    return "cannot tell" if math.isnan(p) or smallest >= ALPHA else "tied"


def _failures(measured: pd.DataFrame) -> dict[str, int]:
    lost = measured[is_lost(measured)]
    cells = lost[["entry", "fold", "seed", "case"]].drop_duplicates()
    return {str(name): int(count) for name, count in cells["entry"].value_counts().items()}


def _cost(entry: Entry) -> Cost:
    done = entry.finals[entry.finals["status"] == "complete"]
    sizes = done["parameters"].dropna()
    return Cost(
        parameters=int(sizes.max()) if len(sizes) else None,
        train_s=float(done["train_s"].mean()) if len(done) else math.nan,
    )


def _refuse_holes(tasks: Sequence[TaskCells], metric: str) -> None:
    holes = [
        f"{cells.task}: {name}: {reason}"
        for cells in tasks
        for name, reason in (cells.pending | cells.apart.get(metric, {})).items()
    ]
    for cells in tasks:
        lost = cells.cells.loc[is_lost(cells.cells), "entry"].value_counts().sort_index()
        holes += [f"{cells.task}: {name}: {count} values missing" for name, count in lost.items()]
    if holes:
        raise ResultsError("the results are incomplete: " + "; ".join(holes))
