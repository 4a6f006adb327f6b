"""The table over tasks: mean ranks with intervals, and whether entries differ over tasks at all."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bench.leaderboard.cells import TaskCells
from bench.leaderboard.estimate import Estimate
from bench.leaderboard.table import SuiteBoard, SuiteRow
from bench.stats.friedman import Friedman, cliques, friedman, nemenyi
from bench.stats.paired import ALPHA, LEAST_PATIENTS
from bench.stats.ranking import RESAMPLES, RankBootstrap, Scheme, overall, rank

LEAST_TASKS = 2
LEAST_ENTRIES = 2


@dataclass(frozen=True)
class _Task:
    values: pd.DataFrame
    sign: int
    decimals: int


def build_overall(
    tasks: Sequence[TaskCells],
    metric: str,
    scheme: Scheme = "mean",
    seed: int = 0,
    resamples: int = RESAMPLES,
    excluded: Mapping[str, str] | None = None,
) -> SuiteBoard | None:
    """Builds the table over tasks, of the entries that each of them ranks.

    A task is one unit, however many patients it has: ranks are averaged over tasks. The intervals resample the
    patients within each task and say how sure the ranks are on these tasks; whether they would hold on other tasks is
    what Friedman's test asks.

    Args:
        tasks: Test values.
        metric: What is ranked by.
        scheme: How ranks within a task are made.
        seed: Of the bootstrap.
        resamples: Of the patients.
        excluded: Tasks that were left out before, and why.

    Returns:
        None where fewer than two tasks rank anything.
    """
    ranked = {cells.task: cells for cells in tasks if not cells.cells.empty and metric in cells.metrics}
    if len(ranked) < LEAST_TASKS:
        return None
    left_out = dict(excluded or {})
    left_out |= {cells.task: "nothing to rank" for cells in tasks if cells.task not in ranked}
    tables = {name: _task(cells, metric) for name, cells in ranked.items()}
    shared = [
        str(name)
        for name in next(iter(tables.values())).values.index
        if all(name in table.values.index for table in tables.values())
    ]
    left_out |= _partly(tables, shared)
    board = SuiteBoard(
        metric=metric, tasks=tuple(tables), scheme=scheme, left_out=left_out, resamples=resamples
    )
    if len(shared) < LEAST_ENTRIES:
        return replace(board, notes=("fewer than two entries are ranked in every task",))
    pairs = {name: cells.pairs(metric, tables[name].values) for name, cells in ranked.items()}
    tables = {
        name: replace(table, values=ranked[name].ranked(metric, scheme, shared, table.values))
        for name, table in tables.items()
    }
    found = overall(
        {name: (table.values, table.sign, table.decimals) for name, table in tables.items()},
        np.random.default_rng(seed),
        scheme,
        resamples,
        pairs=pairs,
    )
    ranks = pd.DataFrame(
        {
            name: rank(table.values, table.sign, scheme, table.decimals, pairs[name])
            for name, table in tables.items()
        }
    )
    tested = friedman(ranks.rename_axis(index="entry", columns="task"), -1)
    sure = all(table.values.notna().sum(axis=1).min() >= LEAST_PATIENTS for table in tables.values())
    rows = _rows(ranked, found, ranks, tested, sure)
    return replace(
        board,
        rows=rows,
        ranking=found if sure else None,
        friedman=tested,
        critical_difference=tested.critical_difference,
    )


def _task(cells: TaskCells, metric: str) -> _Task:
    facts = cells.facts(metric)
    return _Task(cells.patients(metric), facts.sign, facts.decimals)


def _partly(tables: Mapping[str, _Task], shared: Sequence[str]) -> dict[str, str]:
    """Returns the entries that some task lacks, and which."""
    every = dict.fromkeys(str(name) for table in tables.values() for name in table.values.index)
    return {
        name: "not ranked in "
        + ", ".join(task for task, table in tables.items() if name not in table.values.index)
        for name in every
        if name not in shared
    }


def _rows(
    ranked: Mapping[str, TaskCells],
    found: RankBootstrap,
    ranks: pd.DataFrame,
    tested: Friedman,
    sure: bool,
) -> tuple[SuiteRow, ...]:
    entries = {entry.name: entry for cells in ranked.values() for entry in cells.entries}
    best, p = _with_the_best(tested), _nemenyi_p(tested)
    order = sorted(range(len(found.entries)), key=lambda place: (found.ranks[place], place))
    rows = []
    for place in order:
        name = found.entries[place]
        ends = (float(found.score_low[place]), float(found.score_high[place])) if sure else ()
        rows.append(
            SuiteRow(
                entry=name,
                model=entries[name].model,
                loss=entries[name].loss,
                rank=float(found.ranks[place]),
                mean_rank=Estimate(float(found.scores[place]), *ends),
                ranks={str(task): float(ranks[task][name]) for task in ranks.columns},
                clique=None if best is None else name in best,
                nemenyi_p=p.get(name, math.nan),
                notes=_notes(ranked, name),
            )
        )
    return tuple(rows)


def _differ(tested: Friedman) -> bool:
    """Whether entries differ at all: only then pairs of them are looked at."""
    return tested.can_tell and tested.f_p < ALPHA


def _nemenyi_p(tested: Friedman) -> dict[str, float]:
    """Returns, by entry, the p-value of Nemenyi's test against the best; nothing where it can tell nothing."""
    if not _differ(tested):
        return {}
    p = nemenyi(tested).iloc[0]
    return {str(name): float(p[name]) for name in p.index[1:]}


def _with_the_best(tested: Friedman) -> set[str] | None:
    """Returns the entries that Nemenyi's test does not tell from the best; none where it can tell nothing."""
    if not _differ(tested):
        return None
    first = str(tested.mean_ranks.index[0])
    groups = cliques(tested.mean_ranks, tested.critical_difference)
    return {first, *next((group for group in groups if first in group), ())}


def _notes(ranked: Mapping[str, TaskCells], name: str) -> tuple[str, ...]:
    marked = [
        task
        for task, cells in ranked.items()
        if any(entry.name == name and entry.notes for entry in cells.entries)
    ]
    return (f"see its notes in {', '.join(marked)}",) if marked else ()
