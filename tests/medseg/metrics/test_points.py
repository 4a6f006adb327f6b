"""Boundary voxels against scipy's erosion, and surface cells against a loop over all cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion

from medseg.metrics.grid import foreground_box, make_grid
from medseg.metrics.points import boundary_points, surface_elements


@st.composite
def maps(draw, labels=3):
    dimensions = draw(st.integers(2, 3))
    shape = tuple(draw(st.integers(1, 7)) for _ in range(dimensions))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from([0.05, 0.5, 0.95]))
    return np.where(rng.random(shape) < share, rng.integers(1, labels + 1, shape), 0).astype(np.uint8)


def cut_of(array):
    grid = make_grid(foreground_box(array, array), (1.0,) * array.ndim)
    return grid.cut(array), grid


def wanted(labels=3, without=()):
    return np.array([label not in (0, *without) for label in range(labels + 1)])


@settings(max_examples=60, deadline=None)
@given(maps())
def test_boundaries_are_each_mask_minus_its_erosion(array):
    before = array.copy()
    cut, _ = cut_of(array)
    points = boundary_points(cut, wanted())
    for label in range(1, 4):
        mask = cut == label
        expected = np.flatnonzero(mask & ~binary_erosion(mask))
        np.testing.assert_array_equal(np.sort(points.of(label)), expected)
    assert len(points.of(0)) == 0
    np.testing.assert_array_equal(array, before)


@settings(max_examples=30, deadline=None)
@given(maps())
def test_cells_are_those_with_voxels_inside_and_outside(array):
    cut, grid = cut_of(array)
    elements = surface_elements(cut, boundary_points(cut, wanted()), grid)
    windows = np.lib.stride_tricks.sliding_window_view(cut, (2,) * cut.ndim)
    for label in range(1, 4):
        expected = {}
        for index in np.ndindex(*windows.shape[: cut.ndim]):
            inside = windows[index].ravel() == label
            if inside.any() and not inside.all():
                last = np.ravel_multi_index([i + 1 for i in index], cut.shape)
                expected[last] = int("".join(str(int(value)) for value in inside), 2)
        part = elements.part(label)
        found = dict(zip(elements.places[part].tolist(), elements.codes[part].tolist(), strict=True))
        assert found == expected


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5)])
def test_labels_that_are_not_wanted_have_no_points(shape):
    array = np.ones(shape, dtype=np.uint8)
    array[1:] = 2
    cut, grid = cut_of(array)
    points = boundary_points(cut, wanted(2, without=[1]))
    elements = surface_elements(cut, points, grid)
    for found in (points, elements):
        assert len(found.of(1)) == 0
        assert len(found.of(2)) > 0
