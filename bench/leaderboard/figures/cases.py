"""Raw values: each patient a dot in each entry's row, and a thin line from row to row."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from bench.leaderboard.facts import MetricFacts
from bench.leaderboard.figures.canvas import Drawing
from bench.leaderboard.figures.rows import Panel, rows_figure
from bench.leaderboard.palette import Palette
from bench.words import plural

NAME = "cases"
SPREAD = 0.5
"""Of a row's height, over which dots are spread so that equal values are seen."""
DOT = 5e-3
"""Of a row's height: length of the line that is a dot."""
MOST_LINES = 4_000
"""Pieces of lines beyond which they are left out: more are a grey area."""

Floats = NDArray[np.float64]


def draw_cases(values: pd.DataFrame, facts: MetricFacts, task: str, palette: Palette) -> Drawing:
    """Draws a metric's values.

    Args:
        values: Entries x patients as `per_patient` makes them, the best entry first.
        facts: The metric.
        task: Name.
        palette: Colours.
    """
    array = values.to_numpy(float)
    entries, patients = array.shape
    title = f"{task}: {facts.title} of each patient"
    if not np.isfinite(array).any():
        return Drawing(name=NAME, of=task, title=title, why="no entry has a value of any patient")
    names = [str(name) for name in values.index]
    means, medians = _over_patients(array, np.mean), _over_patients(array, np.median)
    figure, (axes,) = rows_figure(names, [Panel(_axis(facts))], palette, title, row=_height(entries))
    places = np.arange(entries)[:, None] + SPREAD * _offsets(patients)[None, :]
    joined = entries > 1 and (entries - 1) * patients <= MOST_LINES
    if joined:
        _lines(axes, array, places, palette)
    # Between rare and crowded: dots are small where there are many.
    size = float(np.clip(60 / np.sqrt(patients), 1.6, min(5.0, 12 * _height(entries))))
    for x, y in zip(array, places, strict=True):
        _dots(axes, x, y, size, palette)
    row = np.arange(entries)
    axes.vlines(means, row - 0.36, row + 0.36, color=palette.accent, linewidth=2.2, capstyle="butt", zorder=4)
    axes.plot(medians, row, linestyle="", marker="D", markersize=4.5, color=palette.second,
              markeredgecolor=palette.paper, markeredgewidth=0.8, zorder=5)  # fmt: skip
    axes.margins(x=0.02)
    return Drawing(
        name=NAME,
        of=task,
        title=title,
        caption=_caption(facts, joined, entries),
        alt=_alt(facts, names, array, means, medians),
        figure=figure,
    )


def _over_patients(array: Floats, statistic: Callable[[Floats], Any]) -> Floats:
    rows = (row[~np.isnan(row)] for row in array)
    return np.array([statistic(row) if len(row) else np.nan for row in rows], float)


def _height(entries: int) -> float:
    return 0.62 if entries <= 3 else 0.42 if entries <= 8 else 0.3 if entries <= 20 else 0.25


def _offsets(number: int) -> Floats:
    """Returns places within -0.5..0.5, one per patient, evenly spread whatever their number."""
    golden = (np.sqrt(5) - 1) / 2
    places: Floats = (np.arange(number) * golden + 0.5) % 1 - 0.5
    return places


def _lines(axes: Axes, array: Floats, places: Floats, palette: Palette) -> None:
    points = np.stack([array, places], axis=-1).transpose(1, 0, 2)
    patients = points.shape[0]
    lines = LineCollection(
        [line[~np.isnan(line[:, 0])] for line in points],
        colors=palette.muted,
        linewidths=0.5,
        alpha=float(np.clip(8 / np.sqrt(patients) / 3, 0.08, 0.55)),
        zorder=1,
    )
    axes.add_collection(lines)


def _dots(axes: Axes, x: Floats, y: Floats, size: float, palette: Palette) -> None:
    """Draws dots as one path of points with round ends: a tenth of what a shape for each would take in a file."""
    there = ~np.isnan(x)
    if not there.any():
        return
    corners = np.repeat(np.column_stack([x[there], y[there]]), 2, axis=0)
    # Not every program draws a line of no length.
    corners[1::2, 1] += DOT
    codes = np.tile([Path.MOVETO, Path.LINETO], int(there.sum()))
    patch = PathPatch(Path(corners, codes), facecolor="none", edgecolor=palette.muted, linewidth=size,
                      capstyle="round", alpha=0.75, zorder=2, snap=False)  # fmt: skip
    axes.add_patch(patch)
    axes.update_datalim(corners)


def _axis(facts: MetricFacts) -> str:
    return f"{facts.title}, {'higher' if facts.higher_is_better else 'lower'} is better"


def _caption(facts: MetricFacts, joined: bool, entries: int) -> str:
    lines = (
        " A line joins the same patient from row to row: where lines cross, patients disagree on who is better."
        * joined
    )
    left = " Lines that join patients are left out: there would be too many." * (not joined and entries > 1)
    return (
        f"Each dot is a patient, runs, images and labels averaged; what failed or was missed counts the worst."
        f"{lines}{left} Bar: mean. Diamond: median."
    )


def _alt(facts: MetricFacts, names: Sequence[str], array: Floats, means: Floats, medians: Floats) -> str:
    parts = []
    for name, row, mean, median in zip(names, array, means, medians, strict=True):
        there = row[~np.isnan(row)]
        if len(there):
            parts.append(
                f"{name}: {plural(len(there), 'patient')}, mean {facts.text(mean)}, median {facts.text(median)}, "
                f"from {facts.text(there.min())} to {facts.text(there.max())}"
            )
        else:
            parts.append(f"{name}: no value")
    return "; ".join(parts) + "."
