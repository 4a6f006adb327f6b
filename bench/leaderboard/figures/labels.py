"""Short labels beside points, placed so that they hide neither points nor each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from bench.leaderboard.figures.canvas import SMALL, text_width

Floats = NDArray[np.float64]

DISTANCE = 5.5
"""Of a label's middle line from its point, in points, beside half its width."""
AROUND = [
    (1, 0.6),
    (1, -0.6),
    (-1, 0.6),
    (-1, -0.6),
    (0, 1.5),
    (0, -1.5),
    (1, 1.6),
    (-1, 1.6),
    (1, -1.6),
    (-1, -1.6),
]


def put_labels(
    axes: Axes, points: Floats, texts: Sequence[str], colours: Sequence[str], weights: Sequence[str]
) -> None:
    """Writes a label beside each point; call it when the limits of the axes stand.

    Args:
        axes: Axes.
        points: Data coordinates (n, 2).
        texts: A label each; those that come first choose first.
        colours: Of the labels.
        weights: ``normal`` or ``bold``.
    """
    size = SMALL - 1
    # In points, whatever the resolution.
    figure = axes.get_figure(root=True)
    assert figure is not None
    where = axes.transData.transform(points) * 72 / figure.dpi
    half_high = 0.5 * size
    taken: list[tuple[float, float, float]] = [(x, y, 2.5) for x, y in where]
    for (x, y), point, text, colour, weight in zip(where, points, texts, colours, weights, strict=True):
        half = 36 * text_width(text, size, weight)
        spots = [(dx * (DISTANCE - 1 + half), dy * DISTANCE) for dx, dy in AROUND]
        crowd = [
            sum(
                max(0.0, half + r - abs(x + dx - u)) * max(0.0, half_high + r - abs(y + dy - v))
                for u, v, r in taken
            )
            for dx, dy in spots
        ]
        dx, dy = spots[int(np.argmin(crowd))]
        taken += [(x + dx - half / 2, y + dy, half / 2), (x + dx + half / 2, y + dy, half / 2)]
        axes.annotate(text, tuple(point), (dx, dy), textcoords="offset points", ha="center", va="center",
                      size=size, color=colour, weight=weight, zorder=6)  # fmt: skip
