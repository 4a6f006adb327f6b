"""Crops, margins and rings of neighbours."""

import numpy as np
import pytest

from medseg.metrics.grid import REACH, foreground_box, make_grid, ring_limit, rings


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (10.0, 1.5625, 1.5625), (0.7, 2.0, 0.9), (1.0, 0.01)])
def test_rings_hold_every_neighbour_below_the_limit_once_and_in_order(spacing):
    found = rings(spacing)
    steps = [tuple(step) for ring in found for step in ring.steps.tolist()]
    assert len(steps) == len(set(steps))
    lengths = [ring.length for ring in found]
    assert lengths == sorted(set(lengths))
    for ring in found:
        np.testing.assert_allclose(np.linalg.norm(ring.steps * spacing, axis=1), ring.length)
    # A wider window holds no further neighbour that is nearer than the limit.
    side = np.arange(-REACH - 3, REACH + 4)
    window = np.stack(np.meshgrid(*[side] * len(spacing), indexing="ij"), axis=-1).reshape(-1, len(spacing))
    size = np.linalg.norm(window * spacing, axis=1)
    assert len(steps) == np.count_nonzero((size > 0) & (size < ring_limit(spacing)))


@pytest.mark.parametrize("shape", [(9, 7), (5, 9, 7), (1, 6, 1)])
def test_the_foreground_box_is_the_bounding_box_of_both_maps(shape):
    rng = np.random.default_rng(0)
    for _ in range(20):
        ours, theirs = (np.where(rng.random(shape) < 0.05, 3, 0).astype(np.uint8) for _ in range(2))
        found = np.argwhere(ours | theirs)
        box = foreground_box(ours, theirs)
        if not len(found):
            assert all(side.start == side.stop for side in box)
        else:
            assert [side.start for side in box] == found.min(axis=0).tolist()
            assert [side.stop - 1 for side in box] == found.max(axis=0).tolist()


def test_a_cut_is_the_crop_within_a_margin_of_background_that_holds_the_rings():
    array = np.arange(1, 121, dtype=np.uint8).reshape(4, 5, 6)
    grid = make_grid((slice(1, 3), slice(0, 5), slice(2, 6)), (10.0, 1.5, 1.5))
    cut = grid.cut(array)
    assert cut.shape == grid.shape
    assert cut.flags.c_contiguous
    inner = tuple(slice(m, n - m) for m, n in zip(grid.margin, grid.shape, strict=True))
    np.testing.assert_array_equal(cut[inner], array[grid.box])
    assert cut.sum(dtype=int) == array[grid.box].sum(dtype=int)
    for ring in rings(grid.spacing):
        # A cell's last voxel may lie one beyond the crop.
        assert (np.abs(ring.steps) < grid.margin).all()


def test_places_have_coordinates_in_the_spacings_unit():
    grid = make_grid((slice(0, 2), slice(0, 3)), (2.0, 0.5))
    places = np.arange(grid.size).reshape(grid.shape)
    np.testing.assert_array_equal(grid.coordinates(places[[3], [4]]), [[6.0, 2.0]])
    assert grid.strides.tolist() == [grid.shape[1], 1]
