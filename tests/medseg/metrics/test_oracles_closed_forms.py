"""Distances and overlaps that can be worked out by hand."""

import math

import numpy as np
import pytest
from shapes import DISTANCES, measure


def organ(*arguments, **options):
    return {metric: value for (_, metric), value in measure(*arguments, **options).items()}


def test_shifted_slab():
    """A slab of 3 slices, moved by 2 slices of 5 mm: every boundary voxel is 0, 5 or 10 mm away."""
    reference, prediction = np.zeros((2, 12, 6, 6), int)
    reference[2:5], prediction[4:7] = 1, 1
    result = organ(reference, prediction, (5.0, 1.0, 1.0))
    assert result["hd"] == 10
    assert result["dice"] == pytest.approx(1 / 3)
    assert result["iou"] == pytest.approx(1 / 5)
    # In either direction: one face of 36 voxels 10 mm away, the middle slice's rim of 20 voxels 5 mm, and one
    # face that is the other slab's, at 0.
    assert result["masd"] == pytest.approx((36 * 10 + 20 * 5) / (36 + 20 + 36))
    assert result["assd"] == pytest.approx(result["masd"])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("by", [1, 7, 29])
def test_a_plane_moved_along_any_axis(axis, by):
    spacing = (2.5, 1.25, 0.7)
    reference, prediction = np.zeros((2, 30, 30, 30), np.uint8)
    np.moveaxis(reference, axis, 0)[0] = 1
    np.moveaxis(prediction, axis, 0)[by] = 1
    result = organ(reference, prediction, spacing)
    assert [result[metric] for metric in DISTANCES] == pytest.approx([by * spacing[axis]] * 4, rel=1e-12)


@pytest.mark.parametrize(
    ("offset", "spacing"),
    [((6, 16), (2.0, 1.0)), ((0, 29), (1.0, 0.37)), ((19, 0), (3.0, 1.0)), ((3, 4, 12), (1.0, 1.0, 1.0))],
)
@pytest.mark.parametrize("extra", [0, 40])
def test_voxels_at_a_known_distance(offset, spacing, extra):
    reference, prediction = np.zeros((2, *(n + 1 + extra for n in offset)), int)
    reference[(0,) * len(offset)], prediction[offset] = 1, 1
    result = organ(reference, prediction, spacing)
    expected = math.hypot(*(n * step for n, step in zip(offset, spacing, strict=True)))
    assert [result[metric] for metric in DISTANCES] == pytest.approx([expected] * 4, rel=1e-12)


def test_the_end_of_a_row_is_not_near_the_start_of_the_next():
    reference, prediction = np.zeros((2, 5, 50), int)
    reference[2, 49], prediction[3, 0] = 1, 1
    assert organ(reference, prediction, (1.0, 1.0))["hd"] == pytest.approx(math.hypot(1, 49))


def test_the_nearest_voxel_may_be_many_voxels_away():
    """Along the axis of 0.1 mm 30 voxels are nearer than one along the axis of 5 mm."""
    reference, prediction = np.zeros((2, 40, 3), int)
    reference[0, 1] = 1
    prediction[30, 1] = prediction[0, 2] = 1
    result = organ(reference, prediction, (0.1, 5.0))
    assert result["hd"] == pytest.approx(5.0)
    assert result["assd"] == pytest.approx((3.0 + 3.0 + 5.0) / 3)
    assert result["masd"] == pytest.approx((3.0 + (3.0 + 5.0) / 2) / 2)


def test_hd95_is_the_larger_direction_not_a_pooled_percentile():
    """One false island: pooling both directions before the percentile, as medpy does, would hide it."""
    reference, prediction = np.zeros((2, 60, 60), int)
    reference[0:2, 0:40] = prediction[0:2, 0:40] = 1
    prediction[50, 0:6] = 1
    result = organ(reference, prediction, (1.0, 1.0))
    assert result["hd"] == 49
    assert result["hd95"] == 49  # 6 of the prediction's 86 pixels, 7%; of all 166 it is 3.6%
    assert result["assd"] == pytest.approx(6 * 49 / 166)
    assert result["masd"] == pytest.approx(6 * 49 / 86 / 2)


def test_hd95_interpolates_linearly():
    reference, prediction = np.zeros((2, 1, 40), int)
    reference[0, 0:10] = 1
    prediction[0, 0:11] = 1  # distances 0 x 10 and 1: position 0.95 * 10 = 9.5
    assert organ(reference, prediction, (1.0, 1.0))["hd95"] == pytest.approx(0.5)


def test_concentric_squares():
    reference, prediction = np.zeros((2, 41, 41), int)
    reference[10:31, 10:31], prediction[5:36, 5:36] = 1, 1
    result = organ(reference, prediction, (1.0, 1.0))
    assert result["hd"] == pytest.approx(5 * math.sqrt(2))
    assert result["sensitivity"] == 1
    assert result["precision"] == pytest.approx(21**2 / 31**2)
    assert result["pixel_accuracy"] == pytest.approx(1 - (31**2 - 21**2) / 41**2)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.8, 0.8)])
def test_concentric_spheres(spacing):
    """Boundary voxels lie within a voxel's diagonal of the spheres, so the distances do of the gap."""
    inner, outer, voxel = 9.0, 16.0, math.hypot(*spacing)
    shape = [2 * int(20 / step) + 1 for step in spacing]
    middle = [(side // 2) * step for side, step in zip(shape, spacing, strict=True)]
    away = [at * step - half for at, step, half in zip(np.indices(shape), spacing, middle, strict=True)]
    radius = np.sqrt(sum(part**2 for part in away))
    reference, prediction = (radius <= inner).astype(np.uint8), (radius <= outer).astype(np.uint8)
    gap = outer - inner
    result = organ(reference, prediction, spacing, tolerance=gap + voxel)
    for metric in DISTANCES:
        assert result[metric] == pytest.approx(gap, abs=voxel), metric
    assert result["nsd"] == 1
    assert organ(reference, prediction, spacing, metrics=["nsd"], tolerance=gap - voxel) == {"nsd": 0}
    assert result["dice"] == pytest.approx(2 * inner**3 / (inner**3 + outer**3), abs=0.02)


def test_what_lies_outside_the_image_is_background():
    full = np.ones((5, 5), int)
    inner = np.zeros((5, 5), int)
    inner[2, 2] = 1
    assert organ(full, inner, (1.0, 1.0))["hd"] == pytest.approx(2 * math.sqrt(2))
    assert organ(full, full, (1.0, 1.0))["hd"] == 0


def test_volumes_of_a_box():
    """60 voxels of 8 mm3 in the reference, 90 predicted."""
    reference, prediction = np.zeros((2, 8, 8, 8), int)
    reference[1:6, 1:5, 1:4], prediction[1:6, 1:7, 1:4] = 1, 1
    result = organ(reference, prediction, (4.0, 2.0, 1.0))
    assert result["reference_volume_ml"] == pytest.approx(0.480)
    assert result["volume_ml"] == pytest.approx(0.720)
    assert result["volume_difference_ml"] == pytest.approx(0.240)
    assert result["absolute_volume_difference_ml"] == pytest.approx(0.240)
    assert result["rvd"] == pytest.approx(0.5)
