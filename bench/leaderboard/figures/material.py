"""What figures are drawn from: read when it is asked for, once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from bench.leaderboard.cells import TaskCells
from bench.leaderboard.facts import metric_facts
from bench.leaderboard.figures.curves import COLUMNS
from bench.leaderboard.importance import Importance, importances
from bench.leaderboard.planned import PlannedStudy, read_planned
from bench.leaderboard.table import SuiteBoard, TaskBoard
from bench.results.store import Store
from bench.stats.paired import significance_map

KEY = ["trial", "code", "attempt"]
RUN = ["fold", "seed", "best_epoch", "status"]
MOST_STUDIES = 12
"""Entries whose tuning is looked at: the best ones."""


class Tuning:
    """Tuning trials of a suite.

    Args:
        store: Results.
        cells: Test values, a task each, with the entries whose trials count.
    """

    def __init__(self, store: Store, cells: Sequence[TaskCells]):
        self._entries = [entry for one in cells for entry in one.entries if len(entry.tuning)]
        self.suite: Mapping[str, Any] = store.read_suite() or {}
        self.planned: Sequence[PlannedStudy] = read_planned(store)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """Those that the tables speak of; no other suite's."""
        return pd.concat([entry.tuning for entry in self._entries]) if self._entries else pd.DataFrame()

    def importances(self, task: str, entries: Sequence[str]) -> tuple[Importance, ...]:
        """Returns what mattered in tuning some entries on a task; none of those that were not tuned."""
        studies = self.suite.get("studies", [])
        if self.trials.empty or not any(study.get("space") and study["task"] == task for study in studies):
            return ()
        return tuple(importances(self.trials, self.suite, self.planned, task, entries))


@dataclass(frozen=True)
class TaskMaterial:
    """Of one task.

    Args:
        board: Its table; it has rows.
        cells: Its test values.
        store: Results.
        tuning: Tuning trials of the suite.
    """

    board: TaskBoard
    cells: TaskCells = field(repr=False)
    store: Store = field(repr=False)
    tuning: Tuning = field(repr=False)

    @property
    def order(self) -> list[str]:
        """Names of the entries, best first."""
        return [row.entry for row in self.board.rows]

    @cached_property
    def values(self) -> pd.DataFrame:
        """The ranked metric, entries x patients."""
        return self.cells.patients(self.board.metric).loc[self.order]

    @cached_property
    def map(self) -> pd.DataFrame:
        """Significance map, entries x entries."""
        found, values, metric = self.board.map, self.values, self.board.metric
        if found is None:
            found = significance_map(
                values,
                self.board.facts[0].sign,
                pairs=lambda *two: self.cells.together(metric, list(two), values),
            )
        return found.loc[self.order, self.order]

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Epochs of final trainings, columns of `bench.leaderboard.figures.curves.COLUMNS`."""
        finals = self._finals
        if "trial" not in finals.columns or finals.empty:
            return pd.DataFrame(columns=list(COLUMNS))
        curves = self.store.curves(set(finals["trial"]))[[*KEY, "epoch", "score"]]
        return curves.merge(finals[[*KEY, "entry", *RUN]], on=KEY)[list(COLUMNS)]

    @property
    def score(self) -> str:
        """What the scores of curves are made of; those of distances are negated."""
        finals = self._finals
        names = [str(name) for name in finals["metric"].unique()] if "metric" in finals.columns else []
        facts = [metric_facts(name, "") for name in names]
        return " / ".join(f"{'' if f.higher_is_better else 'minus '}{f.title}" for f in facts) or "score"

    @cached_property
    def importances(self) -> tuple[Importance, ...]:
        """What mattered in tuning, of the best `MOST_STUDIES` entries."""
        return self.tuning.importances(self.board.task, self.order[:MOST_STUDIES])

    @cached_property
    def _finals(self) -> pd.DataFrame:
        entries = {entry.name: entry for entry in self.cells.entries}
        return pd.concat([entries[name].finals.assign(entry=name) for name in self.order])


@dataclass(frozen=True)
class Material:
    """Of a suite.

    Args:
        tasks: Those that rank anything.
        overall: Table over tasks, if there is one.
    """

    tasks: tuple[TaskMaterial, ...]
    overall: SuiteBoard | None = None


def gather(
    store: Store,
    cells: Sequence[TaskCells],
    boards: Sequence[TaskBoard],
    overall: SuiteBoard | None = None,
) -> Material:
    """Brings together what figures are drawn from.

    Args:
        store: Results; learning curves are read from it where a figure needs them.
        cells: Test values, a task each.
        boards: Their tables, in the same order.
        overall: Table over tasks.
    """
    tuning = Tuning(store, cells)
    tasks = [
        TaskMaterial(board, one, store, tuning)
        for one, board in zip(cells, boards, strict=True)
        if board.rows
    ]
    return Material(tuple(tasks), overall if overall is not None and overall.rows else None)
