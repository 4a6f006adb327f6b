"""Completeness before ranking: what is missing is listed, then refused, left out, or counted and marked."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from bench.errors import ResultsError
from bench.leaderboard.awaited import GOES_ON, without_awaited
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.entries import AS_WORST, NOT_PLANNED, Entry
from bench.stats.aggregate import is_lost
from bench.stats.codes import combine
from bench.words import plural

OnMissing = Literal["worst", "fail", "exclude-task", "baseline"]
ON_MISSING: tuple[OnMissing, ...] = get_args(OnMissing)

PLACE = ["fold", "seed", "case", "label", "metric"]
FILLED = ["definition", "value", "status", "diagonal"]
SHOWN = 10
"""Places that a message names."""


@dataclass(frozen=True)
class Completed:
    """Tasks without holes.

    Args:
        tasks: Test values in which everything counts something.
        excluded: What is missing of other tasks, which are left out, by task; a line per entry.
        why: The same in short, by task.
    """

    tasks: list[TaskCells]
    excluded: dict[str, tuple[str, ...]] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)


def completed(
    tasks: Sequence[TaskCells],
    metric: str,
    on_missing: OnMissing | None = None,
    baseline: str | None = None,
) -> Completed:
    """Deals with what is missing: values that a failed, an absent or a partial run does not give.

    Args:
        tasks: Test values, by task.
        metric: What is ranked by: entries that are set apart for it are missing, too.
        on_missing: None: what failed counts the worst value, and an entry with final trials that have not run yet is
            not ranked; ``worst``: both count the worst value; ``fail``: is refused; ``exclude-task``: its task is
            left out; ``baseline``: counts what `baseline` has there, or the worst where that has nothing. In any
            case the entries say so in their notes, and `TaskCells.imputed` counts it.
        baseline: Name of an entry, e.g. ``unet + ce_dice``.

    Raises:
        ResultsError: If something is missing and is refused, no task is left, or an entry that lacks values is in a
            task without the baseline.
        ValueError: If `on_missing` is another word, or `baseline` is given without it or the other way round.
    """
    if on_missing is not None and on_missing not in ON_MISSING:
        raise ValueError(f"on_missing must be one of {', '.join(ON_MISSING)}, got {on_missing!r}")
    if (on_missing == "baseline") != (baseline is not None):
        raise ValueError(f"on_missing='baseline' goes with a baseline, got {on_missing!r} and {baseline!r}")
    if baseline is not None:
        return Completed([_from_baseline(cells, metric, baseline) for cells in tasks])
    if on_missing is None:
        return Completed([without_awaited(cells, GOES_ON) for cells in tasks])
    if on_missing == "worst":
        return Completed(list(tasks))
    found = {cells.task: tuple(holes(cells, metric)) for cells in tasks}
    lines = [line for lines in found.values() for line in lines]
    if lines and on_missing == "fail":
        raise ResultsError("the results are incomplete: " + "; ".join(lines))
    kept = [cells for cells in tasks if not found[cells.task]]
    if tasks and not kept:
        raise ResultsError("no task has complete results: " + "; ".join(lines))
    short = {cells.task: lacks(cells, metric) for cells in tasks if found[cells.task]}
    return Completed(kept, {task: lines for task, lines in found.items() if lines}, short)


def missing_cells(cells: TaskCells, metric: str) -> pd.DataFrame:
    """Lists what is missing of a task.

    Args:
        cells: Its test values.
        metric: Of these.

    Returns:
        Columns entry, fold, seed, case, patient, label, metric, status: a row per value that is not there.
    """
    columns = ["entry", "fold", "seed", "case", "patient", "label", "metric", "status"]
    lost = (cells.cells["metric"] == metric).to_numpy(bool) & is_lost(cells.cells).to_numpy(bool)
    found = cells.cells.loc[lost, columns]
    return found.sort_values(columns[:-1], ignore_index=True)


def holes(cells: TaskCells, metric: str) -> list[str]:
    """Says what is missing of a task before entries may be ranked by a metric; a line per entry.

    Entries that the suite dropped are not missed, nor are values of other metrics: they are marked where shown.
    """
    waiting = {name: why for name, why in cells.pending.items() if why != NOT_PLANNED}
    lines = [f"{cells.task}: {name}: {why}" for name, why in (waiting | cells.apart.get(metric, {})).items()]
    lost = missing_cells(cells, metric)
    rows = cells.cells.loc[(cells.cells["metric"] == metric).to_numpy(bool), "entry"].value_counts()
    for name, mine in lost.groupby("entry", observed=True):
        whole = rows[name] // len(cells.ran)
        places = [
            f"fold {fold}, seed {seed}: {'all' if len(cases) == whole else _cases(cases)}"
            for (fold, seed), cases in mine.groupby(["fold", "seed"])
        ]
        number = plural(len(mine), "value")
        lines.append(f"{cells.task}: {name}: {number} of {metric} missing ({listed(places, '; ')})")
    return lines


def lacks(cells: TaskCells, metric: str) -> str:
    """Says in short what each entry lacks, e.g. ``unet + dice lacks 1 of 2 final trials``."""
    waiting = {name: why for name, why in cells.pending.items() if why != NOT_PLANNED}
    told = [f"{name}: {why}" for name, why in (waiting | cells.apart.get(metric, {})).items()]
    lost = missing_cells(cells, metric)
    rows = cells.cells.loc[(cells.cells["metric"] == metric).to_numpy(bool), "entry"].value_counts()
    for name, mine in lost.groupby("entry", observed=True):
        by_run = mine.value_counts(["fold", "seed"])
        whole = int((by_run == rows[name] // len(cells.ran)).sum())
        what = f"{whole} of {plural(len(cells.ran), 'final trial')}" if whole else f"{len(mine)} values"
        told.append(f"{name} lacks {what}")
    return listed(told, "; ")


def _cases(rows: pd.DataFrame) -> str:
    return listed(sorted(map(str, rows["case"].unique())))


def listed(names: Sequence[str], between: str = ", ") -> str:
    """Writes the first of many names, and how many more there are."""
    more = len(names) - SHOWN
    return between.join([*names[:SHOWN], *([f"and {more} more"] if more > 0 else [])])


def _from_baseline(cells: TaskCells, metric: str, baseline: str) -> TaskCells:
    rows = cells.cells
    lost = is_lost(rows).to_numpy(bool)
    if not lost.any():
        return cells
    names = [entry.name for entry in cells.entries]
    if baseline not in names:
        raise ResultsError(f"{cells.task}: no entry '{baseline}' to count for what is missing (there are: "
                           f"{', '.join(names)})")  # fmt: skip
    source = (rows["entry"] == baseline).to_numpy(bool) & ~lost
    places = combine(rows[lost | source], PLACE).codes
    at = np.flatnonzero(lost | source)
    known = np.full(places.max() + 1, -1)
    known[places[source[at]]] = np.flatnonzero(source)
    taken = known[places[lost[at]]]
    target, taken = np.flatnonzero(lost)[taken >= 0], taken[taken >= 0]
    filled = rows.assign(imputed=False)
    for name in FILLED:
        values = filled[name].array.copy()
        values[target] = values[taken]
        filled[name] = values
    filled.loc[filled.index[target], "imputed"] = True
    found = replace(cells, cells=filled)
    touched = set(filled.loc[filled["imputed"], "entry"])
    counts = found.imputed(metric) if metric in found.metrics else {}
    worst = missing_cells(found, metric)["entry"].value_counts()
    entries = tuple(
        _marked(entry, metric, baseline, counts.get(entry.name, 0), int(worst.get(entry.name, 0)))
        if entry.name in touched
        else entry
        for entry in cells.entries
    )
    return replace(found, entries=entries)


def _marked(entry: Entry, metric: str, baseline: str, number: int, worst: int) -> Entry:
    """Notes what an entry owes to the baseline: the number is that of the table's column."""
    notes = [note.replace(AS_WORST, f"counted as those of {baseline}") for note in entry.notes]
    if not number:
        notes.append(f"imputed: values of other metrics than {metric} are those of {baseline}")
    elif worst:
        notes.append(
            f"imputed: {number} values of {metric}, {number - worst} of them those of {baseline}, "
            f"{worst} the worst: it lacks them, too"
        )
    else:
        notes.append(f"imputed: {number} values of {metric} are those of {baseline}")
    return replace(entry, notes=tuple(notes))
