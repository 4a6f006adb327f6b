"""Paper, pencils and ruler: what all figures are drawn with. Measures are in inches, sizes of text in points.

Only `matplotlib.figure.Figure` is used, never pyplot: no window, no global state.
"""

import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.typing import RcKeyType

from bench.leaderboard.palette import Palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 7.2
"""Of every figure: the text width of a page."""
TEXT = 9.0
SMALL = 8.0
TITLE_ROOM = 0.32
MOST_NAME = 3.0
"""Names of entries are broken where they are wider."""
POINT = 1 / 72

FAMILY = ["DejaVu Sans"]
"""Shipped with matplotlib: the same everywhere."""

STYLE: dict[RcKeyType, Any] = {
    "font.family": FAMILY,
    "font.size": TEXT,
    "text.parse_math": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "lines.solid_capstyle": "round",
    "path.simplify": False,
}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure with its words, or why there is none.

    Args:
        name: Of the figure, e.g. ``intervals``.
        of: Task that it is of, or ``all tasks``.
        title: What it shows, one line.
        caption: How to read it.
        alt: What stands in it, for those who do not see it.
        figure: The figure; none where the data are too few.
        why: Why there is none.
    """

    name: str
    of: str
    title: str
    caption: str = ""
    alt: str = ""
    figure: Figure | None = None
    why: str = ""


@contextmanager
def style() -> Iterator[None]:
    """Within it figures are drawn and saved in our style; what was set before comes back."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # Of a letter that the font lacks a box is drawn; in a page the reader's own font has it.
        warnings.filterwarnings("ignore", message="Glyph ", category=UserWarning)
        yield


@cache
def _renderer() -> RendererAgg:
    return RendererAgg(1, 1, 72)  # type: ignore[no-untyped-call]


def text_width(text: str, size: float = TEXT, weight: str = "normal") -> float:
    """Returns the width of text in inches; of several lines, that of the widest."""
    font = FontProperties(family=FAMILY, size=size, weight=weight)
    measure = _renderer().get_text_width_height_descent
    widths = [
        float(measure(line, font, ismath=False)[0])  # type: ignore[no-untyped-call]
        for line in text.split("\n")
    ]
    return max(widths) * POINT


def wrap_name(name: str, most: float = MOST_NAME, size: float = TEXT) -> str:
    """Breaks a name that is wider than `most`, first before a plus."""
    if text_width(name, size) <= most:
        return name
    first, plus, rest = name.partition(" + ")
    parts = [first, f"+ {rest}"] if plus else [name]
    return "\n".join(line for part in parts for line in _broken(part, most, size))


def _broken(text: str, most: float, size: float) -> list[str]:
    characters = max(8, int(len(text) * most / max(text_width(text, size), 1e-9)))
    return textwrap.wrap(text, characters, break_on_hyphens=True) or [text]


def blank(height: float, palette: Palette, title: str, width: float = WIDTH) -> Figure:
    """Returns an empty figure with a title above, at its left."""
    figure = Figure(figsize=(width, height), facecolor=palette.paper, dpi=100)
    place = 1 - 0.06 / height
    figure.text(
        0.06 / width, place, title, ha="left", va="top", size=TEXT + 1, weight="bold", color=palette.ink
    )
    return figure


def place(figure: Figure, left: float, bottom: float, width: float, height: float) -> "Axes":
    """Returns axes at a place in inches from the lower left corner."""
    wide, high = figure.get_size_inches()
    return figure.add_axes((left / wide, bottom / high, width / wide, height / high), facecolor="none")


def size_of(axes: "Axes") -> tuple[float, float]:
    """Returns the width and the height of axes in inches."""
    box = axes.get_position()
    figure = axes.get_figure(root=True)
    assert figure is not None
    wide, high = figure.get_size_inches()
    return float(box.width * wide), float(box.height * high)


def plain(axes: "Axes", palette: Palette, *, sides: Sequence[str] = ("bottom",), grid: str = "x") -> None:
    """Leaves of the axes what carries numbers: thin ticks on some sides, a faint grid."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in sides)
        spine.set_color(palette.muted)
        spine.set_linewidth(0.6)
    axes.tick_params(length=2.5, width=0.6, color=palette.muted, labelcolor=palette.soft, labelsize=SMALL)
    axes.tick_params(left="left" in sides, labelleft="left" in sides)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=palette.faint, linewidth=0.6)  # type: ignore[arg-type]
