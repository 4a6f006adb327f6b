"""The test values of one task as a full grid: entries x folds x seeds x cases x labels, without holes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bench.errors import ResultsError
from bench.leaderboard.facts import MetricFacts, metric_facts
from bench.leaderboard.planned import PlannedStudy, read_planned, relabel, within_plan
from bench.results.schema import UNDECIDED
from bench.results.select import current_finals, newest_per_trial, test_looks
from bench.results.store import Store
from bench.stats.aggregate import per_patient

RUN = ["entry", "fold", "seed"]
MEASURED = ["case", "patient", "label", "metric"]


@dataclass(frozen=True)
class Entry:
    """An entry of a task.

    Args:
        name: As in the results, e.g. ``unet + dice``.
        model: Label of its model.
        loss: Label of its loss.
        finals: Its final trials, one per fold and seed, whatever their status.
        notes: What a reader must know of it.
    """

    name: str
    model: str
    loss: str
    finals: pd.DataFrame
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskCells:
    """The test values of a task.

    Args:
        task: Name.
        entries: Entries that are ranked.
        pending: Why other entries are not ranked, by name.
        cells: Columns entry, fold, seed, case, patient, label, metric, definition, value, status, unit,
            diagonal. What a failed or absent run does not give is a row with status ``missing``.
        notes: What a reader must know of the task's results.
    """

    task: str
    entries: tuple[Entry, ...]
    pending: dict[str, str]
    cells: pd.DataFrame
    notes: tuple[str, ...] = ()

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
            known = ", ".join(self.metrics) or "none"
            raise ResultsError(f"{self.task}: no test values of metric '{name}' (there are: {known})")
        return found

    def facts(self, name: str) -> MetricFacts:
        """Returns what a table must know of a metric; errors as in `of_metric`."""
        return metric_facts(name, str(self.of_metric(name)["unit"].iloc[0]))

    def patients(self, name: str) -> pd.DataFrame:
        """Returns a metric's values, entries x patients; errors as in `of_metric`."""
        return per_patient(self.of_metric(name), self.facts(name).worst)


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
    rows, notes = _one_protocol(trials)
    looks = test_looks(rows).set_index("entry")["looks"].to_dict()
    rows = within_plan(rows, mine_planned)
    entries, pending = [], {}
    for name in sorted({*trials["entry"], *wanted}):
        mine = _of_study(rows[rows["entry"] == name], wanted.get(name))
        reason = _pending(mine, name in set(trials["entry"]))
        if reason:
            pending[name] = reason
        else:
            gone = bool(wanted) and name not in wanted
            entries.append(_entry(name, mine, current_finals(mine, code), looks.get(name, 0), gone))
    chosen = pd.concat([e.finals for e in entries]) if entries else current_finals(rows.iloc[:0])
    values = _values(store, chosen)
    runs = _expected_runs(chosen, mine_planned)
    cells = _full_grid(values, [e.name for e in entries], runs)
    several = cells.dropna(subset=["definition"]).groupby("metric")["definition"].nunique()
    notes += [f"{name} was measured by several definitions" for name in several[several > 1].index]
    size = len(values[MEASURED].drop_duplicates())
    found = values["entry"].value_counts()
    ranked = tuple(_incomplete(entry, runs, size, int(found.get(entry.name, 0))) for entry in entries)
    return TaskCells(task, ranked, pending, cells, tuple(notes))


def _expected_runs(chosen: pd.DataFrame, planned: Sequence[PlannedStudy]) -> pd.DataFrame:
    """Returns the folds and seeds that every entry must have: the suite's, else all that any entry has."""
    found = chosen[["fold", "seed"]].drop_duplicates().sort_values(["fold", "seed"])
    runs = sorted({run for study in planned for run in study.runs})
    if not runs:
        return found
    return pd.DataFrame(runs, columns=["fold", "seed"]).astype(found.dtypes.to_dict())


def _of_study(trials: pd.DataFrame, study: str | None) -> pd.DataFrame:
    """Keeps one study of an entry: the suite's, or where that is unknown the one with the newest final."""
    if study is None and len(trials):
        finals = trials[trials["phase"] == "final"]
        study = str((trials if finals.empty else finals).sort_values("finished_at")["study"].iloc[-1])
    return trials[trials["study"] == study]


def _one_protocol(trials: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Keeps the trials on one version of the data and one split: those of the newest final trial."""
    if trials.empty:
        return trials, []
    finals = trials[trials["phase"] == "final"]
    newest = (trials if finals.empty else finals).sort_values("finished_at").iloc[-1]
    same = (trials["data"] == newest["data"]) & (trials["split"] == newest["split"])
    left_out = int((~same).sum())
    notes = [f"{left_out} trials on other data or another split are not shown"] if left_out else []
    return trials[same], notes


def _pending(trials: pd.DataFrame, was_run: bool) -> str:
    """Says why an entry cannot be ranked yet; empty where it can."""
    if trials.empty:
        return "no trials yet of the suite's settings, data and split" if was_run else "no trials yet"
    if (trials["phase"] == "final").any():
        return ""
    failed = ~newest_per_trial(trials)["status"].isin(("complete", *UNDECIDED))
    return "" if failed.all() else "no final trials yet"


def _entry(name: str, trials: pd.DataFrame, finals: pd.DataFrame, looks: int, gone: bool) -> Entry:
    newest = (trials if finals.empty else finals).sort_values("finished_at").iloc[-1]
    notes = []
    if finals.empty:
        notes.append("every tuning trial failed: counted as worst")
    stale = int(finals["stale"].sum())
    if stale:
        notes.append(f"stale: {stale} of {len(finals)} final trials were made by other code")
    if finals["outdated"].any():
        notes.append("outdated: tuning has found a better setting that has no final trials yet")
    if gone:
        notes.append("not in the suite any more")
    if looks > 1:
        notes.append(f"{looks} settings of this entry have met the test cases")
    return Entry(name, _label(finals, newest, "model"), _label(finals, newest, "loss"), finals, tuple(notes))


def _label(finals: pd.DataFrame, newest: "pd.Series[str]", axis: str) -> str:
    return "/".join(sorted(finals[axis].unique())) if len(finals) else str(newest[axis])


def _values(store: Store, finals: pd.DataFrame) -> pd.DataFrame:
    done = finals[finals["status"] == "complete"]
    cases = store.cases(trials=list(done["trial"]), part="test")
    keys = ["trial", "code", "attempt"]
    joined = cases.merge(done[[*keys, *RUN]], on=keys)
    return joined[[*RUN, *MEASURED, "definition", "value", "status", "unit", "diagonal"]]


def _full_grid(values: pd.DataFrame, entries: list[str], runs: pd.DataFrame) -> pd.DataFrame:
    """Adds a row with status ``missing`` for everything that some entry has and another one lacks."""
    measured = values.groupby(MEASURED, as_index=False, observed=True).agg(
        {"unit": "first", "diagonal": "max"}
    )
    expected = pd.DataFrame({"entry": entries}).merge(runs, how="cross")
    if len(values) == len(expected) * len(measured):
        return values
    own = values.drop(columns=["unit", "diagonal"])
    full = expected.merge(measured, how="cross").merge(own, how="left", on=[*RUN, *MEASURED])
    return full.assign(status=full["status"].fillna("missing"))


def _incomplete(entry: Entry, runs: pd.DataFrame, size: int, found: int) -> Entry:
    """Notes which of an entry's expected runs gave nothing, and which gave fewer values than others did."""
    if entry.finals.empty:
        return entry
    status = runs.merge(entry.finals[["fold", "seed", "status"]], how="left", on=["fold", "seed"])["status"]
    lost = status.fillna("not run")[status != "complete"].value_counts().sort_index()
    notes = list(entry.notes)
    if len(lost):
        words = ", ".join(f"{count} {word}" for word, count in lost.items())
        notes.append(f"incomplete: {lost.sum()} of {len(runs)} final trials counted as worst ({words})")
    holes = size * int((status == "complete").sum()) - found
    if holes:
        notes.append(f"incomplete: {holes} values that others have counted as worst")
    return replace(entry, notes=tuple(notes))
