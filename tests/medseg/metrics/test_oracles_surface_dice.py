"""Surface Dice (NSD) against surface-distance, and against areas and distances worked out by hand."""

import math
import warnings

import numpy as np
import pytest
import surface_distance
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapes import cases, crowds, layouts, measure, size_of


def nsd(reference, prediction, spacing, tolerance, labels=("organ",)):
    values = measure(reference, prediction, spacing, labels, ["nsd"], tolerance)
    return values["organ", "nsd"] if len(labels) == 1 else [values[label, "nsd"] for label in labels]


def surfaces(reference, prediction, spacing):
    """What surface-distance 0.1 finds; neither mask may be empty, for it speaks of `np.Inf` then."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Please (use|import)", category=DeprecationWarning)
        return surface_distance.compute_surface_distances(reference, prediction, spacing)


def assume_no_distance_is(tolerance, found):
    """At a distance of just the tolerance the last bit decides for them; ours counts it as within."""
    for key in ("distances_gt_to_pred", "distances_pred_to_gt"):
        assume(tolerance == 0 or not np.isclose(found[key], tolerance, rtol=1e-6, atol=0).any())


tolerances = st.one_of(st.just(0.0), st.floats(0.05, 60.0))


@settings(max_examples=200)
@given(cases(), layouts(), tolerances)
def test_one_label(case, lay, tolerance):
    assume(all(size_of(case)))
    found = surfaces(case.reference > 0, case.prediction > 0, case.spacing)
    assume_no_distance_is(tolerance, found)
    expected = surface_distance.compute_surface_dice_at_tolerance(found, tolerance)
    ours = nsd(lay(case.reference), lay(case.prediction), case.spacing, tolerance)
    assert ours == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(max_examples=40)
@given(crowds(), st.floats(0.05, 60.0))
def test_many_labels_with_a_tolerance_each(crowd, tolerance):
    case, labels = crowd
    names = [str(index) for index in range(1, labels + 1)]
    by_label = {name: tolerance * (1 + place / labels) for place, name in enumerate(names)}
    ours = nsd(*case, by_label, names)
    for index, name in enumerate(names, start=1):
        if not all(size_of(case, index)):
            continue
        found = surfaces(case.reference == index, case.prediction == index, case.spacing)
        assume_no_distance_is(by_label[name], found)
        expected = surface_distance.compute_surface_dice_at_tolerance(found, by_label[name])
        assert ours[index - 1] == pytest.approx(expected, rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("tolerance", [0.0, 1.3, 2.9, 17.0])
@pytest.mark.parametrize("spacing", [(10.0, 1.5625, 1.5625), (0.1, 5.0, 3.0)])
def test_volumes_of_thousands_of_surface_elements(spacing, tolerance):
    rng = np.random.default_rng(7)
    reference, prediction = rng.random((2, 8, 40, 50)) < 0.5
    prediction[:, :20] = reference[:, :20]
    found = surfaces(reference, prediction, spacing)
    expected = surface_distance.compute_surface_dice_at_tolerance(found, tolerance)
    assert nsd(reference, prediction, spacing, tolerance) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("tolerance", [0.9, 31.7, 72.3, 130.0])
def test_large_organs_in_opposite_corners(tolerance):
    reference, prediction = np.zeros((2, 40, 60, 60), bool)
    reference[:18, :25, :25], prediction[-18:, -25:, -25:] = True, True
    spacing = (2.5, 0.8, 0.8)
    expected = surface_distance.compute_surface_dice_at_tolerance(
        surfaces(reference, prediction, spacing), tolerance
    )
    assert nsd(reference, prediction, spacing, tolerance) == pytest.approx(expected, rel=1e-9)


def box_area(voxels, spacing):
    """Area of a box by marching cubes, whose corners are cut halfway: faces, chamfered edges, corners.

    In 2D the length of a rectangle's contour.
    """
    if len(voxels) == 2:
        sides = sum(2 * (n - 1) * step for n, step in zip(voxels, spacing, strict=True))
        return sides + 4 * math.hypot(*spacing) / 2
    (a, b, c), (x, y, z) = ([n - 1 for n in voxels], spacing)
    faces = 2 * (a * b * x * y + b * c * y * z + a * c * x * z)
    edges = 4 * (a * x * math.hypot(y, z) + b * y * math.hypot(x, z) + c * z * math.hypot(x, y)) / 2
    return faces + edges + math.hypot(x * y, y * z, x * z)


@pytest.mark.parametrize(
    ("voxels", "spacing"),
    [
        ((1, 1), (1.0, 1.0)),
        ((3, 1), (2.0, 0.7)),
        ((4, 6), (1.3, 1.0)),
        ((1, 1, 1), (1.0, 1.0, 1.0)),
        ((1, 5, 1), (3.0, 0.8, 0.7)),
        ((2, 3, 4), (1.0, 1.0, 1.0)),
        ((4, 6, 3), (10.0, 1.5625, 1.25)),
    ],
)
def test_area_of_a_box(voxels, spacing):
    """One voxel is found; a box is predicted elsewhere. Of all the area, the voxel's is right."""
    shape = [2 * n + 12 for n in voxels]
    reference, prediction = np.zeros((2, *shape), np.uint8)
    here = (2,) * len(shape)
    reference[here] = prediction[here] = 1
    reference[tuple(slice(6, 6 + n) for n in voxels)] = 1
    prediction[tuple(slice(8 + n, 8 + 2 * n) for n in voxels)] = 1
    one, box = box_area([1] * len(voxels), spacing), box_area(voxels, spacing)
    assert nsd(reference, prediction, spacing, 0.0) == pytest.approx(one / (one + box), rel=1e-12)


@pytest.mark.parametrize("step", [0.1, 0.3, 1.0, 1.37, 2.5, 1e-3, 7.7])
@pytest.mark.parametrize("by", [1, 2, 3, 7])
def test_a_slab_moved_by_just_the_tolerance_is_within(step, by):
    """`by` steps, summed or multiplied, rounded up or down: the distance is the tolerance."""
    reference, prediction = np.zeros((2, 24, 5, 4), np.uint8)
    reference[2:12], prediction[2 + by : 12 + by] = 1, 1
    spacing = (step, 50.0, 50.0)
    for tolerance in (by * step, sum([step] * by), math.sqrt((by * step) ** 2)):
        assert nsd(reference, prediction, spacing, tolerance) == 1
    assert nsd(reference, prediction, spacing, by * step * (1 - 1e-6)) < 1


@pytest.mark.parametrize("spacing", [(0.1, 0.7, 50.0), (1.0, 1.37, 50.0), (0.3, 0.3, 50.0)])
def test_a_diagonal_of_just_the_tolerance_is_within(spacing):
    reference, prediction = np.zeros((2, 9, 9, 2), np.uint8)
    reference[2, 2], prediction[5, 6] = 1, 1
    # Surface elements lie on the corners of voxels: 2 x 3 voxels apart the nearest, 3 x 4 those that are farthest.
    far, near = (math.hypot(n * spacing[0], (n + 1) * spacing[1]) for n in (3, 2))
    assert nsd(reference, prediction, spacing, far) == 1
    assert 0 < nsd(reference, prediction, spacing, far * (1 - 1e-6)) < 1
    assert 0 < nsd(reference, prediction, spacing, near) < 1
    assert nsd(reference, prediction, spacing, near * (1 - 1e-6)) == 0


def test_a_shifted_box_just_below_the_tolerance():
    """Of a box moved by one thin slice, the faces and nothing else are wrong."""
    reference, prediction = np.zeros((2, 12, 7, 8), np.uint8)
    reference[2:8, 1:6, 1:7], prediction[3:9, 1:6, 1:7] = 1, 1
    spacing = (0.5, 2.0, 3.0)
    x, y, z = spacing
    inner = 4 * 5 * y * z  # elements of a face that lie on no wall
    rim = (2 * 4 * y * math.hypot(x, z) + 2 * 5 * z * math.hypot(x, y)) / 2
    corners = 4 * math.hypot(x * y, y * z, x * z) / 8
    # One face of each lies outside the other box, edges and all; one inside, where its rim is on the walls.
    wrong = 2 * (inner + rim + corners) + 2 * inner
    expected = 1 - wrong / (2 * box_area((6, 5, 6), spacing))
    assert nsd(reference, prediction, spacing, 0.49) == pytest.approx(expected, rel=1e-12)
    assert nsd(reference, prediction, spacing, 0.5) == 1


def test_empty_masks():
    empty, full = np.zeros((3, 4, 5), int), np.ones((3, 4, 5), int)
    assert math.isnan(nsd(empty, empty, (1, 1, 1), 1.0))
    assert nsd(empty, full, (1, 1, 1), 1e9) == 0
    assert nsd(full, empty, (1, 1, 1), 1e9) == 0
