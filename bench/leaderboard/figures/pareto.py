"""Quality against cost: what each entry gives for what it takes, and who gives more for less."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from bench.leaderboard.facts import MetricFacts
from bench.leaderboard.figures.canvas import (
    SMALL,
    TITLE_ROOM,
    WIDTH,
    Drawing,
    blank,
    place,
    plain,
    text_width,
    wrap_name,
)
from bench.leaderboard.figures.labels import put_labels
from bench.leaderboard.formats import count_text
from bench.leaderboard.palette import Palette
from bench.leaderboard.table import Cost, EntryRow, TaskBoard

NAME = "pareto"
PANEL = 1.75
"""Height of a panel."""
HEAD, BETWEEN, GAP = 0.27, 0.6, 0.22
"""Room above a panel, below it with what stands above the next one, and beside it."""
KEY_ROW, KEY_LINE = 0.17, 0.12
"""Height of a name, and of each further line of it."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CostAxis:
    """A cost.

    Args:
        title: With its unit.
        of: Returns it; NaN or none where it is not known.
        timed: Whether it depends on the device.
    """

    title: str
    of: Callable[[Cost], float | None]
    timed: bool


COSTS = (
    CostAxis("parameters", lambda cost: cost.parameters, timed=False),
    CostAxis("GMACs of an image", lambda cost: cost.gmacs, timed=False),
    CostAxis("device hours of a training", lambda cost: cost.gpu_hours, timed=True),
    CostAxis("seconds to predict a case", lambda cost: cost.case_s, timed=True),
)


def draw_pareto(board: TaskBoard, palette: Palette) -> Drawing:
    """Draws the ranked metric of a task's table against each cost that tells entries apart.

    Args:
        board: The table.
        palette: Colours.
    """
    facts = board.facts[0]
    title = f"{board.task}: {facts.title} against cost"
    rows = [row for row in board.rows if not math.isnan(row.metrics[facts.name].mean)]
    devices = sorted({device for row in rows for device in row.cost.devices})
    known = [(cost, _values(cost, rows)) for cost in COSTS if not (cost.timed and len(devices) > 1)]
    shown = [(cost, values) for cost, values in known if len(np.unique(values[np.isfinite(values)])) > 1]
    if not shown:
        return Drawing(
            name=NAME, of=board.task, title=title, why="no two entries have known costs that differ"
        )
    quality = np.array([row.metrics[facts.name].mean for row in rows]) * facts.sign
    fronts = [front(values, quality) for _, values in shown]
    ever = np.any(fronts, axis=0)
    figure, panels = _page(rows, ever, len(shown), title, palette)
    for axes, (cost, values), best in zip(panels, shown, fronts, strict=True):
        _panel(axes, rows, values, best, facts, palette)
        axes.text(0, 1.03, cost.title, transform=axes.transAxes, ha="left", va="bottom", size=SMALL,
                  color=palette.soft)  # fmt: skip
    return Drawing(
        name=NAME,
        of=board.task,
        title=title,
        caption=_caption(facts, devices),
        alt=_alt(rows, [cost for cost, _ in shown], fronts),
        figure=figure,
    )


def front(cost: Floats, quality: Floats) -> NDArray[np.bool_]:
    """Says which entries no other one beats: at least as good for at most the cost, and better in one of them.

    Args:
        cost: By entry; NaN: unknown, never on the front.
        quality: By entry, higher is better.
    """
    found = np.isfinite(cost) & np.isfinite(quality)
    for one in np.flatnonzero(found):
        as_good = (cost <= cost[one]) & (quality >= quality[one])
        better = (cost < cost[one]) | (quality > quality[one])
        found[one] = not (as_good & better).any()
    return found


def _values(cost: CostAxis, rows: Sequence[EntryRow]) -> Floats:
    known = (cost.of(row.cost) for row in rows)
    found = np.array([math.nan if value is None else float(value) for value in known])
    return np.where(found > 0, found, math.nan)


def _page(
    rows: Sequence[EntryRow], ever: NDArray[np.bool_], number: int, title: str, palette: Palette
) -> tuple[Figure, list[Axes]]:
    """Returns a figure with panels, two beside each other, and the names behind the numbers at the right."""
    names = [wrap_name(row.entry, 1.9, SMALL) for row in rows]
    heights = [KEY_ROW + KEY_LINE * name.count("\n") for name in names]
    key = 0.32 + max(text_width(name, SMALL, "bold") for name in names)
    down = (number + 1) // 2
    height = TITLE_ROOM + max(down * (PANEL + BETWEEN) + 0.05, HEAD + 0.05 + sum(heights))
    figure = blank(height, palette, title)
    y, x = height - TITLE_ROOM - HEAD, WIDTH - key + 0.16
    for place_, (name, leads, high) in enumerate(zip(names, ever, heights, strict=True), start=1):
        for at, side, text in ((x, "right", str(place_)), (x + 0.06, "left", name)):
            figure.text(at / WIDTH, y / height, text, ha=side, va="top", size=SMALL, linespacing=1.05,
                        color=palette.ink, weight="bold" if leads else "normal")  # fmt: skip
        y -= high
    left, across = 0.5, min(2, number)
    wide = (WIDTH - left - key - 0.15 - GAP * (across - 1)) / across
    panels = []
    for panel in range(number):
        row, column = divmod(panel, 2)
        bottom = height - TITLE_ROOM - HEAD - PANEL - row * (PANEL + BETWEEN)
        axes = place(figure, left + column * (wide + GAP), bottom, wide, PANEL)
        plain(axes, palette, sides=("bottom", "left"), grid="both")
        axes.tick_params(labelleft=column == 0)
        panels.append(axes)
    return figure, panels


def _panel(
    axes: Axes,
    rows: Sequence[EntryRow],
    cost: Floats,
    best: NDArray[np.bool_],
    facts: MetricFacts,
    palette: Palette,
) -> None:
    known = np.isfinite(cost)
    mean, low, high = (np.array([getattr(row.metrics[facts.name], end) for row in rows])
                       for end in ("mean", "low", "high"))  # fmt: skip
    axes.vlines(cost[known], low[known], high[known], color=palette.muted, linewidth=0.7, alpha=0.6, zorder=2)
    for chosen, inside in ((known & ~best, palette.paper), (best, palette.accent)):
        axes.plot(cost[chosen], mean[chosen], linestyle="", marker="o", markersize=5, color=palette.accent,
                  markeredgewidth=1.1, markerfacecolor=inside, zorder=3)  # fmt: skip
    order = np.flatnonzero(best)[np.argsort(cost[best], kind="stable")]
    axes.step(
        cost[order],
        mean[order],
        where="post",
        color=palette.second,
        linewidth=1.1,
        linestyle=(0, (4, 2)),
        zorder=1,
    )
    _scales(axes, cost[known], facts)
    # The front chooses its places first.
    chosen_first = [*order, *np.flatnonzero(known & ~best)]
    put_labels(
        axes,
        np.column_stack([cost, mean])[chosen_first],
        [str(number + 1) for number in chosen_first],
        [palette.ink if best[number] else palette.soft for number in chosen_first],
        ["bold" if best[number] else "normal" for number in chosen_first],
    )


def _scales(axes: Axes, cost: Floats, facts: MetricFacts) -> None:
    low, high = float(cost.min()), float(cost.max())
    if high > 3 * low:
        axes.set_xscale("log")
        subs = (1.0,) if high > 100 * low else (1.0, 2.0, 5.0)
        axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=6))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.1)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.margins(x=0.1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    if not facts.higher_is_better:
        axes.invert_yaxis()
    axes.autoscale_view()


def _number(value: float) -> str:
    return count_text(round(value)) if value >= 1000 else f"{value:.3g}"


def _caption(facts: MetricFacts, devices: Sequence[str]) -> str:
    better = "higher" if facts.higher_is_better else "lower (the axis is turned over)"
    parts = [
        f"Mean {facts.title} with its 95% interval, {better} is better, against cost; the numbers are those of the "
        "table's rows. Filled, dashed line, bold: no other entry is as good by its mean for as little. Where "
        "intervals overlap the front may be chance."
    ]
    if len(devices) > 1:
        parts.append(f"Times are left out: they were measured on unlike devices ({', '.join(devices)}).")
    return " ".join(parts)


def _alt(rows: Sequence[EntryRow], costs: Sequence[CostAxis], fronts: Sequence[NDArray[np.bool_]]) -> str:
    parts = []
    for cost, best in zip(costs, fronts, strict=True):
        names = [row.entry for row, leads in zip(rows, best, strict=True) if leads]
        parts.append(f"By {cost.title} on the front: {', '.join(names)}")
    return "; ".join(parts) + "."
