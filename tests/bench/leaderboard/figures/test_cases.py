"""Raw values: every patient is there, where it belongs."""

from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.patches import PathPatch

from bench.leaderboard.facts import metric_facts
from bench.leaderboard.figures.canvas import Drawing, style
from bench.leaderboard.figures.cases import MOST_LINES, draw_cases
from bench.leaderboard.palette import LIGHT

DICE = metric_facts("dice", "")


def draw(values: Any) -> Drawing:
    with style():
        return draw_cases(values, DICE, "lung", LIGHT)


def dots(drawing: Drawing) -> list[np.ndarray[Any, Any]]:
    """Returns the points of each row."""
    assert drawing.figure is not None
    patches = [patch for patch in drawing.figure.axes[0].patches if isinstance(patch, PathPatch)]
    return [np.asarray(patch.get_path().vertices)[::2] for patch in patches]


def lines(drawing: Drawing) -> list[Any]:
    assert drawing.figure is not None
    found = [c for c in drawing.figure.axes[0].collections if isinstance(c, LineCollection)]
    return [one for c in found if c.get_linewidths()[0] < 1 for one in c.get_segments()]


def test_each_patient_is_a_dot_in_each_row(table: Any) -> None:
    values = table(np.random.default_rng(0).random((2, 7)))
    found = dots(draw(values))
    for number, points in enumerate(found):
        np.testing.assert_allclose(points[:, 0], values.iloc[number])
        assert (abs(points[:, 1] - number) <= 0.25).all()


def test_a_patient_keeps_its_place_so_that_its_line_is_straight_where_nothing_changes(table: Any) -> None:
    first, second = dots(draw(table(np.full((2, 9), 0.5))))
    np.testing.assert_allclose(second[:, 1] - first[:, 1], 1)
    assert len(set(first[:, 1])) == 9, "equal values must be seen side by side"


def test_what_has_no_value_has_no_dot(table: Any) -> None:
    found = dots(draw(table([[0.1, np.nan, 0.3], [0.2, 0.4, np.nan]])))
    assert [sorted(points[:, 0]) for points in found] == [[0.1, 0.3], [0.2, 0.4]]


def test_lines_join_the_same_patient(table: Any) -> None:
    values = table(np.arange(15).reshape(3, 5) / 20)
    segments = lines(draw(values))
    assert len(segments) == 5
    for patient, segment in enumerate(segments):
        np.testing.assert_allclose(segment[:, 0], values.iloc[:, patient])


def test_too_many_lines_are_left_out_and_the_caption_says_so(table: Any) -> None:
    drawing = draw(table(np.random.default_rng(0).random((3, MOST_LINES // 2 + 1))))
    assert lines(drawing) == []
    assert "left out: there would be too many" in drawing.caption
    assert "line joins" not in drawing.caption


def test_mean_and_median_stand_where_they_are(table: Any) -> None:
    drawing = draw(table([[0.1, 0.2, 0.9], [0.5, np.nan, 0.7]]))
    assert drawing.figure is not None
    axes = drawing.figure.axes[0]
    (means,) = [c for c in axes.collections if isinstance(c, LineCollection) and c.get_linewidths()[0] > 1]
    np.testing.assert_allclose([segment[0, 0] for segment in means.get_segments()], [0.4, 0.6])
    np.testing.assert_allclose(axes.lines[-1].get_xdata(), [0.2, 0.6])
    assert "net0 + dice: 3 patients, mean 0.400, median 0.200, from 0.100 to 0.900" in drawing.alt
    assert "net1 + dice: 2 patients" in drawing.alt


def test_without_any_value_there_is_no_figure(table: Any) -> None:
    drawing = draw(table(np.full((2, 3), np.nan)))
    assert drawing.figure is None
    assert drawing.why == "no entry has a value of any patient"


def test_an_entry_without_values_says_so(table: Any) -> None:
    assert "net1 + dice: no value" in draw(table([[0.1, 0.2], [np.nan, np.nan]])).alt


@pytest.mark.parametrize(("entries", "patients"), [(1, 1), (2, 5), (40, 5), (2, 700)])
def test_all_sizes_are_drawn(table: Any, entries: int, patients: int) -> None:
    drawing = draw(table(np.random.default_rng(0).random((entries, patients))))
    assert len(dots(drawing)) == entries
