"""The critical difference diagram: bars over exactly those that Nemenyi's test does not separate."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.leaderboard.figures.canvas import Drawing, style
from bench.leaderboard.figures.critical_difference import MOST_ON_RULER, draw_critical_difference
from bench.leaderboard.palette import LIGHT
from bench.stats.friedman import cliques, friedman

# Demsar 2006, table 6: AUC of C4.5 with four ways of pruning on 14 data sets.
DEMSAR = {
    "C4.5": [.763, .599, .954, .628, .882, .936, .661, .583, .775, 1.0, .940, .619, .972, .957],
    "C4.5+m": [.768, .591, .971, .661, .888, .931, .668, .583, .838, 1.0, .962, .666, .981, .978],
    "C4.5+cf": [.771, .590, .968, .654, .886, .916, .609, .563, .866, 1.0, .965, .614, .9751, .946],
    "C4.5+m+cf": [.798, .569, .967, .657, .898, .931, .685, .625, .875, 1.0, .962, .669, .975, .970],
}  # fmt: skip


def demsar() -> pd.DataFrame:
    values = pd.DataFrame(DEMSAR).T
    return values.rename_axis(index="entry", columns="task")


def draw(values: pd.DataFrame, unit: str = "task", alpha: float = 0.05) -> Drawing:
    with style():
        return draw_critical_difference(friedman(values, 1, alpha), "all tasks", unit, "AUC", LIGHT)


def bars(drawing: Drawing) -> list[tuple[float, float]]:
    """Returns the ends of the horizontal bars in inches."""
    assert drawing.figure is not None
    thick = [line for line in drawing.figure.axes[0].lines if line.get_linewidth() > 3]
    return [tuple(map(float, line.get_xdata())) for line in thick]  # type: ignore[misc]


def test_demsars_figure_1() -> None:
    """It is drawn at 10%; at 5% one bar lies over all four."""
    drawing = draw(demsar(), alpha=0.1)
    assert "C4.5+m+cf 1.96; C4.5+m 2.00; C4.5+cf 2.89; C4.5 3.14" in drawing.alt
    assert "Critical difference 1.12" in drawing.alt
    assert "Not separated: C4.5+m+cf, C4.5+m, C4.5+cf; C4.5+cf, C4.5." in drawing.alt
    assert f"F {friedman(demsar(), 1).f:.2f}, p 0.014" in drawing.caption
    assert drawing.title.endswith("over 14 tasks")
    assert "Not separated: C4.5+m+cf, C4.5+m, C4.5+cf, C4.5." in draw(demsar()).alt


def test_bars_span_the_marks_of_their_entries() -> None:
    values = demsar()
    drawing, found = draw(values, alpha=0.1), friedman(values, 1, 0.1)
    assert drawing.figure is not None
    marks = sorted(
        {float(line.get_xdata()[0]) for line in drawing.figure.axes[0].lines if line.get_marker() == "o"}
    )
    place = dict(zip(found.mean_ranks.index, marks, strict=True))
    expected = [
        (place[group[0]], place[group[-1]]) for group in cliques(found.mean_ranks, found.critical_difference)
    ]
    assert len(expected) == 2
    for drawn, (start, end) in zip(bars(drawing), expected, strict=True):
        assert drawn == pytest.approx((start - 0.04, end + 0.04))
    # Ranks are to scale.
    ranks = found.mean_ranks.to_numpy()
    assert (marks[1] - marks[0]) / (marks[3] - marks[0]) == pytest.approx(
        (ranks[1] - ranks[0]) / (ranks[3] - ranks[0])
    )


def test_where_friedman_does_not_reject_one_bar_lies_over_all(table: Any) -> None:
    values = table(np.random.default_rng(1).random((4, 10)))
    assert friedman(values, 1).f_p > 0.05
    drawing = draw(values, "patient")
    assert len(bars(drawing)) == 1
    assert "not shown to differ at all" in drawing.caption
    assert "ritical difference" not in drawing.alt
    assert drawing.figure is not None
    assert not any("critical" in text.get_text() for text in drawing.figure.axes[0].texts)


def test_many_entries_have_a_row_each(table: Any) -> None:
    number = MOST_ON_RULER + 1
    values = table(np.linspace(1, 0, number)[:, None] + 0.2 * np.random.default_rng(0).random((number, 12)))
    drawing, found = draw(values, "patient"), friedman(values, 1)
    assert drawing.figure is not None
    means, spans = drawing.figure.axes
    at = [line.get_xdata()[0] for line in means.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(at, found.mean_ranks)
    groups = cliques(found.mean_ranks, found.critical_difference)
    names = list(found.mean_ranks.index)
    drawn = sorted((float(s[0, 1]), float(s[1, 1])) for c in spans.collections for s in c.get_segments())
    assert drawn == sorted((names.index(g[0]) - 0.25, names.index(g[-1]) + 0.25) for g in groups)
    # Bars that overlap lie beside each other.
    where = [(float(s[0, 0]), s[0, 1], s[1, 1]) for c in spans.collections for s in c.get_segments()]
    for place, (x, start, end) in enumerate(where):
        assert not any(x == u and start < stop and begin < end for u, begin, stop in where[:place])


@pytest.mark.parametrize(
    ("entries", "units", "why"),
    [(2, 20, "2 entries; at least 3 are needed"), (3, 1, "cannot give a p-value below 0.05, whatever the ranks"),
     (3, 2, "cannot give a p-value below 0.05")],
)  # fmt: skip
def test_too_little_says_so(table: Any, entries: int, units: int, why: str) -> None:
    drawing = draw(table(np.random.default_rng(0).random((entries, units))), "patient")
    assert drawing.figure is None
    assert why in drawing.why


def test_nothing_ranked() -> None:
    assert draw_critical_difference(None, "all tasks", "task", "Dice", LIGHT).why == "nothing was ranked"


def test_units_left_out_are_counted(table: Any) -> None:
    array = np.linspace(1, 0, 3)[:, None] + 0.01 * np.random.default_rng(0).random((3, 10))
    array[0, 4] = np.nan
    assert "Left out for a missing value: 1 patient." in draw(table(array), "patient").caption
