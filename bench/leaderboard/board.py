"""Builds one table per task: ranks, estimates with intervals, paired tests, costs and failures."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bench.leaderboard.against_best import AgainstBest, against_best
from bench.leaderboard.cavities import cavity_rows
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.costs import cost_of
from bench.leaderboard.entries import Entry
from bench.leaderboard.estimate import LEAST_FOR_INTERVAL, UNKNOWN, Estimate, estimates
from bench.leaderboard.spread import with_spread
from bench.leaderboard.table import EntryRow, TaskBoard
from bench.leaderboard.verdicts import judged
from bench.stats.aggregate import is_lost, status_counts
from bench.stats.effects import Effect
from bench.stats.intervals import RESAMPLES, mean_intervals, median_intervals
from bench.stats.paired import LEAST_PATIENTS, Pairs, significance_map
from bench.stats.ranking import RESAMPLES as RANK_RESAMPLES
from bench.stats.ranking import Scheme, bootstrap_ranks, rank

METRICS = ("dice", "iou", "hd95", "nsd", "pixel_accuracy")
"""Measured in tables, where the results hold them."""


def build_task(
    cells: TaskCells,
    metric: str,
    metrics: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
    scheme: Scheme = "mean",
    whole: bool = False,
) -> TaskBoard:
    """Builds the table of one task from the test values of its final trials.

    Every entry counts every fold, seed and case that any entry of its task has. What is missing counts as the worst
    value and is marked.

    Args:
        cells: Test values of the task.
        metric: What is ranked by.
        metrics: What else is shown, where measured.
        resamples: Bootstrap samples behind intervals of means, medians and effects.
        seed: Of the bootstrap.
        scheme: How ranks are made; see `bench.stats.ranking`.
        whole: Whether to test all pairs of entries, too, and to say how values spread; see `with_spread`.

    Raises:
        ResultsError: If the metric was not measured.
        BenchError: If it is only reported, never ranked by.
    """
    if cells.cells.empty or (metric in cells.apart and metric not in cells.metrics):
        waiting = {entry.name: _nothing_complete(entry) for entry in cells.entries}
        waiting |= cells.apart.get(metric, {})
        return TaskBoard(task=cells.task, metric=metric, pending=cells.pending | waiting, notes=cells.notes)
    cells.check_ranked(metric)
    names = list(dict.fromkeys([metric, *(name for name in metrics if name in cells.metrics)]))
    facts = [cells.facts(name) for name in names]
    tables = {name: cells.patients(name) for name in names}
    alone, first = tables[metric], facts[0]
    every, pairs = [str(name) for name in alone.index], cells.pairs(metric, alone)
    ranks = rank(cells.ranked(metric, scheme, every, alone), first.sign, scheme, first.decimals, pairs)
    order = _order(alone, ranks, first.sign)
    against = against_best(cells, metric, order, alone, seed, resamples)
    means, medians = _estimates(tables, order, resamples, seed)
    numbers = _Numbers(ranks, against, against.effects(first.sign), means, medians, against.over_trainings())
    board = TaskBoard(
        task=cells.task,
        metric=metric,
        facts=tuple(facts),
        rows=_rows(cells, numbers, order, metric),
        pending=cells.pending | cells.apart.get(metric, {}),
        n_patients=alone.shape[1],
        n_cases=len(cells.cases),
        n_folds=cells.ran["fold"].nunique(),
        n_seeds=cells.ran["seed"].nunique(),
        resamples=resamples,
        notes=cells.notes,
        policy=cells.policy,
        declared_policy=cells.contract.policy,
        patients_from=cells.contract.patients_from,
        cavities=cavity_rows(cells, order),
        paired_absent=against.paired_absent,
        against=against,
        scheme=scheme,
        map=significance_map(alone.loc[order], first.sign, pairs=pairs) if whole else None,
    )
    board = _with_ranking(board, cells.ranked(metric, scheme, order, alone), pairs, seed)
    board = judged([board])[0]
    return with_spread(board, cells, seed) if whole else board


def _nothing_complete(entry: Entry) -> str:
    """Says why an entry has no value, e.g. ``no complete final trial: 2 oom``."""
    words = Counter(map(str, entry.finals["status"])) if len(entry.finals) else Counter[str]()
    counts = ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
    return f"no complete final trial: {counts}" if counts else "no complete final trial"


@dataclass(frozen=True)
class _Numbers:
    ranks: "pd.Series[float]"
    against: AgainstBest
    effects: Mapping[str, Effect]
    metrics: Mapping[str, dict[str, Estimate]]
    medians: Mapping[str, Estimate]
    trained: Mapping[str, Estimate]

    def difference(self, name: str) -> Estimate:
        if name not in self.effects:
            return Estimate(0.0, 0.0, 0.0)
        found = self.effects[name].mean
        few = self.effects[name].n < LEAST_FOR_INTERVAL
        return Estimate(found.value) if few else Estimate(found.value, found.low, found.high)


def _order(alone: pd.DataFrame, ranks: "pd.Series[float]", sign: int) -> list[str]:
    """Returns entries best first; who shares a rank by the mean."""
    keys = pd.DataFrame({"rank": ranks, "score": -sign * alone.mean(axis=1)})
    return [str(name) for name in keys.sort_values(["rank", "score"], kind="stable").index]


def _rows(cells: TaskCells, numbers: _Numbers, order: Sequence[str], metric: str) -> tuple[EntryRow, ...]:
    """Returns the rows, their p-values not corrected yet."""
    measured = cells.as_measured(metric)
    counts, failed = status_counts(measured), _failures(measured)
    entries = {entry.name: entry for entry in cells.entries}
    tests, imputed = numbers.against.tests, cells.imputed(metric)
    valued, lost = numbers.against.alone.notna().sum(axis=1), _all_lost(cells.of_metric(metric))
    return tuple(
        EntryRow(
            rank=float(numbers.ranks[name]),
            entry=name,
            model=entries[name].model,
            loss=entries[name].loss,
            metrics={key: _bare(one, name in lost) for key, one in numbers.metrics[name].items()},
            median=_bare(numbers.medians[name], name in lost),
            difference=_bare(numbers.difference(name), name in lost),
            difference_sd=tests[name].sd if name in tests else math.nan,
            trained=_bare(numbers.trained.get(name, UNKNOWN), name in lost),
            p=math.nan,
            p_raw=tests[name].p if name in tests else math.nan,
            effect=None if name in lost else numbers.effects.get(name),
            verdict="cannot tell" if name in tests else "best",
            n_compared=tests[name].n if name in tests else int(valued[name]),
            cost=cost_of(entries[name]),
            n_failed=failed.get(name, 0),
            n_valid=int(counts["n_valid"][name]),
            n_empty_reference=int(counts["n_empty_reference"][name]),
            n_hallucinated=int(counts["n_hallucinated"][name]),
            n_missed=int(counts["n_missed"][name]),
            n_imputed=imputed.get(name, 0),
            notes=entries[name].notes,
            n=int(valued[name]),
            all_failed=name in lost,
        )
        for name in order
    )


def _with_ranking(board: TaskBoard, values: pd.DataFrame, pairs: Pairs, seed: int) -> TaskBoard:
    """Adds how sure the ranks are, where there are patients enough for any comparison."""
    if board.n_least < LEAST_PATIENTS or len(board.rows) < 2:
        return board
    facts, rng = board.facts[0], np.random.default_rng(seed)
    found = bootstrap_ranks(
        values, facts.sign, board.scheme, facts.decimals, rng, RANK_RESAMPLES, pairs=pairs
    )
    ends = {name: (found.low[place], found.high[place]) for place, name in enumerate(found.entries)}
    rows = [
        replace(row, rank_low=float(ends[row.entry][0]), rank_high=float(ends[row.entry][1]))
        for row in board.rows
    ]
    return replace(board, ranking=found, rows=tuple(rows))


def _estimates(
    tables: Mapping[str, pd.DataFrame], order: Sequence[str], resamples: int, seed: int
) -> tuple[dict[str, dict[str, Estimate]], dict[str, Estimate]]:
    """Returns means by entry and metric, all from the same resamples, and medians of the first metric."""
    # An entry that is set apart for a metric has no row: NaN.
    parts = [table.reindex(list(order)) for table in tables.values()]
    stacked = pd.concat(parts, ignore_index=True).rename_axis(index="entry", columns="patient")
    flat = estimates(mean_intervals(stacked, np.random.default_rng(seed), resamples), stacked)
    means = {
        name: {key: flat[len(order) * part + place] for part, key in enumerate(tables)}
        for place, name in enumerate(order)
    }
    return means, dict(zip(order, estimates(median_intervals(parts[0]), parts[0]), strict=True))


def _all_lost(rows: pd.DataFrame) -> set[str]:
    """Returns the entries of which nothing was measured: what is shown of them was put in, and has no interval."""
    there = rows.loc[~is_lost(rows), "entry"]
    return set(map(str, rows["entry"].unique())) - set(map(str, there.unique()))


def _bare(found: Estimate, bare: bool) -> Estimate:
    return Estimate(found.mean) if bare else found


def _failures(measured: pd.DataFrame) -> dict[str, int]:
    lost = measured[is_lost(measured)]
    cells = lost[["entry", "fold", "seed", "case"]].drop_duplicates()
    return {str(name): int(count) for name, count in cells["entry"].value_counts().items()}
