"""Learning curves of the final trainings: whether they had converged, and whether runs agree."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from bench.leaderboard.figures.canvas import SMALL, Drawing
from bench.leaderboard.figures.grid import grid_figure
from bench.leaderboard.palette import Palette
from bench.words import plural

NAME = "curves"
COLUMNS = ("entry", "fold", "seed", "epoch", "score", "best_epoch", "status")
MOST_POINTS = 150
"""Of a line; of more epochs each nth is drawn."""

Floats = NDArray[np.float64]


def draw_curves(
    curves: pd.DataFrame, order: Sequence[str], task: str, metric: str, palette: Palette
) -> Drawing:
    """Draws validation scores over epochs, a panel per entry.

    Args:
        curves: Epochs of final trainings, columns of `COLUMNS`; scores are higher the better.
        order: Entries, best first.
        task: Name.
        metric: What the scores are made of.
        palette: Colours.
    """
    title = f"{task}: validation {metric} over the epochs of the final trainings"
    known = curves[curves["score"].notna() & curves["entry"].isin(list(order))]
    if known["epoch"].nunique() < 2:
        return Drawing(name=NAME, of=task, title=title, why="no training has validation scores of two epochs")
    entries = [name for name in order if (known["entry"] == name).any()]
    figure, panels = grid_figure(entries, palette, title, panel=1.0, left=0.48, most=4, axis="epoch")
    runs = {name: _runs(known[known["entry"] == name]) for name in entries}
    first = runs[entries[0]]
    scores = known["score"].to_numpy(float)
    low, high = float(scores.min()), float(scores.max())
    room = 0.05 * ((high - low) or 1.0)
    for name, axes in zip(entries, panels, strict=True):
        if name != entries[0]:
            _mean(axes, first, palette.muted, (0, (3, 2)))
        for run in runs[name]:
            _run(axes, run, palette)
        if len(runs[name]) > 1:
            _mean(axes, runs[name], palette.accent, "-")
        axes.set_xlim(min(0, int(known["epoch"].min())), int(known["epoch"].max()) * 1.03)
        axes.set_ylim(low - room, high + room)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.tick_params(labelsize=SMALL - 0.5)
    return Drawing(
        name=NAME,
        of=task,
        title=title,
        caption=_caption(entries, known, len(order) - len(entries)),
        alt="; ".join(_told(name, runs[name]) for name in entries) + ".",
        figure=figure,
    )


def _runs(curves: pd.DataFrame) -> list[pd.DataFrame]:
    return [run.sort_values("epoch") for _, run in curves.groupby(["fold", "seed"], observed=True)]


def _thin(number: int) -> slice | NDArray[np.intp]:
    if number <= MOST_POINTS:
        return slice(None)
    return np.unique(np.r_[np.arange(0, number, -(-number // MOST_POINTS)), number - 1])


def _run(axes: Axes, run: pd.DataFrame, palette: Palette) -> None:
    epoch, score = run["epoch"].to_numpy(float), run["score"].to_numpy(float)
    kept = _thin(len(epoch))
    axes.plot(epoch[kept], score[kept], color=palette.accent, linewidth=0.7, alpha=0.55, zorder=2,
              marker="." if len(epoch) == 1 else "")  # fmt: skip
    if run["status"].iloc[0] != "complete":
        axes.plot(
            epoch[-1],
            score[-1],
            marker="x",
            markersize=5,
            markeredgewidth=1.4,
            color=palette.second,
            zorder=4,
        )
        return
    best = epoch == float(run["best_epoch"].iloc[0])
    axes.plot(epoch[best], score[best], linestyle="", marker="o", markersize=3.4, color=palette.ink, zorder=4)


def _mean(axes: Axes, runs: Sequence[pd.DataFrame], colour: str, style: object) -> None:
    """Draws the mean over runs, as far as all of them go: where one ends, a mean of the others would jump."""
    table = pd.concat([run.set_index("epoch")["score"] for run in runs], axis=1).sort_index().dropna()
    kept = _thin(len(table))
    axes.plot(table.index.to_numpy(float)[kept], table.mean(axis=1).to_numpy(float)[kept], color=colour,
              linestyle=style, linewidth=1.5, zorder=3)  # fmt: skip


def _caption(entries: Sequence[str], known: pd.DataFrame, without: int) -> str:
    runs = known[["entry", "fold", "seed"]].drop_duplicates()
    parts = [
        f"Thin: each of {plural(len(runs), 'training')} (fold and seed). Thick: their mean, as far as all of them "
        "go. Dot: the epoch whose weights are kept. Higher is better."
    ]
    if len(entries) > 1:
        parts.append(f"Dashed grey, for comparison: mean of {entries[0]}.")
    if (known["status"] != "complete").any():
        parts.append("Cross: a training that did not complete ends here.")
    if without:
        parts.append(f"Without curves: {without} of the entries.")
    return " ".join(parts)


def _told(name: str, runs: Sequence[pd.DataFrame]) -> str:
    last = ", ".join(f"{run['score'].iloc[-1]:.3g}" for run in runs)
    longest = max(int(run["epoch"].max()) for run in runs)
    return f"{name}: {plural(len(runs), 'training')} of up to {plural(longest, 'epoch')}, last score {last}"
