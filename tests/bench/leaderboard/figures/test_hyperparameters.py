"""Bars of importance: filled only where they are beyond chance."""

from typing import Any

import pytest

from bench.leaderboard.figures.canvas import Drawing, style
from bench.leaderboard.figures.hyperparameters import draw_importance
from bench.leaderboard.importance import Importance
from bench.leaderboard.palette import LIGHT

FIRST = Importance("a + x", ("train.rate", "model.width"), (0.7, 0.3), (0.4, 0.5), 24)
OTHER = Importance("b + x", ("loss.gamma", "train.rate"), (0.9, 0.1), (1.4, 0.3), 30)
FEW = Importance("c + x", n_trials=3, why="3 complete trials; at least 10 are needed")


def draw(*found: Importance, entries: int = 0) -> Drawing:
    with style():
        return draw_importance(found, "lung", LIGHT, entries)


def bars(drawing: Drawing, panel: int) -> dict[int, tuple[float, bool]]:
    """Returns length and whether it is filled, by row."""
    assert drawing.figure is not None
    patches: list[Any] = drawing.figure.axes[panel].patches
    return {round(p.get_y() + p.get_height() / 2): (p.get_width(), p.get_facecolor()[3] > 0) for p in patches}


def test_filled_is_beyond_chance() -> None:
    drawing = draw(FIRST)
    assert bars(drawing, 0) == {0: (0.7, True), 1: (0.3, False)}
    assert drawing.alt == "a + x: train.rate 70%, model.width 30% (not beyond chance)."


def test_panels_have_the_same_rows() -> None:
    drawing = draw(FIRST, OTHER)
    assert drawing.figure is not None
    first, second = drawing.figure.axes
    # Those that matter most in the mean come first.
    assert [label.get_text() for label in first.get_yticklabels()] == ["gamma", "rate", "width"]
    assert bars(drawing, 0) == {1: (0.7, True), 2: (0.3, False)}
    assert bars(drawing, 1) == {0: (0.9, False), 1: (0.1, False)}
    assert [text.get_text() for text in second.texts][1:] == ["not searched"]


def test_a_mark_beyond_the_axis_stays_in_sight() -> None:
    drawing = draw(OTHER)
    assert drawing.figure is not None
    axes = drawing.figure.axes[0]
    assert max(float(line.get_xdata()[0]) for line in axes.lines) <= axes.get_xlim()[1]


def test_names_that_share_their_last_part_are_written_out() -> None:
    drawing = draw(Importance("a", ("model.rate", "train.rate"), (0.6, 0.4), (0.5, 0.5), 20))
    assert drawing.figure is not None
    assert [t.get_text() for t in drawing.figure.axes[0].get_yticklabels()] == ["model.rate", "train.rate"]


def test_what_is_left_out_is_said() -> None:
    caption = draw(FIRST, FEW, entries=30).caption
    assert "Not shown: c + x: 3 complete trials; at least 10 are needed." in caption
    assert "Of 30 entries those of the best that were tuned." in caption


@pytest.mark.parametrize(
    ("found", "why"),
    [((), "nothing was tuned"), ((FEW,), "c + x: 3 complete trials; at least 10 are needed")],
)
def test_nothing_to_show_says_so(found: tuple[Importance, ...], why: str) -> None:
    drawing = draw(*found)
    assert (drawing.figure, drawing.why) == (None, why)
