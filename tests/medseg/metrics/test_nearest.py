"""Distances against all pairs, near and far, within a limit, for more labels than one pass serves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from medseg.metrics import nearest as module
from medseg.metrics.grid import make_grid
from medseg.metrics.nearest import LABELS_AT_ONCE, nearest
from medseg.metrics.points import Points

SPACINGS = [(1.0, 1.0), (0.3, 4.0), (1.0, 1.0, 1.0), (10.0, 1.5625, 1.5625), (0.7, 0.7, 5.0)]


def points(rng, grid, shape, labels, most):
    """A few random points per label within the crop, in no order."""
    parts = []
    for label in range(labels + 1):
        count = rng.integers(1, most + 1) if label else 0
        index = rng.choice(int(np.prod(shape)), size=count, replace=False)
        inner = [i + m for i, m in zip(np.unravel_index(index, shape), grid.margin, strict=True)]
        parts.append(np.ravel_multi_index(inner, grid.shape))
    starts = np.concatenate(([0], np.cumsum([len(part) for part in parts])))
    return Points(np.concatenate(parts).astype(np.intp), starts)


@pytest.fixture(params=["rings", "tree"])
def way(request, monkeypatch):
    """Few pairs are brute force; without that, rings and the tree answer."""
    monkeypatch.setattr(module, "_FEW_PAIRS", 0)
    monkeypatch.setattr(module, "_LOOKS", 10**6 if request.param == "rings" else 0)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("labels", [1, LABELS_AT_ONCE + 3])
@pytest.mark.parametrize("some", [0, 4096])
@pytest.mark.parametrize("size", [4, 25])
@pytest.mark.usefixtures("way")
def test_every_point_has_its_nearest_goal(spacing, labels, some, size, monkeypatch):
    monkeypatch.setattr(module, "_SOME_POINTS", some)
    rng = np.random.default_rng(0)
    shape = (size,) * len(spacing)
    grid = make_grid(tuple(slice(0, side) for side in shape), spacing)
    start, goal = points(rng, grid, shape, labels, 9), points(rng, grid, shape, labels, 5)
    found = nearest(start, goal, grid)
    for label in range(1, labels + 1):
        pairs = cdist(grid.coordinates(start.of(label)), grid.coordinates(goal.of(label)))
        np.testing.assert_allclose(found[start.part(label)], pairs.min(axis=1), rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SPACINGS), st.sampled_from([0.0, 0.7, 1.0, 3.0, 5.5, 40.0]))
def test_what_is_beyond_a_limit_is_infinitely_far(seed, spacing, limit):
    rng = np.random.default_rng(seed)
    shape = (rng.integers(1, 15),) * len(spacing)
    grid = make_grid(tuple(slice(0, int(side)) for side in shape), spacing)
    most = int(min(20, np.prod(shape)))
    start, goal = points(rng, grid, shape, 2, most), points(rng, grid, shape, 2, most)
    # Another label's limit must not matter.
    within = np.array([0.0, limit, limit * 2])
    found = nearest(start, goal, grid, within)
    for label in (1, 2):
        exact = cdist(grid.coordinates(start.of(label)), grid.coordinates(goal.of(label))).min(axis=1)
        near = exact <= within[label] * (1 + 1e-9)
        np.testing.assert_array_equal(np.isfinite(found[start.part(label)]), near)
        np.testing.assert_allclose(found[start.part(label)][near], exact[near], rtol=1e-12)


def test_a_goal_at_just_the_limit_is_within_it():
    """sqrt((3 * 1.37)^2) is a little more than 3 * 1.37."""
    spacing = (1.37, 1.37)
    grid = make_grid((slice(0, 9), slice(0, 9)), spacing)
    one = np.array([grid.margin[0] * grid.shape[1] + grid.margin[1]])
    ends = np.array([0, 0, 1])
    found = nearest(Points(one, ends), Points(one + 3, ends), grid, np.array([0, 3 * 1.37]))
    assert found.tolist() == pytest.approx([3 * 1.37])


def test_places_are_not_mixed_up_across_rows():
    """The last voxel of a row and the first of the next one are neighbours in memory only."""
    grid = make_grid((slice(0, 4), slice(0, 50)), (1.0, 1.0))
    top, left = grid.margin
    start = top * grid.shape[1] + left + 49
    goal = (top + 1) * grid.shape[1] + left
    ends = np.array([0, 0, 1])
    found = nearest(Points(np.array([start]), ends), Points(np.array([goal]), ends), grid)
    assert found.tolist() == pytest.approx([np.hypot(1, 49)])
