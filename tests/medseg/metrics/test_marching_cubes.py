"""Sizes of surface elements: closed forms, symmetries of the cube, and surface-distance's tables."""

from itertools import permutations, product
from math import hypot, sqrt

import numpy as np
import pytest
from surface_distance.lookup_tables import (
    create_table_neighbour_code_to_contour_length,
    create_table_neighbour_code_to_surface_area,
)

from medseg.metrics.marching_cubes import element_sizes

SPACING = (1.3, 0.7, 2.9)


def code_of(inside):
    """Bits in C order, the first voxel as the highest."""
    return int("".join(str(int(value)) for value in np.ravel(inside)), 2)


def test_agrees_with_surface_distance():
    np.testing.assert_allclose(element_sizes(SPACING), create_table_neighbour_code_to_surface_area(SPACING))
    flat = SPACING[:2]
    np.testing.assert_allclose(element_sizes(flat), create_table_neighbour_code_to_contour_length(flat))


def test_closed_forms():
    sizes = element_sizes((1.0, 1.0, 1.0))
    assert sizes[0] == sizes[255] == 0
    corner = np.zeros((2, 2, 2), int)
    corner[0, 1, 0] = 1
    assert sizes[code_of(corner)] == pytest.approx(sqrt(3) / 8)
    for axis, area in enumerate((SPACING[1] * SPACING[2], SPACING[0] * SPACING[2], SPACING[0] * SPACING[1])):
        plane = np.moveaxis(np.array([np.ones((2, 2), int), np.zeros((2, 2), int)]), 0, axis)
        assert element_sizes(SPACING)[code_of(plane)] == pytest.approx(area)
    flat = element_sizes((3.0, 4.0))
    assert flat[code_of([[1, 1], [0, 0]])] == 4
    assert flat[code_of([[1, 0], [1, 0]])] == 3
    assert flat[code_of([[1, 0], [0, 0]])] == pytest.approx(hypot(3, 4) / 2)
    assert flat[code_of([[1, 0], [0, 1]])] == pytest.approx(hypot(3, 4))


def test_a_cell_and_its_complement_have_the_same_surface():
    sizes = element_sizes(SPACING)
    np.testing.assert_array_equal(sizes, sizes[::-1])
    assert (sizes[1:255] > 0).all()


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_simple_cells_do_not_depend_on_the_order_of_axes(axes):
    """One to three voxels; the triangles of some larger cells differ between their mirror images."""
    sizes = element_sizes(SPACING)
    turned = element_sizes(tuple(SPACING[axis] for axis in axes))
    for values in product((0, 1), repeat=8):
        cell = np.array(values).reshape(2, 2, 2)
        if cell.sum() <= 2:
            assert turned[code_of(cell.transpose(axes))] == pytest.approx(sizes[code_of(cell)])


def test_tables_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        element_sizes(SPACING)[0] = 1
