"""Measures the kept predictions of a run again. Trains nothing, and imports neither Ray nor torch."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.errors import BenchError, DataMissingError, ResultsError
from bench.results.gathered import restore_index
from bench.results.lock import RunLock
from bench.results.place import Place, open_place
from bench.results.store import Store
from bench.run.compact import compact_if_due
from bench.run.predictions import kept_predictions, trials_with_predictions
from bench.run.rescore_case import KeptTrial
from bench.run.rescore_data import Tasks
from bench.run.rescore_metrics import Asked, comparable_metric
from bench.run.rescore_trial import measure_trial
from medseg.data import DataSet
from medseg.errors import DataError, did_you_mean

Watch = Callable[[str, int, int], None]
Row = dict[str, Any]
Plan = tuple[KeptTrial, DataSet]

KEEP = "`keep_predictions: true` in the suite keeps those of trials that run from then on"


@dataclass(frozen=True)
class Options:
    """How to rescore.

    Args:
        roots: Folders of data sets by name.
        cache: Folder of what is derived from data.
        asked: Metrics and tolerances that were asked for.
        dry_run: Measure, and write nothing.
        processes: At most; all cores by default.
    """

    roots: Mapping[str, Path]
    cache: Path
    asked: Asked = field(default_factory=Asked)
    dry_run: bool = False
    processes: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one trial.

    Args:
        title: Task, entry, fold and seed.
        added: Values that were added, by definition.
        same: Values that were there already.
        conflicts: Values that differ from those that are there; nothing was added then.
        problem: Why it could not be measured; empty if it could.
        failures: Cases of which not all could be measured, and why; what could not be is ``failed``.
        checked: Whether values that are there could tell that the predictions are those of the trial.
    """

    title: str
    added: Counter[str] = field(default_factory=Counter)
    same: int = 0
    conflicts: tuple[str, ...] = ()
    problem: str = ""
    failures: tuple[str, ...] = ()
    checked: bool = True


@dataclass(frozen=True)
class Summary:
    """How it went.

    Args:
        outcomes: One per trial with kept predictions.
        finals: Complete final trials.
        notes: What a reader should know: what was left out, and why.
    """

    outcomes: tuple[Outcome, ...]
    finals: int
    notes: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether anything is in the way of a trial's new values."""
        return any(outcome.conflicts or outcome.problem for outcome in self.outcomes)


def rescore(
    results: Place | Path, options: Options, watch: Watch = lambda stage, done, total: None
) -> Summary:
    """Measures the kept predictions of complete final trials, and adds values that are not there yet.

    Args:
        results: Place of a suite's results.
        options: What to measure, and where the data lie.
        watch: Told a stage, and how many cases of how many are done.

    Raises:
        ResultsError: If another run holds the results, they cannot be read, or no trial kept its predictions.
        DataMissingError: If the data of every trial cannot be found, or are not those that were predicted.
        BenchError: If none of the metrics can be measured on what was kept, or tolerances are not of the labels.
    """
    place = open_place(results)
    with nullcontext() if options.dry_run else RunLock(place), kept_predictions(place) as folder_of:
        store = Store(place)
        if not options.dry_run:
            restore_index(place)
        trials, finals, notes = _kept(store)
        _check_roots(options.roots, trials)
        suite = {task["name"]: task for task in (store.read_suite() or {}).get("tasks", [])}
        tasks = Tasks(options.roots, options.cache, options.asked, suite)
        # All data are looked at before anything is written.
        plans = [_plan(tasks, row, folder_of(row["trial"])) for row in trials]
        _check_plans(plans, tasks)
        outcomes = [
            _rescore(store, row, plan, options, watch) for row, plan in zip(trials, plans, strict=True)
        ]
        problem = "" if options.dry_run else compact_if_due(place)
        notes += [problem] if problem else []
    unchecked = sum(not outcome.checked for outcome in outcomes)
    if unchecked:
        notes.append(
            f"{unchecked} of {len(outcomes)} trials hold no value that could be measured again: that the predictions "
            f"are theirs was not checked"
        )
    return Summary(tuple(outcomes), finals, (*notes, *tasks.notes))


def _plan(tasks: Tasks, row: Row, folder: Path) -> Plan | BenchError:
    """Returns how a trial is measured, or why it cannot be, which leaves the others alone."""
    try:
        return tasks.plan(row, folder)
    except (ResultsError, DataMissingError) as error:
        return error


def _check_plans(plans: list[Plan | BenchError], tasks: Tasks) -> None:
    possible = [plan for plan in plans if not isinstance(plan, BenchError)]
    if not possible:
        raise next(plan for plan in plans if isinstance(plan, BenchError))
    if not any(kept.metrics for kept, _ in possible):
        raise BenchError(f"nothing can be measured: {'; '.join(tasks.notes)}")


def _check_roots(roots: Mapping[str, Path], trials: Sequence[Row]) -> None:
    known = {str(json.loads(row["spec_json"])["task"].get("dataset", "")) for row in trials}
    for name in roots:
        if name not in known:
            raise BenchError(f"--data {name}: no such data set here{did_you_mean(name, sorted(known))}")


def _kept(store: Store) -> tuple[list[Row], int, list[str]]:
    """Returns the newest rows of final trials with predictions, the number of final trials, and notes."""
    trials = store.trials()
    done = trials[(trials["phase"] == "final") & (trials["status"] == "complete")]
    # The folder of predictions is the trial's, whatever code made them: they are those of the newest result.
    newest = done.drop_duplicates("trial", keep="last")
    found = newest[newest["trial"].isin(trials_with_predictions(store.root))]
    kept: list[Row] = [{str(name): value for name, value in row.items()} for row in found.to_dict("records")]
    if not kept:
        raise ResultsError(f"{store.root}: none of {len(newest)} final trials kept its predictions; {KEEP}")
    notes = []
    if len(kept) < len(newest):
        notes.append(f"{len(newest) - len(kept)} of {len(newest)} final trials kept no predictions; {KEEP}")
    if len(newest) < len(done):
        notes.append(
            f"{len(done) - len(newest)} older results of the same trials, by other code, are left as they are"
        )
    return kept, len(newest), notes


def _rescore(store: Store, row: Row, plan: Plan | BenchError, options: Options, watch: Watch) -> Outcome:
    title = f"{row['task']}: {row['entry']}, fold {row['fold']}, seed {row['seed']}"
    if isinstance(plan, BenchError):
        return Outcome(title, problem=str(plan))
    try:
        return _added(store, row, plan, options, title, watch)
    except (ResultsError, DataError) as error:
        return Outcome(title, problem=str(error))


def _added(store: Store, row: Row, plan: Plan, options: Options, title: str, watch: Watch) -> Outcome:
    """Measures a trial, and adds its values unless one is there with another number.

    Raises:
        ResultsError: If its rows cannot be read.
        DataError: If its predictions cannot be, or are of other data.
    """
    kept, dataset = plan
    key = (str(row["trial"]), str(row["code"]), int(row["attempt"]))
    stored = store.cases_of(*key)
    # A folder of other predictions must not go unnoticed.
    check = comparable_metric(stored, kept.metrics, kept.tolerance_mm)
    found = measure_trial(
        stored,
        replace(kept, metrics=tuple(dict.fromkeys([*kept.metrics, *([check] if check else [])]))),
        dataset,
        options.processes,
        lambda done, total: watch(title, done, total),
    )
    known = set(stored["definition"])
    rows = [
        {"trial": row["trial"], **new}
        for new in found.rows
        if new["metric"] in kept.metrics or new["definition"] in known
    ]
    additions = store.add_cases(*key, rows, options.dry_run)
    added = Counter(str(new["definition"]) for new in additions.added if not additions.conflicts)
    return Outcome(
        title, added, additions.same, additions.conflicts, failures=found.failures, checked=check is not None
    )
