"""Who is better than whom: one-sided tests of every ordered pair."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bench.leaderboard.figures.canvas import SMALL, Drawing, size_of
from bench.leaderboard.figures.rows import Panel, rows_figure
from bench.leaderboard.formats import p_text
from bench.leaderboard.palette import Palette
from bench.stats.paired import ALPHA

NAME = "significance"
Floats = NDArray[np.float64]
MOST_NUMBERS = 9
"""Entries up to which p-values are written into the squares."""


def draw_significance(p: pd.DataFrame, task: str, metric: str, palette: Palette) -> Drawing:
    """Draws a significance map.

    Args:
        p: p-values, entries x entries, best first: row better than column, as `significance_map` makes them.
        task: Name.
        metric: Heading of the metric.
        palette: Colours.
    """
    title = f"{task}: who is better than whom in {metric}"
    array, names = p.to_numpy(float), [str(name) for name in p.index]
    if len(names) < 2:
        return Drawing(name=NAME, of=task, title=title, why="there is one entry only")
    if np.isnan(array).all():
        why = "too few patients: no pair can give a p-value below the level, whatever the difference"
        return Drawing(name=NAME, of=task, title=title, why=why)
    numbered = [f"{name}  {place}" for place, name in enumerate(names, start=1)]
    row = 0.3 if len(names) <= MOST_NUMBERS else 0.24
    panels = [Panel("better than number")]
    figure, (axes,) = rows_figure(
        numbered, panels, palette, title, row=row, above=True, below=0.1, most_name=3.4
    )
    _shape(axes, len(names), row, palette)
    _squares(axes, array, len(names) <= MOST_NUMBERS, palette)
    return Drawing(
        name=NAME, of=task, title=title, caption=_caption(array), alt=_alt(array, names), figure=figure
    )


def _shape(axes: Axes, number: int, row: float, palette: Palette) -> None:
    """Makes columns as wide as rows are high, or wider where numbers stand in them."""
    wide, _ = size_of(axes)
    box = axes.get_position()
    column = min(wide / number, max(row, 0.56) if number <= MOST_NUMBERS else row)
    axes.set_position((box.x0, box.y0, box.width * column * number / wide, box.height))
    axes.set_xlim(-0.5, number - 0.5)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks(range(number), [str(place + 1) for place in range(number)])
    axes.tick_params(top=False, bottom=False, labeltop=True, labelbottom=False, pad=1)
    if column < 0.2:
        axes.tick_params(labelsize=SMALL - 1.5)


def _squares(axes: Axes, array: Floats, numbers: bool, palette: Palette) -> None:
    apart = ~np.eye(len(array), dtype=bool)
    better = (array < ALPHA) & apart
    for chosen, edge, inside in (
        (apart & ~better, palette.faint, "none"),
        (better, palette.accent, palette.accent),
    ):
        shapes = [Rectangle((x - 0.46, y - 0.46), 0.92, 0.92) for y, x in np.argwhere(chosen)]
        axes.add_collection(PatchCollection(shapes, edgecolor=edge, facecolor=inside, linewidth=0.6))
    for y, x in np.argwhere(apart & (np.isnan(array) | numbers)):
        p = float(array[y, x])
        text = "?" if np.isnan(p) else p_text(p).replace("<0.0001", "<1e-4")
        axes.text(x, y, text, ha="center", va="center", size=SMALL - 0.5 if numbers else SMALL - 2,
                  color=palette.paper if better[y, x] else palette.soft)  # fmt: skip


def _caption(array: Floats) -> str:
    pairs = int((~np.isnan(array)).sum())
    unsure = int(np.isnan(array).sum()) - len(array)
    marked = " ?: too few patients for any p-value below the level." if unsure else ""
    return (
        f"Filled: the row is better than the column, Wilcoxon signed-rank test over patients, one-sided, Holm over "
        f"all {pairs} ordered pairs, p < {ALPHA:g}. Empty: not shown to be better.{marked}"
    )


def _alt(array: Floats, names: list[str]) -> str:
    lines = []
    for name, row in zip(names, array, strict=True):
        worse = [other for other, p in zip(names, row, strict=True) if p < ALPHA]
        lines.append(f"{name} is better than {', '.join(worse) if worse else 'none'}")
    return "; ".join(lines) + "."
