"""Blobs are as large as the ranks are likely."""

from typing import Any

import numpy as np
import pytest

from bench.leaderboard.figures.canvas import Drawing, style
from bench.leaderboard.figures.stability import draw_stability
from bench.leaderboard.palette import LIGHT
from bench.stats.ranking import RankBootstrap, bootstrap_ranks


def ranking(**changes: Any) -> RankBootstrap:
    known: dict[str, Any] = {
        "entries": ("worst", "best", "middle"),
        "ranks": np.array([3.0, 1.0, 2.0]),
        "low": np.array([2.0, 1.0, 1.0]),
        "high": np.array([3.0, 1.0, 3.0]),
        "probability": np.array([[0.0, 0.2, 0.8], [1.0, 0.0, 0.0], [0.25, 0.5, 0.25]]),
        "tau": np.array([1.0, 1.0, 1 / 3, np.nan]),
        "scores": np.zeros(3),
        "score_low": np.zeros(3),
        "score_high": np.zeros(3),
        "scheme": "mean",
        "patients": 20,
    }
    return RankBootstrap(**{**known, **changes})


def draw(found: RankBootstrap | None, patients: int = 20) -> Drawing:
    with style():
        return draw_stability(found, "lung", "Dice", patients, LIGHT)


def test_area_is_probability() -> None:
    drawing = draw(ranking())
    assert drawing.figure is not None
    blobs = drawing.figure.axes[0].collections[0]
    where = {
        tuple(map(int, place)): size
        for place, size in zip(blobs.get_offsets(), blobs.get_sizes(), strict=True)
    }
    # Rows by rank: best, middle, worst.
    expected = {(1, 0): 1.0, (1, 1): 0.25, (2, 1): 0.5, (3, 1): 0.25, (2, 2): 0.2, (3, 2): 0.8}
    assert where.keys() == expected.keys()
    for place, probability in expected.items():
        assert where[place] / where[1, 0] == pytest.approx(probability)


def test_names_crosses_and_lines_are_in_the_order_of_ranks() -> None:
    drawing = draw(ranking())
    assert drawing.figure is not None
    assert [text.get_text() for text in drawing.figure.texts][1:] == ["best", "middle", "worst"]
    axes = drawing.figure.axes[0]
    assert list(axes.lines[0].get_xdata()) == [1, 2, 3]
    spans = [(segment[0, 0], segment[1, 0]) for segment in axes.collections[1].get_segments()]
    assert spans == [(1, 1), (1, 3), (2, 3)]
    assert drawing.alt == (
        "best: rank 1, 95% interval 1 to 1; middle: rank 2, 95% interval 1 to 3; worst: rank 3, 95% interval 2 to 3."
    )


def test_the_caption_has_tau_without_rankings_that_tie_all() -> None:
    caption = draw(ranking()).caption
    assert "in 4 bootstrap samples" in caption
    assert "median 1.00" in caption
    assert "nan" not in caption
    nothing = draw(ranking(tau=np.full(4, np.nan)))
    assert "Kendall" not in nothing.caption


@pytest.mark.parametrize(
    ("found", "patients", "why"),
    [
        (None, 5, "5 patients; at least 6 are needed to draw again from"),
        (ranking(), 2, "2 patients; at least 6 are needed to draw again from"),
        (None, 20, "there is one entry only"),
    ],
)
def test_too_little_says_so(found: RankBootstrap | None, patients: int, why: str) -> None:
    drawing = draw(found, patients)
    assert (drawing.figure, drawing.why) == (None, why)


def test_blobs_of_forty_entries_stay_within_their_rows(table: Any) -> None:
    values = table(np.random.default_rng(0).random((40, 20)))
    drawing = draw(bootstrap_ranks(values, 1, "mean", 3, np.random.default_rng(0), 200))
    assert drawing.figure is not None
    axes = drawing.figure.axes[0]
    rows = 72 * drawing.figure.get_size_inches()[1] * axes.get_position().height / 40
    assert np.sqrt(axes.collections[0].get_sizes().max()) < 1.2 * rows
