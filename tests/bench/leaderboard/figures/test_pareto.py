"""Who is on the front, and what is not drawn because it would not be comparable."""

import math
from typing import Any

import numpy as np
import pytest

from bench.leaderboard.figures.canvas import Drawing, style
from bench.leaderboard.figures.labels import put_labels
from bench.leaderboard.figures.pareto import draw_pareto, front
from bench.leaderboard.palette import LIGHT
from bench.leaderboard.table import Cost, Estimate


def draw(board: Any) -> Drawing:
    with style():
        return draw_pareto(board, LIGHT)


def headings(drawing: Drawing) -> list[str]:
    assert drawing.figure is not None
    return [axes.texts[0].get_text() if axes.texts else "" for axes in drawing.figure.axes]


def points(drawing: Drawing, panel: int, inside: str) -> list[tuple[float, float]]:
    """Returns the points that are filled with a colour."""
    assert drawing.figure is not None
    lines = [line for line in drawing.figure.axes[panel].lines if line.get_marker() == "o"]
    (line,) = [line for line in lines if line.get_markerfacecolor() == inside]
    return list(zip(map(float, line.get_xdata()), map(float, line.get_ydata()), strict=True))


def test_front_by_hand() -> None:
    cost = np.array([1.0, 2.0, 3.0, 2.0, 4.0, np.nan])
    quality = np.array([0.5, 0.7, 0.6, 0.7, 0.9, 1.0])
    # Equal ones are both on it; what is dearer and worse is not; an unknown cost neither is nor beats anyone.
    assert front(cost, quality).tolist() == [True, True, False, True, True, False]


@pytest.mark.parametrize("seed", range(5))
def test_nobody_on_the_front_is_beaten_and_everybody_else_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, quality = rng.integers(1, 8, 30).astype(float), rng.integers(1, 8, 30).astype(float)
    for place, leads in enumerate(front(cost, quality)):
        beaten = any(
            c <= cost[place] and q >= quality[place] and (c, q) != (cost[place], quality[place])
            for c, q in zip(cost, quality, strict=True)
        )
        assert leads != beaten


@pytest.fixture
def rows(row: Any) -> list[Any]:
    costs = [Cost(parameters=9_000_000, gmacs=3.0, gpu_hours=2.0, case_s=0.5, devices=("A",)),
             Cost(parameters=1_000_000, gmacs=5.0, gpu_hours=1.0, case_s=math.nan, devices=("A",)),
             Cost(parameters=None, gmacs=1.0, gpu_hours=3.0, case_s=0.1, devices=("A",))]  # fmt: skip
    return [row(f"net{i} + x", mean, "worse", cost=cost)
            for i, (mean, cost) in enumerate(zip((0.9, 0.8, 0.7), costs, strict=True))]  # fmt: skip


def test_a_panel_per_known_cost(rows: list[Any], board: Any) -> None:
    drawing = draw(board(rows))
    assert points(drawing, 0, LIGHT.accent) == [(9e6, 0.9), (1e6, 0.8)]
    assert points(drawing, 0, LIGHT.paper) == []
    assert points(drawing, 1, LIGHT.accent) == [(3.0, 0.9), (1.0, 0.7)]
    assert points(drawing, 1, LIGHT.paper) == [(5.0, 0.8)]
    assert (
        "By parameters on the front: net0 + x, net1 + x; By GMACs of an image on the front: net0"
        in drawing.alt
    )
    assert drawing.figure is not None
    assert len(drawing.figure.axes) == 4


def test_times_on_unlike_devices_are_left_out(rows: list[Any], row: Any, board: Any) -> None:
    other = row("net3 + x", 0.6, cost=Cost(parameters=5, gpu_hours=9.0, devices=("B",)))
    drawing = draw(board([*rows, other]))
    assert drawing.figure is not None
    assert len(drawing.figure.axes) == 2
    assert "Times are left out: they were measured on unlike devices (A, B)." in drawing.caption


def test_where_lower_is_better_the_axis_is_turned_over(row: Any, board: Any) -> None:
    known = [(3.0, 10), (4.0, 20), (9.0, 5)]
    rows = [
        row(f"net{i}", 0.5, metrics={"hd95": Estimate(mean, mean - 1, mean + 1)}, cost=Cost(parameters=size))
        for i, (mean, size) in enumerate(known)
    ]
    drawing = draw(board(rows, metric="hd95", unit="mm"))
    assert drawing.figure is not None
    assert drawing.figure.axes[0].yaxis_inverted()
    assert points(drawing, 0, LIGHT.accent) == [(10.0, 3.0), (5.0, 9.0)]
    assert "lower (the axis is turned over) is better" in drawing.caption


def test_without_costs_there_is_no_figure(row: Any, board: Any) -> None:
    drawing = draw(board([row("a + x", 0.9, cost=Cost(parameters=5)), row("b + x", 0.8)]))
    assert (drawing.figure, drawing.why) == (None, "no two entries have known costs that differ")


def test_costs_that_are_the_same_tell_nothing(row: Any, board: Any) -> None:
    rows = [row(f"net{i} + x", 0.9, cost=Cost(parameters=7, gmacs=1.0 + i)) for i in range(3)]
    drawing = draw(board(rows))
    assert drawing.figure is not None
    assert len(drawing.figure.axes) == 1


def test_a_cost_of_nothing_is_not_known(row: Any, board: Any) -> None:
    """A logarithmic axis has no place for it."""
    rows = [row(f"net{i} + x", 0.9, cost=Cost(parameters=size)) for i, size in enumerate((0, 10, 100_000))]
    assert points(draw(board(rows)), 0, LIGHT.accent) == [(10.0, 0.9)]


def test_names_stand_behind_numbers(rows: list[Any], board: Any) -> None:
    drawing = draw(board(rows))
    assert drawing.figure is not None
    texts = {text.get_text(): text.get_weight() for text in drawing.figure.texts}
    assert {"1", "2", "3", "net0 + x", "net1 + x", "net2 + x"} <= texts.keys()
    labels = {text.get_text() for text in drawing.figure.axes[0].texts}
    assert {"1", "2"} <= labels
    assert "3" not in labels


def test_labels_of_distant_points_hide_nothing(rows: list[Any], board: Any) -> None:
    drawing = draw(board(rows))
    assert drawing.figure is not None
    axes = drawing.figure.axes[0]
    before = len(axes.texts)
    axes.set_xscale("linear")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    spots = np.array([[0.5, 0.5], [0.53, 0.5], [0.5, 0.54]])
    put_labels(axes, spots, ["11", "22", "33"], ["#000000"] * 3, ["normal"] * 3)
    boxes = [text.get_window_extent() for text in axes.texts[before:]]
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])
        for spot in axes.transData.transform(spots):
            assert not box.contains(*spot)
