"""Small multiples: the same little panel for each entry, on the same scales."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.leaderboard.figures.canvas import SMALL, TITLE_ROOM, WIDTH, blank, place, plain, wrap_name
from bench.leaderboard.palette import Palette

GAP, LINE = 0.3, 0.14


def grid_figure(
    names: Sequence[str],
    palette: Palette,
    title: str,
    *,
    panel: float,
    left: float,
    most: int = 4,
    sides: Sequence[str] = ("bottom", "left"),
    grid: str = "both",
    axis: str = "",
) -> tuple[Figure, list[Axes]]:
    """Returns a figure with a panel per name.

    Args:
        names: Above the panels.
        palette: Colours.
        title: Above all.
        panel: Height of a panel.
        left: Room for what stands at the left of the first panel of a line.
        most: Panels in a line.
        sides: Where axes are drawn.
        grid: Which lines help the eye.
        axis: What the axis below is, written under the last line of panels.
    """
    across = min(most, max(2, len(names)))
    down = -(-len(names) // across)
    wide = (WIDTH - left - 0.12 - GAP * (across - 1)) / across
    shown = [wrap_name(name, wide - 0.05, SMALL) for name in names]
    head = 0.08 + LINE * (max(name.count("\n") for name in shown) + 1)
    below = 0.28
    height = TITLE_ROOM + down * (head + panel + below) + (0.14 if axis else 0.0)
    figure = blank(height, palette, title)
    panels = []
    for number, name in enumerate(shown):
        row, column = divmod(number, across)
        bottom = height - TITLE_ROOM - (row + 1) * (head + panel) - row * below
        axes = place(figure, left + column * (wide + GAP), bottom, wide, panel)
        plain(axes, palette, sides=sides, grid=grid)
        axes.tick_params(labelleft=column == 0 and "left" in sides)
        axes.text(0, 1 + 0.05 / panel, name, transform=axes.transAxes, ha="left", va="bottom", size=SMALL,
                  linespacing=1.05, color=palette.ink)  # fmt: skip
        if axis and column == 0 and row == down - 1:
            axes.text(0, -0.36 / panel, axis, transform=axes.transAxes, ha="left", va="center", size=SMALL,
                      color=palette.soft)  # fmt: skip
        panels.append(axes)
    return figure, panels
