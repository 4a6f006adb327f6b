"""Learning curves: nothing made smoother, longer or more complete than it was."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.leaderboard.figures.canvas import Drawing, style
from bench.leaderboard.figures.curves import COLUMNS, MOST_POINTS, draw_curves
from bench.leaderboard.palette import LIGHT


def run(entry: str, scores: Any, seed: int = 0, best: int = 1, status: str = "complete") -> pd.DataFrame:
    scores = np.asarray(scores, float)
    known = {"entry": entry, "fold": 0, "seed": seed, "epoch": np.arange(1, len(scores) + 1), "score": scores}
    return pd.DataFrame({**known, "best_epoch": best, "status": status})[list(COLUMNS)]


def draw(*runs: pd.DataFrame, order: tuple[str, ...] = ("a", "b")) -> Drawing:
    with style():
        return draw_curves(pd.concat(runs), order, "lung", "Dice", LIGHT)


def lines(drawing: Drawing, panel: int, width: float) -> list[Any]:
    assert drawing.figure is not None
    return [
        line
        for line in drawing.figure.axes[panel].lines
        if line.get_linewidth() == width and len(line.get_xdata()) > 1
    ]


def marks(drawing: Drawing, panel: int, marker: str) -> list[tuple[float, float]]:
    assert drawing.figure is not None
    found = [line for line in drawing.figure.axes[panel].lines if line.get_marker() == marker]
    return [(float(np.ravel(m.get_xdata())[0]), float(np.ravel(m.get_ydata())[0])) for m in found]


def test_each_training_is_a_line_and_its_kept_epoch_a_dot() -> None:
    drawing = draw(run("a", [0.1, 0.5, 0.4], best=2), run("a", [0.2, 0.3, 0.6], seed=1, best=3))
    thin = lines(drawing, 0, 0.7)
    assert [list(line.get_ydata()) for line in thin] == [[0.1, 0.5, 0.4], [0.2, 0.3, 0.6]]
    assert marks(drawing, 0, "o") == [(2, 0.5), (3, 0.6)]


def test_the_mean_ends_where_the_first_training_ends() -> None:
    drawing = draw(run("a", [0.1, 0.5, 0.9]), run("a", [0.3, 0.7], seed=1))
    (mean,) = lines(drawing, 0, 1.5)
    np.testing.assert_allclose(mean.get_ydata(), [0.2, 0.6])


def test_of_a_single_training_there_is_no_mean() -> None:
    assert lines(draw(run("a", [0.1, 0.2])), 0, 1.5) == []


def test_the_first_entry_is_there_for_comparison() -> None:
    drawing = draw(run("b", [0.1, 0.2]), run("a", [0.5, 0.6]))
    assert lines(drawing, 0, 1.5) == []
    (other,) = lines(drawing, 1, 1.5)
    assert (list(other.get_ydata()), other.get_color()) == ([0.5, 0.6], LIGHT.muted)
    assert "Dashed grey, for comparison: mean of a." in drawing.caption


def test_a_training_that_did_not_complete_ends_with_a_cross() -> None:
    drawing = draw(run("a", [0.1, 0.2]), run("b", [0.1, 0.0], status="diverged"))
    assert marks(drawing, 0, "x") == []
    assert marks(drawing, 1, "x") == [(2, 0.0)]
    assert "Cross: a training that did not complete" in drawing.caption


def test_all_panels_have_the_same_scales() -> None:
    drawing = draw(run("a", [0.1, 0.9]), run("b", [0.4, 0.5, 0.6]))
    assert drawing.figure is not None
    first, second = drawing.figure.axes
    assert first.get_ylim() == second.get_ylim()
    assert first.get_xlim() == second.get_xlim()


def test_epochs_without_validation_are_left_out() -> None:
    (thin,) = lines(draw(run("a", [0.1, np.nan, 0.3])), 0, 0.7)
    assert list(thin.get_xdata()) == [1, 3]


def test_long_curves_are_thinned_and_keep_their_end() -> None:
    (thin,) = lines(draw(run("a", np.linspace(0, 1, 1001))), 0, 0.7)
    assert len(thin.get_xdata()) <= MOST_POINTS + 1
    assert thin.get_xdata()[-1] == 1001


@pytest.mark.parametrize("scores", [[0.5], [np.nan, np.nan], []])
def test_without_two_epochs_there_is_no_figure(scores: Any) -> None:
    drawing = draw(run("a", scores))
    assert (drawing.figure, drawing.why) == (None, "no training has validation scores of two epochs")


def test_entries_without_curves_are_counted() -> None:
    assert "Without curves: 1 of the entries." in draw(run("a", [0.1, 0.2])).caption
