"""Mean ranks as marks on a ruler, with names at both sides: the classic critical difference diagram."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.leaderboard.figures.canvas import SMALL, TITLE_ROOM, WIDTH, blank, place, text_width
from bench.leaderboard.palette import Palette

ROW, BAR = 0.2, 0.11
"""Height of a name's line and of a bar's."""
MOST_SIDE = 2.3
"""Room for a name at a side."""


@dataclass(frozen=True)
class _Ruler:
    """Where ranks lie, in inches: `left` for rank 1, `right` for rank k; names stand outside."""

    left: float
    right: float
    k: int
    top: float

    def at(self, rank: float) -> float:
        return self.left + (rank - 1) / (self.k - 1) * (self.right - self.left)


def draw_ruler(
    ranks: dict[str, float],
    groups: Sequence[tuple[str, ...]],
    lines: Sequence[int],
    difference: float,
    title: str,
    palette: Palette,
) -> Figure:
    """Draws the diagram.

    Args:
        ranks: Mean rank by name, best first; three or more.
        groups: Names that a bar joins, best first.
        lines: On which line each bar lies.
        difference: Critical difference; NaN where none is shown.
        title: Above.
        palette: Colours.
    """
    names = list(ranks)
    half = (len(names) + 1) // 2
    bars = BAR * (max(lines, default=-1) + 1)
    above = TITLE_ROOM + (0.3 if math.isnan(difference) else 0.6)
    height = above + bars + ROW * half + 0.28
    figure = blank(height, palette, title)
    axes = place(figure, 0, 0, WIDTH, height)
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    axes.axis("off")
    sides = names[:half], names[half:]
    room = [max(text_width(_told(name, ranks), SMALL) for name in side) + 0.35 for side in sides]
    ruler = _Ruler(room[0], WIDTH - room[1], len(names), above)
    _scale(axes, ruler, palette)
    if not math.isnan(difference):
        _width(axes, ruler, difference, palette)
    for group, line in zip(groups, lines, strict=True):
        y = above + 0.1 + BAR * line
        ends = [ruler.at(ranks[group[0]]) - 0.04, ruler.at(ranks[group[-1]]) + 0.04]
        axes.plot(ends, [y, y], color=palette.accent, linewidth=3.2, solid_capstyle="butt", zorder=3)
    for side, left in ((sides[0], True), (sides[1][::-1], False)):
        for number, name in enumerate(side):
            y = above + bars + 0.2 + ROW * number
            _name(axes, ruler, _told(name, ranks), ranks[name], y, left, palette)
    return figure


def _told(name: str, ranks: dict[str, float]) -> str:
    return f"{name}  {ranks[name]:.2f}"


def _scale(axes: Axes, ruler: _Ruler, palette: Palette) -> None:
    axes.plot([ruler.left, ruler.right], [ruler.top] * 2, color=palette.muted, linewidth=0.8)
    for rank in range(1, ruler.k + 1):
        x = ruler.at(rank)
        axes.plot([x, x], [ruler.top - 0.07, ruler.top], color=palette.muted, linewidth=0.8)
        axes.text(x, ruler.top - 0.09, str(rank), ha="center", va="bottom", size=SMALL, color=palette.soft)


def _width(axes: Axes, ruler: _Ruler, difference: float, palette: Palette) -> None:
    y, end = ruler.top - 0.34, ruler.at(1 + difference)
    axes.plot([ruler.left, end], [y, y], color=palette.ink, linewidth=1.2, marker="|", markersize=6)
    axes.text(end + 0.08, y, f"critical difference {difference:.2f}", ha="left", va="center", size=SMALL,
              color=palette.ink)  # fmt: skip


def _name(axes: Axes, ruler: _Ruler, text: str, rank: float, y: float, left: bool, palette: Palette) -> None:
    x, edge = ruler.at(rank), ruler.left - 0.16 if left else ruler.right + 0.16
    axes.plot([x, x, edge], [ruler.top, y, y], color=palette.muted, linewidth=0.7, zorder=1)
    axes.plot(x, ruler.top, marker="o", markersize=3.2, color=palette.ink, zorder=4)
    axes.text(edge + (-0.05 if left else 0.05), y, text, ha="right" if left else "left", va="center", size=SMALL,
              color=palette.ink)  # fmt: skip
