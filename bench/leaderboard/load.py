"""Reads a task's test values: which entries, trials, runs and definitions count, without holes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.errors import NoSuchNameError, ResultsError
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.contract import read_contract
from bench.leaderboard.definitions import RUN, one_definition, without
from bench.leaderboard.entries import (
    NOT_PLANNED,
    Entry,
    make_entry,
    of_study,
    one_protocol,
    pending_reason,
    with_holes,
)
from bench.leaderboard.measured import MISSING, full_grid, read_values
from bench.leaderboard.planned import PlannedStudy, read_planned, relabel, within_plan
from bench.leaderboard.stale import whole_table_stale
from bench.results.select import current_finals, test_looks, with_trained_epochs
from bench.results.store import Store
from medseg.errors import did_you_mean

UNREAD = ("spec_json", "detail", "notes", "node", "run", "micro_batch", "compiled", "memory_format", "precision",
          "batch_size", "samples_per_s", "data_share", "compute_share", "validation_share")  # fmt: skip
"""Columns of the trials table that no leaderboard asks for."""


@dataclass(frozen=True)
class Asked:
    """What of the results is to be shown; see `load_tasks`."""

    code: str
    dropped: bool
    definitions: Mapping[str, str]


def load_tasks(
    store: Store,
    suite: str | None = None,
    tasks: Sequence[str] | None = None,
    code: str | None = None,
    dropped: bool = False,
    definitions: Mapping[str, str] | None = None,
) -> list[TaskCells]:
    """Reads the test values of final trials.

    Args:
        store: Results.
        suite: Only trials of this suite.
        tasks: Only these tasks.
        code: Fingerprint of today's code, to mark what other code made; by default that of the newest trial.
        dropped: Rank the entries, too, that the suite has no more.
        definitions: By metric, the definition to show instead of today's.

    Raises:
        ResultsError: If there are no trials, or none of a task, or a metric has no values by the definition.
    """
    trials = store.trials(without=UNREAD)
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
            raise NoSuchNameError(f"{store.root}: no trials of task '{task}'{did_you_mean(task, known)}")
    code = code or str(trials["code"].iloc[-1])
    asked = Asked(code, dropped, definitions or {})
    found = [_load_task(store, trials, task, planned, asked) for task in (tasks or known)]
    measured = {metric for cells in found for metric in (*cells.metrics, *cells.apart)}
    for metric in asked.definitions:
        if metric not in measured:
            known = sorted(measured)
            raise NoSuchNameError(
                f"{store.root}: no test values of metric '{metric}'{did_you_mean(metric, known)}"
            )
    return found


def _load_task(
    store: Store, trials: pd.DataFrame, task: str, planned: Sequence[PlannedStudy], asked: Asked
) -> TaskCells:
    trials = trials[trials["task"] == task]
    contract = read_contract(store, trials, task)
    mine = [study for study in planned if study.task == task]
    wanted = {study.entry for study in mine}
    # What the suite dropped must not decide which data, folds and seeds count.
    gone = {str(name) for name in trials["entry"].unique() if wanted and name not in wanted}
    shown = trials if asked.dropped else trials[~trials["entry"].isin(gone)]
    rows, notes = one_protocol(shown)
    if planned and not mine:
        notes.append("the suite does not have this task any more")
    entries, pending = _entries(store, shown, rows, mine, asked.code)
    if not asked.dropped:
        pending |= dict.fromkeys(sorted(gone), NOT_PLANNED)
    chosen = pd.concat([e.finals for e in entries]) if entries else current_finals(rows.iloc[:0])
    complete = chosen.loc[chosen["status"] == "complete", RUN]
    one = one_definition(read_values(store, chosen), complete, contract.tolerances, asked.definitions)
    runs = _expected_runs(chosen, mine)
    cells = without(full_grid(one.values, [e.name for e in entries], runs), one.apart)
    missing = cells.loc[(cells["status"] == MISSING).to_numpy(bool), RUN]
    return TaskCells(
        task=task,
        entries=tuple(with_holes(entry, runs, missing, one.apart) for entry in entries),
        pending=pending,
        cells=cells,
        notes=(*notes, *whole_table_stale(entries, asked.code), *one.notes),
        apart=one.apart,
        contract=contract,
    )


def _entries(
    store: Store, trials: pd.DataFrame, rows: pd.DataFrame, planned: Sequence[PlannedStudy], code: str
) -> tuple[list[Entry], dict[str, str]]:
    """Returns the entries that can be ranked, and why others cannot.

    Args:
        store: Results.
        trials: All trials of the task that are shown.
        rows: Those of one protocol.
        planned: Studies of the task.
        code: Of today.
    """
    wanted = {study.entry: study.id for study in planned}
    limits = {study.id: study.limits for study in planned}
    looks = test_looks(rows).set_index("entry")["looks"].to_dict()
    rows = _with_epochs(store, within_plan(rows, planned), planned)
    was_run, by_entry = set(trials["entry"]), dict(iter(rows.groupby("entry")))
    found, pending = {}, {}
    for name in sorted({*was_run, *wanted}):
        mine = of_study(by_entry.get(name, rows.iloc[:0]), wanted.get(name))
        reason = pending_reason(mine, name in was_run, limits.get(wanted.get(name, "")))
        if reason:
            pending[name] = reason
        else:
            found[name] = mine
    # Of all studies at once: of one it takes as long.
    finals = current_finals(pd.concat([rows.iloc[:0], *found.values()]), code, limits=limits)
    by_study = dict(iter(finals.groupby("study")))
    entries = [
        make_entry(
            name=name,
            trials=mine,
            finals=by_study.get(mine["study"].iloc[0], finals.iloc[:0]),
            looks=looks.get(name, 0),
            gone=bool(wanted) and name not in wanted,
        )
        for name, mine in found.items()
    ]
    return entries, pending


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
