"""A row per entry, its name at the left: the form of most figures, since names are long and entries many."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.leaderboard.figures.canvas import (
    MOST_NAME,
    SMALL,
    TEXT,
    TITLE_ROOM,
    WIDTH,
    blank,
    place,
    plain,
    text_width,
    wrap_name,
)
from bench.leaderboard.palette import Palette

MANY = 14
"""From so many rows on, numbers stand above, too."""


@dataclass(frozen=True)
class Panel:
    """One panel beside the names.

    Args:
        title: What its axis is.
        share: Of the width that is left.
    """

    title: str
    share: float = 1.0


def rows_figure(
    names: Sequence[str],
    panels: Sequence[Panel],
    palette: Palette,
    title: str,
    *,
    row: float = 0.24,
    strong: Sequence[bool] = (),
    right: float = 0.12,
    gap: float = 0.25,
    grid: str = "x",
    above: bool = False,
    below: float = 0.26,
    most_name: float = MOST_NAME,
) -> tuple[Figure, list[Axes]]:
    """Returns a figure with a row per name and its panels; row i is at y = i, the first one above.

    Args:
        names: At the left.
        panels: From left to right.
        palette: Colours.
        title: Above.
        row: Height of a row; of two lines at least 0.3.
        strong: Which names are bold.
        right: Room at the right, e.g. for numbers.
        gap: Room between panels.
        grid: Which lines help the eye: ``x`` or none.
        above: Whether numbers will stand above them however few they are.
        below: Room below them.
        most_name: Width from which on names are broken.
    """
    shown = [wrap_name(name, most_name) for name in names]
    lines = max(name.count("\n") for name in shown) + 1
    row = max(row, 0.06 + 0.14 * lines) if lines > 1 else row
    room_above = TITLE_ROOM + (0.42 if len(names) > MANY or above else 0.22)
    left = 0.06 + max(text_width(name, TEXT, "bold") for name in shown) + 0.12
    height = room_above + row * len(names) + below
    figure = blank(height, palette, title)
    room = WIDTH - left - right - gap * (len(panels) - 1)
    total, start, found = sum(panel.share for panel in panels), left, []
    for panel in panels:
        wide = room * panel.share / total
        axes = place(figure, start, below, wide, row * len(names))
        _dress(axes, panel, palette, len(names), row, grid, above)
        axes.xaxis.set_major_locator(MaxNLocator(max(2, int(wide / 0.42)), steps=[1, 2, 5, 10]))
        found.append(axes)
        start += wide + gap
    for number, name in enumerate(shown):
        bold = bool(strong) and strong[number]
        y = (below + row * (len(names) - number - 0.5)) / height
        figure.text((left - 0.12) / WIDTH, y, name, ha="right", va="center", size=TEXT, linespacing=1.05,
                    color=palette.ink, weight="bold" if bold else "normal")  # fmt: skip
    return figure, found


def _dress(axes: Axes, panel: Panel, palette: Palette, rows: int, row: float, grid: str, tall: bool) -> None:
    plain(axes, palette, grid=grid)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks([])
    many = rows > MANY
    axes.tick_params(top=many, labeltop=many)
    lift = 1 + (0.24 if many or tall else 0.05) / (rows * row)
    axes.text(
        0, lift, panel.title, transform=axes.transAxes, ha="left", va="bottom", size=SMALL, color=palette.soft
    )
