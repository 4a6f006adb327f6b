"""Tables of scored predictions: what a leaderboard says of systems, and a table per label of one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from bench.leaderboard.board import build_task
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.columns import NOTHING, interval_text
from bench.leaderboard.contract import Contract
from bench.leaderboard.entries import Entry
from bench.leaderboard.estimate import estimates
from bench.leaderboard.facts import MetricFacts
from bench.leaderboard.table import Estimate, TaskBoard
from bench.stats.aggregate import Policy, status_counts
from bench.stats.intervals import mean_intervals
from medseg.tasks import TaskSpec

MEAN = "mean of labels"
COUNTS = {"n_valid": "valid", "n_empty_reference": "empty", "n_missed": "miss", "n_failed": "fail"}


@dataclass(frozen=True)
class LabelRow:
    """One metric of one label.

    Args:
        facts: The metric.
        label: The label; `MEAN` for the mean over labels.
        is_mean: Whether it is the mean: a label may have any name.
        estimate: Mean over patients with its interval.
        median: Over patients; NaN where no patient has a value.
        counts: Cases by what happened: n_valid, n_empty_reference, n_hallucinated, n_missed, n_failed.
    """

    facts: MetricFacts
    label: str
    is_mean: bool
    estimate: Estimate
    median: float
    counts: Mapping[str, int]


def scored_cells(
    rows: Sequence[Mapping[str, Any]],
    systems: Sequence[str],
    task: TaskSpec | None = None,
    policy: Policy | None = None,
    unit: str = "",
) -> TaskCells:
    """Returns scored predictions as a leaderboard takes them: each system is an entry with one run.

    Args:
        rows: Of `medseg.scoring.score`.
        systems: Their names.
        task: The task that they were scored by, if any.
        policy: What empty masks count; by default what the task declares, or as nnU-Net.
        unit: Of lengths, ``mm`` or ``px``; by default the task's.
    """
    cells = pd.DataFrame(rows).rename(columns={"system": "entry"}).assign(fold=0, seed=0)
    nothing = pd.DataFrame({"status": [], "parameters": [], "train_s": []})
    entries = tuple(Entry(system, system, "", nothing) for system in systems)
    if task is None:
        return TaskCells("scores", entries, {}, cells, contract=Contract(policy or "nnunet", unit=unit))
    contract = Contract(task.empty_policy, task.tolerances() or {}, task.cavities, unit or task.unit)
    return TaskCells(task.name, entries, {}, cells, contract=contract, asked_policy=policy)


def scored_board(cells: TaskCells, metric: str, metrics: Sequence[str]) -> TaskBoard:
    """Returns what a leaderboard says of systems.

    Args:
        cells: Of `scored_cells`.
        metric: What is ranked by.
        metrics: What else is shown.
    """
    return replace(build_task(cells, metric, metrics), n_folds=0, n_seeds=0)


def label_rows(cells: TaskCells, system: str, metrics: Sequence[str], seed: int = 0) -> list[LabelRow]:
    """Returns a row per metric and label, and one per metric for the mean over labels, if there are several.

    Args:
        cells: Of `scored_cells`.
        system: Name of one system.
        metrics: In the order wanted.
        seed: Of the bootstrap.
    """
    mine = cells.cells[cells.cells["entry"] == system]
    parts = {name: _by_label(cells, mine[mine["metric"] == name], name) for name in metrics}
    tables = {name: part.patients(name) for name, part in parts.items()}
    # One resampling for all: patients are the same, and drawing them takes longest.
    stacked = pd.concat(tables.values(), ignore_index=True).rename_axis(index="entry", columns="patient")
    found = mean_intervals(stacked, np.random.default_rng(seed))
    told = iter(estimates(found, stacked))
    rows = []
    for name, part in parts.items():
        facts, counts, medians = part.facts(name), status_counts(part.cells), tables[name].median(axis=1)
        labels = list(dict.fromkeys(part.cells["label"]))
        for place in tables[name].index:
            is_mean = place == len(labels)
            number = {str(key): int(count) for key, count in counts.loc[place].items()}
            label = MEAN if is_mean else labels[place]
            rows.append(LabelRow(facts, label, is_mean, next(told), float(medians[place]), number))
    return rows


def _by_label(cells: TaskCells, rows: pd.DataFrame, metric: str) -> TaskCells:
    """Returns cells whose entries are the places of the labels, and after them the mean where there is one."""
    number, labels = pd.factorize(rows["label"])
    parts = [rows.assign(entry=number)]
    # A mean of volumes of unlike organs says nothing.
    if len(labels) > 1 and cells.facts(metric).ranked:
        parts.append(rows.assign(entry=len(labels)))
    return replace(cells, cells=pd.concat(parts, ignore_index=True))


def label_table(rows: Sequence[LabelRow]) -> Table:
    """Writes these rows for a terminal."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for title in ("metric", "label"):
        table.add_column(title, no_wrap=True)
    for title in ("mean [95% CI]", "median", *COUNTS.values()):
        table.add_column(Text(title), justify="right", no_wrap=True)
    before = ""
    for row in rows:
        median = NOTHING if np.isnan(row.median) else row.facts.text(row.median)
        counts = [str(row.counts[key]) for key in COUNTS]
        title = row.facts.title if row.facts.title != before else ""
        cells = [title, row.label, interval_text(row.facts, row.estimate), median, *counts]
        table.add_row(*map(Text, cells), style="bold" if row.is_mean else "")
        before = row.facts.title
    return table
