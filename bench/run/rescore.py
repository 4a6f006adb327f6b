"""Measures the kept predictions of a run again. Trains nothing, and imports neither Ray nor torch."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import BenchError, ResultsError
from bench.results.lock import RunLock
from bench.results.store import Store
from bench.run.rescore_case import KeptCase, KeptTrial
from bench.run.rescore_data import Tasks
from bench.run.rescore_metrics import Asked
from medseg.data import DataSet
from medseg.errors import DataError
from medseg.metrics import METRICS
from medseg.scoring.pool import map_cases
from medseg.training.predictions import INDEX

Watch = Callable[[str, int, int], None]
Row = dict[str, Any]

KEEP = "`keep_predictions: true` in the suite keeps those of trials that run from then on"
_COMMON = ("part", "case", "patient", "subgroup", "phase", "diagonal")


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
    """

    title: str
    added: Counter[str] = field(default_factory=Counter)
    same: int = 0
    conflicts: tuple[str, ...] = ()
    problem: str = ""


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


def rescore(results: Path, options: Options, watch: Watch = lambda stage, done, total: None) -> Summary:
    """Measures the kept predictions of complete final trials, and adds values that are not there yet.

    Args:
        results: Folder of a suite's results.
        options: What to measure, and where the data lie.
        watch: Told a stage, and how many cases of how many are done.

    Raises:
        ResultsError: If another run holds the results, they cannot be read, or no trial kept its predictions.
        DataMissingError: If a task's data cannot be found, or are not those that were predicted.
        BenchError: If none of the metrics can be measured on what was kept.
    """
    with nullcontext() if options.dry_run else RunLock(results):
        store = Store(results)
        trials, finals, notes = _kept(store)
        tasks = Tasks(options.roots, options.cache, options.asked)
        # All data are looked at before anything is written.
        plans = [tasks.plan(row, results / "predictions" / row["trial"]) for row in trials]
        if not any(metrics for _, _, metrics in plans):
            raise BenchError(f"nothing can be measured: {'; '.join(tasks.notes)}")
        outcomes = [
            _rescore(store, row, *plan, options, watch) for row, plan in zip(trials, plans, strict=True)
        ]
    return Summary(tuple(outcomes), finals, (*notes, *tasks.notes))


def _kept(store: Store) -> tuple[list[Row], int, list[str]]:
    """Returns the newest rows of final trials with predictions, the number of final trials, and notes."""
    trials = store.trials()
    done = trials[(trials["phase"] == "final") & (trials["status"] == "complete")]
    # The folder of predictions is the trial's, whatever code made them: they are those of the newest result.
    newest = done.drop_duplicates("trial", keep="last")
    rows: list[Row] = [{str(name): value for name, value in row.items()} for row in newest.to_dict("records")]
    kept = [row for row in rows if (store.root / "predictions" / row["trial"] / INDEX).is_file()]
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


def _rescore(
    store: Store,
    row: Row,
    kept: KeptTrial,
    dataset: DataSet,
    metrics: Sequence[str],
    options: Options,
    watch: Watch,
) -> Outcome:
    title = f"{row['task']}: {row['entry']}, fold {row['fold']}, seed {row['seed']}"
    stored = store.cases([row["trial"]])
    stored = stored[(stored["code"] == row["code"]) & (stored["attempt"] == row["attempt"])]
    try:
        rows = _measured(
            stored, kept, dataset, options.processes, lambda done, total: watch(title, done, total)
        )
    except DataError as error:
        return Outcome(title, problem=str(error))
    known = set(stored["definition"])
    rows = [new for new in rows if new["metric"] in metrics or new["definition"] in known]
    key = (str(row["trial"]), str(row["code"]), int(row["attempt"]))
    found = store.add_cases(*key, [{"trial": row["trial"], **new} for new in rows], options.dry_run)
    added = Counter(str(new["definition"]) for new in found.added) if not found.conflicts else Counter[str]()
    return Outcome(title, added, found.same, found.conflicts)


def _measured(
    stored: pd.DataFrame,
    kept: KeptTrial,
    dataset: DataSet,
    processes: int | None,
    advance: Callable[[int, int], None],
) -> list[Row]:
    """Measures every case that has rows; returns rows without the trial's key."""
    index = _read_index(kept.folder)
    if index["data"] != dataset.fingerprint:
        raise DataError(
            f"{kept.folder}: the predictions are of other data (fingerprint {index['data'][:12]})"
        )
    failed = (stored["status"] == "failed").groupby([stored["part"], stored["case"]]).all()
    commons = [
        dict(zip(_COMMON, cells, strict=True))
        for cells in stored.drop_duplicates(["part", "case"])[list(_COMMON)].itertuples(index=False)
    ]
    for common in commons:
        # Results of before there were phases do not know them.
        common["phase"] = common["phase"] or dataset.case(common["case"]).phase
    items = [
        KeptCase(
            dataset.case(common["case"]),
            # What was predicted as NaN is no prediction, whether or not a file says what it was decided as.
            failed=common["case"] not in index["cases"] or bool(failed[common["part"], common["case"]]),
        )
        for common in commons
    ]
    units = {name: METRICS.load(name).unit(kept.task.unit) for name in kept.metrics}
    rows: list[Row] = []
    for done, values in enumerate(map_cases(kept.measure, items, processes), start=1):
        common = commons[done - 1]
        rows += [{**common, **vars(value), "unit": units[value.metric]} for value in values]
        advance(done, len(items))
    return rows


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        return {"data": str(index["data"]), "cases": dict(index["cases"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
