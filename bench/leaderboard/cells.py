"""The test values of one task as a full grid: entries x folds x seeds x cases x labels, without holes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import pandas as pd

from bench.errors import BenchError, NoSuchNameError, ResultsError
from bench.leaderboard.contract import Contract
from bench.leaderboard.definitions import Apart
from bench.leaderboard.entries import Entry
from bench.leaderboard.facts import MetricFacts, metric_facts
from bench.leaderboard.subgroups import patient_groups
from bench.stats.aggregate import Policy, RunValues, is_lost, run_values
from bench.stats.codes import combine
from bench.stats.grid import COLUMNS, Grid, make_grid
from bench.stats.paired import Pairs
from bench.stats.schemes import Scheme
from medseg.errors import did_you_mean


@dataclass(frozen=True)
class TaskCells:
    """The test values of a task.

    Args:
        task: Name.
        entries: Entries that are ranked.
        pending: Why other entries are not ranked, by name.
        cells: Columns entry, fold, seed, case, patient, label, metric, subgroup, phase, definition, value, status,
            unit, diagonal; texts are categorical; one definition per metric and label. What a failed or absent run
            does not give is a row with status ``missing``. A bool column imputed, where there is one, marks rows that
            were taken from a baseline; see `bench.leaderboard.completeness`.
        notes: What a reader must know of the task's results.
        apart: By metric and entry, why an entry has no cells of a metric: it was measured by another definition, or
            a complete trial of it was not measured at all.
        contract: What the task declares.
        asked_policy: What empty masks count where not what the task declares.
    """

    task: str
    entries: tuple[Entry, ...]
    pending: dict[str, str]
    cells: pd.DataFrame
    notes: tuple[str, ...] = ()
    apart: Apart = field(default_factory=dict)
    contract: Contract = field(default_factory=Contract)
    asked_policy: Policy | None = None

    @property
    def policy(self) -> Policy:
        """What empty masks count."""
        return self.asked_policy or self.contract.policy

    @cached_property
    def metrics(self) -> list[str]:
        """Names of the metrics that were measured."""
        return sorted(self.cells["metric"].unique())

    @cached_property
    def cases(self) -> list[str]:
        """Names of the cases."""
        return list(combine(self.cells, ["case"]).frame()["case"])

    @cached_property
    def ran(self) -> pd.DataFrame:
        """Runs: columns fold and seed."""
        return combine(self.cells, ["fold", "seed"]).frame()

    def of_metric(self, name: str) -> pd.DataFrame:
        """Returns the cells of one metric.

        Raises:
            ResultsError: If it was not measured.
        """
        return self._of_metric(name, list(self.cells.columns))

    def _of_metric(self, name: str, columns: list[str]) -> pd.DataFrame:
        found = self.cells.loc[(self.cells["metric"] == name).to_numpy(bool), columns]
        if found.empty:
            if name in self.apart:
                raise ResultsError(f"{self.task}: no entry has one definition of {name} in all of its trials")
            hint = did_you_mean(name, self.metrics)
            raise NoSuchNameError(f"{self.task}: no test values of metric '{name}'{hint}")
        return found

    def facts(self, name: str) -> MetricFacts:
        """Returns what a table must know of a metric; errors as in `of_metric`."""
        if name not in self._facts:
            rows = self._of_metric(name, ["label", "definition", "unit"])
            known = combine(rows[rows["definition"].notna()], ["label", "definition"]).frame()
            definitions = dict(zip(known["label"], known["definition"], strict=True))
            self._facts[name] = metric_facts(name, str(rows["unit"].iloc[0]), definitions, self._length())
        return self._facts[name]

    def _length(self) -> str:
        """Returns the unit of lengths: what was measured tells, else the task."""
        units = self.cells["unit"]
        return next((unit for unit in ("mm", "px") if (units == unit).any()), self.contract.unit)

    def check_ranked(self, name: str) -> None:
        """Checks that entries may be ranked by a metric.

        Raises:
            ResultsError: If it was not measured.
            BenchError: If it is only reported.
        """
        if not self.facts(name).ranked:
            others = ", ".join(other for other in self.metrics if self.facts(other).ranked)
            raise BenchError(f"{name} is only reported, never ranked by: name another metric ({others})")

    @cached_property
    def labels(self) -> list[str]:
        """Names of the labels that were measured."""
        return sorted(self.cells["label"].unique())

    def patients(self, name: str) -> pd.DataFrame:
        """Returns a metric's values, entries x patients; errors as in `of_metric`."""
        return self._grid(name).per_patient()

    def runs(self, name: str) -> RunValues:
        """Returns a metric's values by entry, run and patient; errors as in `of_metric`."""
        return run_values(self._grid(name))

    def together(self, name: str, entries: Sequence[str], alone: pd.DataFrame) -> pd.DataFrame:
        """Returns a metric's values of entries that are to be compared with each other; see `per_patient_together`.

        Args:
            name: Metric.
            entries: Names.
            alone: What `patients` returns of the metric.
        """
        return self._grid(name).together(entries, self.facts(name).agreed, alone)

    def ranked(self, name: str, scheme: Scheme, entries: Sequence[str], alone: pd.DataFrame) -> pd.DataFrame:
        """Returns the values that entries are ranked by.

        Their own for ``mean``. Ranks within patients and tests compare entries: there who rightly left a label out is
        not left out where another invents it.

        Args:
            name: Metric.
            scheme: How ranks are made.
            entries: Names, in the order that is wanted.
            alone: What `patients` returns of the metric.
        """
        return alone.loc[list(entries)] if scheme == "mean" else self.together(name, entries, alone)

    def pairs(self, name: str, alone: pd.DataFrame) -> Pairs:
        """Returns what gives the table that two entries are tested on; arguments as in `together`."""
        return lambda first, second: self.together(name, [first, second], alone)

    def runs_together(self, name: str, entries: Sequence[str]) -> RunValues:
        """Returns, by run, a metric's values of entries that are compared: those of `together`, not yet averaged.

        Variances and intervals over trainings are of these, so that they are of the differences that are tested.

        Args:
            name: Metric.
            entries: Names; each comes once, in this order.
        """
        grid, names = self._grid(name), tuple(dict.fromkeys(entries))
        values = grid.runs_together(names, self.facts(name).agreed)
        return RunValues(names, grid.runs, tuple(map(str, grid.patients)), values)

    def as_measured(self, name: str) -> pd.DataFrame:
        """Returns the cells of one metric as the trials left them: what a baseline stands for is missing.

        Errors are as in `of_metric`.
        """
        rows = self.of_metric(name)
        if "imputed" not in rows.columns:
            return rows
        status = rows["status"].astype(object).mask(rows["imputed"], "missing")
        return rows.assign(status=status.astype("category"))

    def imputed(self, name: str) -> dict[str, int]:
        """Counts by entry the values of a metric that were put in for missing ones; errors as in `of_metric`."""
        rows = self.of_metric(name)
        put_in = is_lost(rows)
        if "imputed" in rows.columns:
            put_in |= rows["imputed"]
        found = rows.loc[put_in, "entry"].value_counts()
        return {str(entry): int(count) for entry, count in found.items() if count}

    def groups(self, by: str, table: pd.DataFrame | None = None) -> pd.Series:
        """Returns the group of each patient; see `patient_groups`."""
        return patient_groups(self.cells, by, table, self.task)

    def only(
        self,
        labels: Collection[str] | None = None,
        patients: Collection[str] | None = None,
        entries: Collection[str] | None = None,
        phase: str | None = None,
    ) -> "TaskCells":
        """Returns some of the values.

        Args:
            labels: Names; all by default.
            patients: Likewise.
            entries: Likewise; others are neither ranked nor told of.
            phase: Of the heart, ``ED`` or ``ES``: only these images.

        Raises:
            ResultsError: If nothing is left.
        """
        wanted = {"label": labels, "patient": patients, "entry": entries, "phase": phase and [phase]}
        rows = self.cells
        for column, names in wanted.items():
            if names is not None:
                rows = rows[rows[column].isin(list(names))]
                if rows.empty:
                    known = ", ".join(map(str, sorted(self.cells[column].unique())[:20]))
                    raise ResultsError(
                        f"{self.task}: no values of {column} {', '.join(names)} (there are: {known})"
                    )
        kept = self.entries if entries is None else tuple(e for e in self.entries if e.name in entries)
        return replace(self, cells=rows, entries=kept)

    @cached_property
    def _facts(self) -> dict[str, MetricFacts]:
        return {}

    @cached_property
    def _grids(self) -> dict[str, Grid]:
        return {}

    def _grid(self, name: str) -> Grid:
        if name not in self._grids:
            facts = self.facts(name)
            self._grids[name] = make_grid(
                self._of_metric(name, list(COLUMNS)), facts.worst, self.policy, facts.agreed
            )
        return self._grids[name]
