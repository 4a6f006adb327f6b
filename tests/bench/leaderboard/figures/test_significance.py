"""The significance map says what the tests say, square by square."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import PatchCollection

from bench.leaderboard.figures.canvas import Drawing, style
from bench.leaderboard.figures.significance import MOST_NUMBERS, draw_significance
from bench.leaderboard.palette import LIGHT


def draw(p: Any) -> Drawing:
    array = np.array(p, float)
    np.fill_diagonal(array, np.nan)
    names = [f"net{number}" for number in range(len(array))]
    with style():
        return draw_significance(pd.DataFrame(array, index=names, columns=names), "lung", "Dice", LIGHT)


def filled(drawing: Drawing) -> set[tuple[int, int]]:
    """Returns the squares that say better, as (row, column)."""
    assert drawing.figure is not None
    found = [c for c in drawing.figure.axes[0].collections if isinstance(c, PatchCollection)]
    _, better = found
    boxes = [path.get_extents() for path in better.get_paths()]
    return {(round((box.y0 + box.y1) / 2), round((box.x0 + box.x1) / 2)) for box in boxes}


def texts(drawing: Drawing) -> list[str]:
    assert drawing.figure is not None
    return [text.get_text() for text in drawing.figure.axes[0].texts][1:]


def test_filled_is_below_the_level() -> None:
    drawing = draw([[0, 0.049, 0.001], [1, 0, 0.05], [1, 0.00001, 0]])
    assert filled(drawing) == {(0, 1), (0, 2), (2, 1)}
    assert sorted(texts(drawing)) == sorted(["0.049", "0.001", "1.00", "0.05", "1.00", "<1e-4"])
    assert drawing.alt == (
        "net0 is better than net1, net2; net1 is better than none; net2 is better than net1."
    )
    assert "all 6 ordered pairs" in drawing.caption


def test_what_cannot_be_told_is_a_question_mark() -> None:
    drawing = draw([[0, np.nan, 0.01], [np.nan, 0, 1], [1, 1, 0]])
    assert texts(drawing).count("?") == 2
    assert "?: too few patients" in drawing.caption
    assert "all 4 ordered pairs" in drawing.caption


def test_with_too_few_patients_there_is_no_map() -> None:
    drawing = draw(np.full((3, 3), np.nan))
    assert drawing.figure is None
    assert "too few patients" in drawing.why


def test_one_entry_is_better_than_nobody() -> None:
    assert draw([[0]]).why == "there is one entry only"


def test_many_entries_have_squares_without_numbers() -> None:
    p = np.ones((MOST_NUMBERS + 1, MOST_NUMBERS + 1))
    p[0, 1] = 0.01
    drawing = draw(p)
    assert filled(drawing) == {(0, 1)}
    assert texts(drawing) == []
