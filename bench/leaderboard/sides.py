"""The sides of a claim: which entries they name, and which of these are compared with each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from bench.leaderboard.cells import TaskCells

AXES = ("model", "loss")

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Sides:
    """The entries of two sides.

    Args:
        better: Names of the side that is claimed to be better.
        than: Names of the other side.
        why: Why there are none.
    """

    better: tuple[str, ...] = ()
    than: tuple[str, ...] = ()
    why: str = ""


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
    cells: TaskCells, metric: str, better: Labels, than: Labels, compare_axes: Sequence[str]
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
    """
    labels = labels_of(cells)
    free = [axis for axis in compare_axes if axis not in better and axis not in than]
    key = {name: tuple(labels.loc[name, free]) for name in labels.index}
    found = [matching(labels, side) for side in (better, than)]
    for names, wanted in zip(found, (better, than), strict=True):
        if not names:
            return Sides(why=f"no ranked entry has {describe_side(wanted)}")
    common = set.intersection(*({key[name] for name in names} for names in found))
    if not common:
        return Sides(why=f"no {' or '.join(free)} has both sides")
    paired = [tuple(name for name in names if key[name] in common) for names in found]
    apart = cells.apart.get(metric, {})
    lacking = [f"{name}: {apart[name]}" for names in paired for name in names if name in apart]
    return Sides(why=lacking[0]) if lacking else Sides(paired[0], paired[1])


def labels_of(cells: TaskCells) -> pd.DataFrame:
    """Returns the labels of a task's entries, entries x axes."""
    return pd.DataFrame(
        {axis: {entry.name: getattr(entry, axis) for entry in cells.entries} for axis in AXES}
    )


def matching(labels: pd.DataFrame, wanted: Labels) -> list[str]:
    """Returns the entries that have the labels which a side names."""
    match = pd.Series(True, labels.index)
    for axis, label in wanted.items():
        match &= labels[axis] == label
    return [str(name) for name in labels.index[match]]
