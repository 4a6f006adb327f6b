"""The sides of a claim: which entries they name, and which of these are compared with each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from bench.leaderboard.cells import TaskCells

AXES = ("model", "loss")

Labels = Mapping[str, str]
Planned = Mapping[tuple[str, str], Labels]
"""By task and entry, the labels of what the suite plans."""


@dataclass(frozen=True)
class Sides:
    """The entries of two sides.

    Args:
        better: Names of the side that is claimed to be better.
        than: Names of the other side.
        why: Why there are none.
        waiting: Entries that belong to the sides but have no final trials yet, with the reason.
    """

    better: tuple[str, ...] = ()
    than: tuple[str, ...] = ()
    why: str = ""
    waiting: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of both sides, each once."""
        return tuple(dict.fromkeys((*self.better, *self.than)))


def all_sides(side: Mapping[str, Any]) -> list[dict[str, str]]:
    """Returns every combination of the labels that a side lists."""
    listed = {
        axis: [labels] if isinstance(labels, str) else list(labels) for axis, labels in side.items() if labels
    }
    return [dict(zip(listed, chosen, strict=True)) for chosen in product(*listed.values())]


def describe_side(side: Labels) -> str:
    """Writes a side, e.g. ``unet + dice``."""
    return " + ".join(side[axis] for axis in AXES if axis in side) or "anything"


def sides_of(
    cells: TaskCells,
    metric: str,
    better: Labels,
    than: Labels,
    compare_axes: Sequence[str],
    planned: Planned | None = None,
) -> Sides:
    """Returns the entries of two sides, or why these cannot be compared.

    Over an axis that neither side names, only those of its labels are taken that both sides have.

    Where an entry that belongs to a side is set apart for the metric, nothing is compared: the rest of the side would
    answer another question.

    Args:
        cells: Test values of a task.
        metric: What is compared.
        better: Labels of one side.
        than: Labels of the other side.
        compare_axes: Axes that make an entry.
        planned: What the suite plans, to know of entries that are still to come.
    """
    labels = labels_of(cells)
    free = [axis for axis in compare_axes if axis not in better and axis not in than]
    found = _paired(labels, better, than, free)
    expected = _paired(pd.concat([labels, _pending(cells, planned or {})]), better, than, free)
    waiting = tuple(
        f"{name}: {cells.pending[name]}"
        for name in dict.fromkeys((*expected[0], *expected[1]))
        if name not in labels.index
    )
    for wanted in (better, than):
        if not matching(labels, wanted):
            return Sides(why=f"no ranked entry has {describe_side(wanted)}", waiting=waiting)
    both = [name for name in found[0] if name in found[1]]
    if both:
        return Sides(why=f"both sides have {both[0]}", waiting=waiting)
    if not found[0]:
        return Sides(why=f"no {' or '.join(free)} has both sides", waiting=waiting)
    apart = cells.apart.get(metric, {})
    lacking = [f"{name}: {apart[name]}" for names in found for name in names if name in apart]
    return Sides(why=lacking[0], waiting=waiting) if lacking else Sides(*found, waiting=waiting)


def _paired(
    labels: pd.DataFrame, better: Labels, than: Labels, free: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the entries of both sides whose labels of the free axes the other side has, too."""
    key = {name: tuple(row) for name, row in zip(labels.index, labels[free].to_numpy(object), strict=True)}
    first, second = matching(labels, better), matching(labels, than)
    common = {key[name] for name in first} & {key[name] for name in second}
    return tuple(n for n in first if key[n] in common), tuple(n for n in second if key[n] in common)


def _pending(cells: TaskCells, planned: Planned) -> pd.DataFrame:
    rows = {name: planned[cells.task, name] for name in cells.pending if (cells.task, name) in planned}
    return pd.DataFrame(
        [[labels.get(axis, "") for axis in AXES] for labels in rows.values()], list(rows), list(AXES), object
    )


def planned_labels(suite: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    """Returns the labels of what a kept suite plans, by task and entry; of an axis that is searched there is none."""
    found = {}
    for study in suite.get("studies", ()):
        sides = {"model": study.get("models", ()), "loss": study.get("losses", ())}
        labels = {axis: side[0]["label"] for axis, side in sides.items() if len(side) == 1}
        found[study["task"], study["entry"]] = labels
    return found


def labels_of(cells: TaskCells) -> pd.DataFrame:
    """Returns the labels of a task's entries, entries x axes."""
    return pd.DataFrame(
        [[getattr(entry, axis) for axis in AXES] for entry in cells.entries],
        [entry.name for entry in cells.entries],
        list(AXES),
        object,
    )


def matching(labels: pd.DataFrame, wanted: Labels) -> list[str]:
    """Returns the entries that have the labels which a side names."""
    match = pd.Series(True, labels.index)
    for axis, label in wanted.items():
        match &= labels[axis] == label
    return [str(name) for name in labels.index[match]]
