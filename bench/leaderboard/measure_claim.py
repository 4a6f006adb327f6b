"""Takes a claim apart: one comparison per task and pair of sides, each with its differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pandas as pd

from bench.errors import BenchError
from bench.leaderboard.answers import Question
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.contrast import Contrast, contrast, over_tasks, unfinished, unlike_code
from bench.leaderboard.sides import Labels, Planned, Sides, all_sides, labels_of, matching, sides_of

ALL = "all"
MISSING = "no results of this task yet"


def _nothing() -> Contrast:
    return Contrast(pd.Series({}, dtype=float).rename_axis("patient"))


@dataclass(frozen=True)
class Measured:
    """A comparison before it is answered.

    Args:
        tasks: Its tasks: one, or where tasks are the units all of the claim.
        better: Labels of one side.
        than: Labels of the other side.
        contrast: Differences, positive as claimed.
        waits: What an answer must wait for.
        nothing: Why there is nothing to compare.
    """

    tasks: tuple[str, ...]
    better: Labels
    than: Labels
    contrast: Contrast = field(default_factory=_nothing)
    waits: tuple[str, ...] = ()
    nothing: str = ""

    @property
    def ready(self) -> bool:
        """Whether all is there that an answer rests on."""
        return not self.waits and not self.nothing

    @property
    def unit(self) -> str:
        """``patient`` or ``task``."""
        return str(self.contrast.d.index.name)

    @property
    def title(self) -> str:
        """What stands for its tasks in a table."""
        return self.tasks[0] if self.unit == "patient" else f"{len(self.tasks)} tasks"


def question_of(claim: Mapping[str, Any]) -> Question:
    """Returns what a claim asks; the region of equivalence is the margin where nothing else is said."""
    margin = float(claim.get("margin", 0.0))
    region = claim.get("equivalence")
    return Question(margin, float(region) if region is not None else margin or None)


def measure(
    claim: Mapping[str, Any], tasks: Mapping[str, TaskCells], compare_axes: Sequence[str], planned: Planned
) -> list[Measured]:
    """Returns a claim's comparisons, those that wait for results included.

    Args:
        claim: As in a suite.
        tasks: Test values by task.
        compare_axes: Axes that make an entry.
        planned: What the suite plans, to know of what is still to come.
    """
    names = tasks_of(claim, [*tasks, *(task for task, _ in planned)])
    pairs = list(product(all_sides(claim["better"]), all_sides(claim["than"])))
    found = [
        _measure(claim, name, tasks.get(name), better, than, compare_axes, planned)
        for name, (better, than) in product(names, pairs)
    ]
    if claim.get("unit", "patient") == "patient":
        return found
    return [_over_tasks(found[place :: len(pairs)]) for place in range(len(pairs))]


def tasks_of(claim: Mapping[str, Any], known: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of a claim's tasks.

    Args:
        claim: As in a suite.
        known: Tasks of the suite.
    """
    named = claim["task"]
    if named == ALL:
        return tuple(dict.fromkeys(known))
    return (named,) if isinstance(named, str) else tuple(named)


def _measure(
    claim: Mapping[str, Any],
    task: str,
    cells: TaskCells | None,
    better: Labels,
    than: Labels,
    compare_axes: Sequence[str],
    planned: Planned,
) -> Measured:
    metric = str(claim.get("metric", "dice"))
    if cells is None:
        return Measured((task,), better, than, waits=(MISSING,))
    try:
        cells.check_ranked(metric)
    except BenchError as error:
        return Measured((task,), better, than, nothing=str(error))
    sides = sides_of(cells, metric, better, than, compare_axes, planned)
    if sides.why:
        return Measured((task,), better, than, waits=sides.waiting, nothing=sides.why)
    found = contrast(cells, metric, sides.better, sides.than, cells.facts(metric).sign)
    return Measured((task,), better, than, found, _waits(cells, metric, sides))


def _waits(cells: TaskCells, metric: str, sides: Sides) -> tuple[str, ...]:
    entries = [entry for entry in cells.entries if entry.name in sides.names]
    waits = [*sides.waiting, *unfinished(entries, cells.runs(metric).runs)]
    code = unlike_code(entries)
    if code:
        waits.append(f"code and sides are mixed up: {code}; `bench run SUITE --only stale` makes all by one")
    return tuple(waits)


def _over_tasks(parts: Sequence[Measured]) -> Measured:
    """Makes one comparison whose units are tasks; each of them must be there."""
    waits = [f"{part.tasks[0]}: {why}" for part in parts for why in (*part.waits, part.nothing) if why]
    found = over_tasks([(part.tasks[0], part.contrast) for part in parts])
    names = tuple(task for part in parts for task in part.tasks)
    return Measured(names, parts[0].better, parts[0].than, found, tuple(waits))


def decimals_of(claim: Mapping[str, Any], tasks: Mapping[str, TaskCells]) -> int:
    """Returns how many digits tables show of a claim's metric."""
    metric = str(claim.get("metric", "dice"))
    return next((cells.facts(metric).decimals for cells in tasks.values() if metric in cells.metrics), 3)


def claim_notes(
    claim: Mapping[str, Any], parts: Sequence[Measured], tasks: Mapping[str, TaskCells]
) -> tuple[str, ...]:
    """Returns what a reader must know of the results that an answer rests on."""
    metric = str(claim.get("metric", "dice"))
    names = dict.fromkeys(task for part in parts for task in part.tasks if task in tasks)
    notes = []
    for task in names:
        cells, where = tasks[task], f" on {task}" if len(names) > 1 else ""
        labels = labels_of(cells)
        sides = (*all_sides(claim["better"]), *all_sides(claim["than"]))
        used = {name for side in sides for name in matching(labels, side)}
        marked = sorted(entry.name for entry in cells.entries if entry.name in used and entry.notes)
        if marked:
            notes.append(f"rests on marked results{where}: {', '.join(marked)}")
        if cells.contract.patients_note:
            notes.append(f"{task}: {cells.contract.patients_note}")
        apart = cells.apart.get(metric, {})
        notes += [f"left out{where}: {name} ({apart[name]})" for name in sorted(used) if name in apart]
    return tuple(notes)
