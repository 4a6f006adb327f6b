"""Critical difference diagram: mean ranks on a line, bars over those that are not separated.

Demsar (2006), Statistical comparisons of classifiers over multiple data sets, JMLR 7:1-30.
"""

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from bench.leaderboard.figures.canvas import SMALL, Drawing, text_width
from bench.leaderboard.figures.rows import Panel, rows_figure
from bench.leaderboard.figures.ruler import MOST_SIDE, draw_ruler
from bench.leaderboard.formats import p_text
from bench.leaderboard.palette import Palette
from bench.stats.friedman import LEAST_ENTRIES, Friedman, cliques
from bench.words import plural

NAME = "critical-difference"
MOST_ON_RULER = 12
"""Entries beyond which each has a row of its own: names beside a ruler would be far from their marks."""

Groups = Sequence[tuple[str, ...]]


def draw_critical_difference(
    found: Friedman | None, of: str, unit: str, metric: str, palette: Palette
) -> Drawing:
    """Draws mean ranks with Nemenyi's critical difference.

    Args:
        found: Friedman's test; none where nothing was ranked.
        of: Task, or ``all tasks``.
        unit: What entries were ranked in: ``patient`` or ``task``.
        metric: Heading of the metric.
        palette: Colours.
    """
    title = f"{of}: mean rank by {metric}"
    why = "nothing was ranked" if found is None else _too_few(found, unit)
    if found is None or why:
        return Drawing(name=NAME, of=of, title=title, why=why)
    title += f" over {plural(found.n, unit)}"
    ranks = {str(name): float(rank) for name, rank in found.mean_ranks.items()}
    differ = found.f_p < found.alpha
    groups: Groups = cliques(found.mean_ranks, found.critical_difference) if differ else [tuple(ranks)]
    width = found.critical_difference if differ else math.nan
    short = max(text_width(f"{name}  0.00", SMALL) for name in ranks) <= MOST_SIDE
    draw = draw_ruler if short and len(ranks) <= MOST_ON_RULER else _rows
    places = ranks if draw is draw_ruler else {name: float(place) for place, name in enumerate(ranks)}
    return Drawing(
        name=NAME,
        of=of,
        title=title,
        caption=_caption(found, unit, differ),
        alt=_alt(found, groups, differ),
        figure=draw(ranks, groups, _lines(groups, places), width, title, palette),
    )


def _too_few(found: Friedman, unit: str) -> str:
    if found.k < LEAST_ENTRIES:
        return f"{found.k} entries; at least {LEAST_ENTRIES} are needed"
    if not found.can_tell:
        return (
            f"{plural(found.n, unit)} with a value of every entry: Friedman's test cannot give a p-value below "
            f"{found.alpha:g}, whatever the ranks"
        )
    return ""


def _lines(groups: Groups, places: dict[str, float]) -> list[int]:
    """Returns the line on which each bar lies: bars that overlap lie on several."""
    ends: list[float] = []
    found = []
    for group in groups:
        start, end = places[group[0]], places[group[-1]]
        level = next((number for number, reached in enumerate(ends) if reached < start), len(ends))
        ends[level : level + 1] = [end]
        found.append(level)
    return found


def _rows(
    ranks: dict[str, float],
    groups: Groups,
    lines: Sequence[int],
    difference: float,
    title: str,
    palette: Palette,
) -> Figure:
    """Draws a row per entry, and a bar at the right over the rows that are not separated."""
    names = list(ranks)
    panels = [Panel("mean rank", 1.0), Panel("not separated", 0.06 * (max(lines, default=0) + 2))]
    figure, (axes, bars) = rows_figure(names, panels, palette, title, row=0.22)
    for place, rank in enumerate(ranks.values()):
        axes.hlines(place, 1, rank, color=palette.faint, linewidth=0.8, zorder=1)
        axes.plot(rank, place, marker="o", markersize=5, color=palette.accent, zorder=3)
        axes.annotate(f"{rank:.2f}", (rank, place), (6, 0), textcoords="offset points", va="center",
                      size=SMALL - 1, color=palette.soft)  # fmt: skip
    axes.set_xlim(1, max(ranks.values()) * 1.08)
    if not math.isnan(difference):
        right = axes.get_xlim()[1]
        axes.plot(
            [right - difference, right],
            [0.1, 0.1],
            color=palette.ink,
            linewidth=1.2,
            marker="|",
            markersize=6,
        )
        axes.text(right, 0.55, f"critical difference {difference:.2f}", ha="right", va="top", size=SMALL,
                  color=palette.ink)  # fmt: skip
    bars.set_xlim(-0.5, max(lines, default=0) + 0.5)
    bars.tick_params(bottom=False, top=False, labelbottom=False, labeltop=False)
    bars.spines["bottom"].set_visible(False)
    bars.grid(visible=False)
    for group, line in zip(groups, lines, strict=True):
        ends = names.index(group[0]) - 0.25, names.index(group[-1]) + 0.25
        bars.vlines(line, *ends, color=palette.accent, linewidth=3.2, capstyle="butt")
    return figure


def _caption(found: Friedman, unit: str, differ: bool) -> str:
    test = (
        f"Mean rank over {plural(found.n, unit)}, 1 is best. Iman-Davenport's form of Friedman's test: "
        f"F {found.f:.2f}, p {p_text(found.f_p)}."
    )
    said = (
        f" A bar joins entries whose mean ranks differ by less than the critical difference of Nemenyi's test at "
        f"{found.alpha:g}: they are not separated."
        if differ
        else " The entries are not shown to differ at all: one bar over all of them."
    )
    out = f" Left out for a missing value: {plural(len(found.left_out), unit)}." if found.left_out else ""
    return test + said + out


def _alt(found: Friedman, groups: Groups, differ: bool) -> str:
    ranks = "; ".join(f"{name} {rank:.2f}" for name, rank in found.mean_ranks.items())
    bars = "; ".join(", ".join(group) for group in groups)
    width = f" Critical difference {found.critical_difference:.2f}." if differ else ""
    return f"Mean ranks: {ranks}.{width} Not separated: {bars or 'none'}."
