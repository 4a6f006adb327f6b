"""The test values of one task as a full grid: entries x folds x seeds x cases x labels, without holes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from bench.errors import BenchError, ResultsError
from bench.leaderboard.contract import Contract, read_contract
from bench.leaderboard.definitions import RUN, Apart, one_definition, without
from bench.leaderboard.entries import (
    MEASURED,
    Entry,
    make_entry,
    of_study,
    one_protocol,
    pending_reason,
    with_holes,
)
from bench.leaderboard.facts import MetricFacts, metric_facts
from bench.leaderboard.planned import PlannedStudy, read_planned, relabel, within_plan
from bench.results.select import current_finals, test_looks, with_trained_epochs
from bench.results.store import Store
from bench.stats.aggregate import Policy, per_patient
from bench.stats.together import per_patient_together


@dataclass(frozen=True)
class TaskCells:
    """The test values of a task.

    Args:
        task: Name.
        entries: Entries that are ranked.
        pending: Why other entries are not ranked, by name.
        cells: Columns entry, fold, seed, case, patient, phase, label, metric, definition, value, status, unit,
            diagonal; one definition per metric and label. What a failed or absent run does not give is a row with
            status ``missing``.
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

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that were measured."""
        return sorted(self.cells["metric"].unique())

    def of_metric(self, name: str) -> pd.DataFrame:
        """Returns the cells of one metric.

        Raises:
            ResultsError: If it was not measured.
        """
        found = self.cells[self.cells["metric"] == name]
        if found.empty:
            if name in self.apart:
                raise ResultsError(f"{self.task}: no entry has one definition of {name} in all of its trials")
            known = ", ".join(self.metrics) or "none"
            raise ResultsError(f"{self.task}: no test values of metric '{name}' (there are: {known})")
        return found

    def facts(self, name: str) -> MetricFacts:
        """Returns what a table must know of a metric; errors as in `of_metric`."""
        rows = self.of_metric(name)
        known = rows[["label", "definition"]].dropna().drop_duplicates("label")
        definitions = dict(zip(known["label"], known["definition"], strict=True))
        return metric_facts(name, str(rows["unit"].iloc[0]), definitions, self._length())

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

    def patients(self, name: str) -> pd.DataFrame:
        """Returns a metric's values, entries x patients; errors as in `of_metric`."""
        facts = self.facts(name)
        return per_patient(self.of_metric(name), facts.worst, self.policy, facts.agreed)

    def together(self, name: str, entries: Sequence[str], alone: pd.DataFrame) -> pd.DataFrame:
        """Returns a metric's values of entries that are to be compared with each other; see `per_patient_together`.

        Args:
            name: Metric.
            entries: Names.
            alone: What `patients` returns of the metric.
        """
        facts = self.facts(name)
        return per_patient_together(
            self.of_metric(name), entries, facts.worst, self.policy, facts.agreed, alone
        )


def load_tasks(
    store: Store, suite: str | None = None, tasks: Sequence[str] | None = None, code: str | None = None
) -> list[TaskCells]:
    """Reads the test values of final trials.

    Args:
        store: Results.
        suite: Only trials of this suite.
        tasks: Only these tasks.
        code: Fingerprint of today's code, to mark what other code made; by default that of the newest trial.

    Raises:
        ResultsError: If there are no trials, or none of a task.
    """
    trials = store.trials()
    if suite is not None:
        trials = trials[trials["suite"] == suite]
    if trials.empty:
        what = f"of suite {suite} " if suite else ""
        raise ResultsError(f"{store.root}: no trials {what}yet; `bench run SUITE` makes some")
    planned = read_planned(store)
    trials = relabel(trials, planned)
    known = sorted({*trials["task"], *(study.task for study in planned)})
    for task in tasks or ():
        if task not in known:
            raise ResultsError(f"{store.root}: no trials of task '{task}' (there are: {', '.join(known)})")
    code = code or str(trials["code"].iloc[-1])
    return [_load_task(store, trials, task, planned, code) for task in (tasks or known)]


def _load_task(
    store: Store, trials: pd.DataFrame, task: str, planned: Sequence[PlannedStudy], code: str
) -> TaskCells:
    trials = trials[trials["task"] == task]
    mine_planned = [study for study in planned if study.task == task]
    wanted = {study.entry: study.id for study in mine_planned}
    rows, notes = one_protocol(trials)
    looks = test_looks(rows).set_index("entry")["looks"].to_dict()
    rows = _with_epochs(store, within_plan(rows, mine_planned), mine_planned)
    limits = {study.id: study.limits for study in mine_planned}
    entries, pending = [], {}
    for name in sorted({*trials["entry"], *wanted}):
        mine = of_study(rows[rows["entry"] == name], wanted.get(name))
        reason = pending_reason(mine, name in set(trials["entry"]), limits.get(wanted.get(name, "")))
        if reason:
            pending[name] = reason
        else:
            gone = bool(wanted) and name not in wanted
            finals = current_finals(mine, code, limits=limits)
            entries.append(make_entry(name, mine, finals, looks.get(name, 0), gone))
    chosen = pd.concat([e.finals for e in entries]) if entries else current_finals(rows.iloc[:0])
    contract = read_contract(store, trials, task)
    complete = chosen.loc[chosen["status"] == "complete", RUN]
    one = one_definition(_values(store, chosen), complete, contract.tolerances)
    runs = _expected_runs(chosen, mine_planned)
    cells = without(_full_grid(one.values, [e.name for e in entries], runs), one.apart)
    return TaskCells(
        task=task,
        entries=tuple(with_holes(entry, runs, one.values, one.apart) for entry in entries),
        pending=pending,
        cells=cells,
        notes=(*notes, *one.notes),
        apart=one.apart,
        contract=contract,
    )


def _with_epochs(store: Store, trials: pd.DataFrame, planned: Sequence[PlannedStudy]) -> pd.DataFrame:
    """Says of pruned trials how long they trained, where a budget of epochs makes it matter."""
    counting = [study.id for study in planned if study.limits.epochs is not None]
    pruned = trials[trials["study"].isin(counting) & (trials["status"] == "pruned")]
    return trials if pruned.empty else with_trained_epochs(trials, store.curves(set(pruned["trial"])))


def _expected_runs(chosen: pd.DataFrame, planned: Sequence[PlannedStudy]) -> pd.DataFrame:
    """Returns the folds and seeds that every entry must have: the suite's, else all that any entry has."""
    found = chosen[["fold", "seed"]].drop_duplicates().sort_values(["fold", "seed"])
    runs = sorted({run for study in planned for run in study.runs})
    if not runs:
        return found
    return pd.DataFrame(runs, columns=["fold", "seed"]).astype(found.dtypes.to_dict())


def _values(store: Store, finals: pd.DataFrame) -> pd.DataFrame:
    done = finals[finals["status"] == "complete"]
    cases = store.cases(trials=list(done["trial"]), part="test")
    keys = ["trial", "code", "attempt"]
    joined = cases.merge(done[[*keys, *RUN]], on=keys)
    return joined[[*RUN, *MEASURED, "phase", "definition", "value", "status", "unit", "diagonal"]]


def _full_grid(values: pd.DataFrame, entries: list[str], runs: pd.DataFrame) -> pd.DataFrame:
    """Adds a row with status ``missing`` for everything that some entry has and another one lacks."""
    measured = values.groupby(MEASURED, as_index=False, observed=True).agg(
        {"phase": "first", "unit": "first", "diagonal": "max"}
    )
    expected = pd.DataFrame({"entry": entries}).merge(runs, how="cross")
    if len(values) == len(expected) * len(measured):
        return values
    own = values.drop(columns=["phase", "unit", "diagonal"])
    full = expected.merge(measured, how="cross").merge(own, how="left", on=[*RUN, *MEASURED])
    return full.assign(status=full["status"].fillna("missing"))
