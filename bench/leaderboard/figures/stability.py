"""How sure ranks are: where each entry lands when patients are drawn again."""

import numpy as np
from matplotlib.axes import Axes

from bench.leaderboard.figures.canvas import Drawing, size_of
from bench.leaderboard.figures.rows import MANY, Panel, rows_figure
from bench.leaderboard.palette import Palette
from bench.stats.paired import LEAST_PATIENTS
from bench.stats.ranking import RankBootstrap
from bench.words import plural

NAME = "ranks"
SEEN = 0.005
"""Probability below which a blob would not be seen."""


def draw_stability(
    found: RankBootstrap | None, of: str, metric: str, n_patients: int, palette: Palette
) -> Drawing:
    """Draws the bootstrap distribution of ranks as blobs, after Wiesenfarth et al. 2021, Sci Rep 11:2369.

    Args:
        found: Bootstrap of the ranks; none where there are too few patients or entries.
        of: Task, or ``all tasks``.
        metric: Heading of the metric.
        n_patients: Patients drawn from; over tasks, of the smallest one.
        palette: Colours.
    """
    title = f"{of}: ranks by {metric} when patients are drawn again"
    if n_patients < LEAST_PATIENTS:
        why = f"{plural(n_patients, 'patient')}; at least {LEAST_PATIENTS} are needed to draw again from"
        return Drawing(name=NAME, of=of, title=title, why=why)
    if found is None or len(found.entries) < 2:
        return Drawing(name=NAME, of=of, title=title, why="there is one entry only")
    order = np.argsort(found.ranks, kind="stable")
    names = [found.entries[place] for place in order]
    figure, (axes,) = rows_figure(names, [Panel("rank")], palette, title, row=0.26)
    _blobs(axes, found, order, palette)
    return Drawing(
        name=NAME, of=of, title=title, caption=_caption(found), alt=_alt(found, order), figure=figure
    )


def _blobs(
    axes: Axes, found: RankBootstrap, order: "np.ndarray[tuple[int], np.dtype[np.intp]]", palette: Palette
) -> None:
    number = len(order)
    axes.set_xlim(0.4, number + 0.6)
    wide, high = size_of(axes)
    probability = np.asarray(found.probability, float)[order]
    # The largest blob fits its row, in points, and its column but for a little: neighbours shine through.
    most = 72 * min(1.5 * wide / (number + 0.2), 1.1 * high / number)
    area = most**2 / max(float(probability.max()), 1e-9)
    y, x = np.nonzero(probability >= SEEN)
    axes.scatter(x + 1, y, s=probability[y, x] * area, color=palette.accent, alpha=0.5, linewidths=0, zorder=2,
                 clip_on=False)  # fmt: skip
    row = np.arange(number)
    low, high_ = np.asarray(found.low, float)[order], np.asarray(found.high, float)[order]
    axes.hlines(row, low, high_, color=palette.ink, linewidth=1.0, zorder=3)
    axes.plot(np.asarray(found.ranks, float)[order], row, linestyle="", marker="x", markersize=5,
              markeredgewidth=1.4, color=palette.second, zorder=4)  # fmt: skip
    step = 1 if number <= MANY else 2 if number <= 2 * MANY else 5
    axes.set_xticks([rank for rank in range(1, number + 1) if rank == 1 or rank % step == 0 or step < 3])


def _caption(found: RankBootstrap) -> str:
    text = (
        f"Area of a blob: how often an entry had that rank in {len(found.tau):,} bootstrap samples of the patients. "
        "Cross: rank with all patients. Line: 95% interval."
    )
    tau = found.tau[~np.isnan(found.tau)]
    if not len(tau):
        return text
    low, middle, high = np.quantile(tau, [0.025, 0.5, 0.975])
    return (
        f"{text} Kendall's tau of these rankings with that of all patients: median {middle:.2f}, 95% of them within "
        f"{low:.2f} to {high:.2f} (1: the same order)."
    )


def _alt(found: RankBootstrap, order: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> str:
    parts = [
        f"{found.entries[place]}: rank {found.ranks[place]:g}, 95% interval {found.low[place]:g} to "
        f"{found.high[place]:g}"
        for place in order
    ]
    return "; ".join(parts) + "."
