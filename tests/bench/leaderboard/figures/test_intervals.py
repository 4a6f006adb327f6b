"""The forest of means and differences: lines are the intervals, and none where there is none."""

import math
from itertools import pairwise
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bench.leaderboard.figures.canvas import Drawing, style
from bench.leaderboard.figures.intervals import draw_intervals
from bench.leaderboard.palette import LIGHT
from bench.leaderboard.table import Estimate


def draw(board: Any) -> Drawing:
    with style():
        return draw_intervals(board, LIGHT)


def spans(drawing: Drawing, panel: int) -> list[float]:
    """Returns the ends of the lines along x, line by line."""
    assert drawing.figure is not None
    found = []
    for line in drawing.figure.axes[panel].lines:
        x, y = list(line.get_xdata()), list(line.get_ydata())
        if len(x) == 2 and y[0] == y[1]:
            found += [float(x[0]), float(x[1])]
    return found


@pytest.fixture
def three(row: Any, board: Any) -> Any:
    return board(
        [row("a + x", 0.9, "best"), row("b + x", 0.89, "tied", mdd=0.03), row("c + x", 0.7, mdd=0.02)]
    )


def test_lines_are_the_intervals(three: Any) -> None:
    drawing = draw(three)
    assert spans(drawing, 0) == pytest.approx([0.88, 0.91, 0.87, 0.90, 0.68, 0.71])
    # The best minus itself is not a finding.
    assert spans(drawing, 1) == pytest.approx([-0.03, 0.0, -0.22, -0.19])


def test_without_interval_there_is_no_line(row: Any, board: Any) -> None:
    alone = Estimate(0.9)
    drawing = draw(board([row("a + x", 0.9, "best", metrics={"dice": alone})]))
    assert spans(drawing, 0) == []
    assert "Without a line: too few patients for an interval." in drawing.caption


def test_bands_are_as_wide_as_what_cannot_be_seen(three: Any) -> None:
    drawing = draw(three)
    assert drawing.figure is not None
    bars = drawing.figure.axes[1].patches
    assert [(bar.get_x(), bar.get_width()) for bar in bars] == [
        pytest.approx((-0.03, 0.06)),
        pytest.approx((-0.02, 0.04)),
    ]
    assert "Grey band" in drawing.caption


def test_who_is_not_separable_from_the_best_is_bold_and_filled(three: Any) -> None:
    drawing = draw(three)
    assert drawing.figure is not None
    weight = {text.get_text(): text.get_weight() for text in drawing.figure.texts}
    assert [weight[name] for name in ("a + x", "b + x", "c + x")] == ["bold", "bold", "normal"]
    marks = [line for line in drawing.figure.axes[0].lines if line.get_marker() in "os^D"]
    assert [line.get_marker() for line in marks] == ["o", "o", "s"]
    assert [line.get_markerfacecolor() for line in marks] == [LIGHT.accent, LIGHT.accent, LIGHT.paper]


def test_too_few_patients_look_like_no_finding(row: Any, board: Any) -> None:
    drawing = draw(
        board(
            [row("a + x", 0.9, "best", tier=0), row("b + x", 0.5, "cannot tell", p=math.nan, tier=0)],
            n_patients=3,
        )
    )
    assert drawing.figure is not None
    marks = [line.get_marker() for line in drawing.figure.axes[0].lines if line.get_marker() in "os^D"]
    assert marks == ["o", "D"]
    assert "Open diamond: too few patients for any test." in drawing.caption
    assert "worse" not in drawing.caption
    assert ", p " not in drawing.alt


def test_the_numbers_stand_beside_it(three: Any) -> None:
    drawing = draw(three)
    assert drawing.figure is not None
    assert "0.890 [0.870, 0.900]" in {text.get_text() for text in drawing.figure.texts}
    assert "b + x 0.890 [0.870, 0.900], to the best -0.010 [-0.030, 0.000], p 0.01, tied" in drawing.alt


def test_the_interval_over_trainings_is_a_thin_line(row: Any, board: Any) -> None:
    retrained = row("b + x", 0.8, trained=Estimate(-0.1, -0.3, 0.1))
    drawing = draw(board([row("a + x", 0.9, "best"), retrained]))
    assert spans(drawing, 1) == pytest.approx([-0.12, -0.09, -0.3, 0.1])
    assert drawing.figure is not None
    patients, trainings = [line for line in drawing.figure.axes[1].lines if len(list(line.get_xdata())) == 2][
        -2:
    ]
    assert sorted([patients.get_linewidth(), trainings.get_linewidth()]) == [0.7, 1.6]
    assert "Thin line: its interval over patients and trainings" in drawing.caption
    assert "(over trainings, too: -0.300 to +0.100)" in drawing.alt


def test_where_no_difference_could_be_seen_there_is_no_band(row: Any, board: Any) -> None:
    drawing = draw(board([row("a + x", 0.9, "best"), row("b + x", 0.5, "cannot tell", mdd=math.inf)]))
    assert drawing.figure is not None
    assert len(drawing.figure.axes[1].patches) == 0
    assert "Grey band" not in drawing.caption
    drawing.figure.canvas.draw()


def test_an_entry_without_mean_keeps_its_row(row: Any, board: Any) -> None:
    nothing = row("b + x", 0.5, metrics={"dice": Estimate(math.nan)}, difference=Estimate(math.nan))
    drawing = draw(board([row("a + x", 0.9, "best"), nothing]))
    assert spans(drawing, 0) == pytest.approx([0.88, 0.91])
    assert drawing.alt.endswith("b + x –.")


def test_forty_names_fit_above_each_other(row: Any, board: Any) -> None:
    rows = [row(f"a network of a rather long name {number} + generalized_dice_focal", 0.9 - 0.01 * number)
            for number in range(40)]  # fmt: skip
    drawing = draw(board(rows))
    assert drawing.figure is not None
    renderer = FigureCanvasAgg(drawing.figure).get_renderer()
    names = [
        text.get_window_extent(renderer) for text in drawing.figure.texts if "network" in text.get_text()
    ]
    assert len(names) == 40
    for above, below in pairwise(names):
        assert above.y0 >= below.y1 - 1
    left = drawing.figure.axes[0].get_window_extent(renderer).x0
    assert all(box.x0 >= 0 and box.x1 <= left for box in names)
