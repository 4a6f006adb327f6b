"""What must hold of every metric, whatever the masks."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapes import DISTANCES, TOLERANCE, cases, crowds, layouts, measure, names_of, size_of

from medseg.metrics import METRICS

SYMMETRIC = ("dice", "iou", *DISTANCES, "nsd", "absolute_volume_difference_ml", "lesion_f1")
SWAPPED = (
    ("sensitivity", "precision"),
    ("reference_volume_ml", "volume_ml"),
    ("lesion_sensitivity", "lesion_precision"),
    ("lesion_count_reference", "lesion_count_predicted"),
)
PERFECT = dict.fromkeys(DISTANCES, 0.0) | {
    "dice": 1,
    "iou": 1,
    "sensitivity": 1,
    "precision": 1,
    "nsd": 1,
    "volume_difference_ml": 0,
    "absolute_volume_difference_ml": 0,
    "rvd": 0,
    "lesion_f1": 1,
    "lesion_sensitivity": 1,
    "lesion_precision": 1,
}
NAMES = ("a", "b", "c")
margins = st.tuples(st.integers(0, 4), st.integers(0, 4))


def assert_same(ours, theirs, but=()):
    """The same values under the same keys; sums may differ in their last bits."""
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        if key[1] not in but:
            assert theirs[key] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), key


@settings(max_examples=60)
@given(cases(labels=3, everywhere=False))
def test_swapping_the_two_maps(case):
    there = measure(*case, NAMES)
    back = measure(case.prediction, case.reference, case.spacing, NAMES)
    known = names_of(case.reference.ndim)
    for index, label in enumerate(NAMES, start=1):
        for metric in known:
            if metric in SYMMETRIC:
                same = pytest.approx(there[label, metric], rel=1e-12, nan_ok=True)
                assert back[label, metric] == same, metric
        for one, other in SWAPPED:
            # Of an empty reference sensitivity is not defined, precision of an empty prediction is 0.
            if one in known and (all(size_of(case, index)) or "sensitivity" not in one):
                assert back[label, one] == there[label, other], one
                assert back[label, other] == there[label, one], other
        if "volume_difference_ml" in known:
            assert back[label, "volume_difference_ml"] == -there[label, "volume_difference_ml"]
    assert back["all", "pixel_accuracy"] == there["all", "pixel_accuracy"]


@settings(max_examples=60)
@given(cases(labels=3, everywhere=False), st.lists(margins, min_size=3, max_size=3))
def test_background_around_changes_nothing_but_the_accuracy(case, around):
    """So does moving both within a larger image, and cropping."""
    width = around[: case.reference.ndim]
    padded = measure(np.pad(case.reference, width), np.pad(case.prediction, width), case.spacing, NAMES)
    assert_same(measure(*case, NAMES), padded, but={"pixel_accuracy"})


@settings(max_examples=60)
@given(cases(labels=3, everywhere=False), st.floats(0.1, 10))
def test_values_scale_with_the_spacing(case, factor):
    """Lengths by the factor, volumes by its cube, ratios not at all; the tolerance is a length."""
    powers = {"ratio": 0, "length": 1, "volume": 3}
    one = measure(*case, NAMES)
    larger = tuple(factor * step for step in case.spacing)
    scaled = measure(*case._replace(spacing=larger), NAMES, tolerance=factor * TOLERANCE)
    expected = {
        (label, metric): value * factor ** powers[METRICS.load(metric).quantity]
        for (label, metric), value in one.items()
    }
    assert_same(expected, scaled)


@settings(max_examples=60)
@given(cases(labels=3, everywhere=False), st.permutations([1, 2, 3]), layouts())
def test_permuting_the_labels_permutes_the_rows(case, order, lay):
    plain = measure(*case, NAMES)
    table = np.array([0, *order])
    names = [NAMES[order.index(index)] for index in (1, 2, 3)]
    permuted = measure(lay(table[case.reference]), lay(table[case.prediction]), case.spacing, names)
    assert_same(plain, permuted)


@settings(max_examples=40)
@given(crowds())
def test_labels_together_are_as_each_alone(crowd):
    case, labels = crowd
    names = [str(index) for index in range(1, labels + 1)]
    together = measure(*case, names)
    for index, name in enumerate(names, start=1):
        alone = measure(case.reference == index, case.prediction == index, case.spacing, (name,))
        mine = {key: value for key, value in together.items() if key[0] == name}
        assert_same(mine, {key: value for key, value in alone.items() if key[0] == name})


@settings(max_examples=40)
@given(cases(labels=3, everywhere=False), st.data())
def test_some_metrics_are_as_among_all(case, data):
    everything = measure(*case, NAMES)
    some = data.draw(st.lists(st.sampled_from(names_of(case.reference.ndim)), min_size=1, unique=True))
    expected = {key: value for key, value in everything.items() if key[1] in some}
    assert_same(expected, measure(*case, NAMES, some))


@settings(max_examples=60)
@given(cases(labels=3, everywhere=False), st.data())
def test_the_order_of_the_axes_is_without_meaning(case, data):
    order = data.draw(st.permutations(range(case.reference.ndim)))
    turned = (case.reference.transpose(order), case.prediction.transpose(order))
    spacing = [case.spacing[axis] for axis in order]
    assert_same(measure(*case, NAMES), measure(*turned, spacing, NAMES))


@settings(max_examples=60)
@given(cases(labels=3, everywhere=False), st.sets(st.integers(0, 2)))
def test_mirroring_changes_nothing(case, axes):
    axes = tuple(axis for axis in axes if axis < case.reference.ndim)
    mirrored = (np.flip(case.reference, axes), np.flip(case.prediction, axes))
    assert_same(measure(*case, NAMES), measure(*mirrored, case.spacing, NAMES))


@settings(max_examples=60)
@given(cases(dimensions=2), layouts())
def test_an_image_counts_as_a_volume_of_one_slice(case, lay):
    """To counts; the boundary of a single slice is all of it."""
    flat = measure(*case, metrics=["dice", "iou", "sensitivity", "precision"])
    volume = (lay(case.reference[None]), lay(case.prediction[None]))
    assert_same(flat, measure(*volume, (7.0, *case.spacing), metrics=[metric for _, metric in flat]))


@settings(max_examples=60)
@given(cases(), st.lists(st.floats(0, 100), min_size=2, max_size=6))
def test_a_larger_tolerance_never_makes_nsd_smaller(case, tolerances):
    values = [
        measure(*case, metrics=["nsd"], tolerance=tolerance)["organ", "nsd"]
        for tolerance in (*sorted(tolerances), 1e6)
    ]
    assume(not math.isnan(values[0]))
    assert all(one <= other for one, other in pairwise(values))
    assert all(0 <= value <= 1 for value in values)
    assert values[-1] == float(case.reference.any() and case.prediction.any())


@settings(max_examples=60)
@given(cases(labels=3), layouts())
def test_a_map_against_itself(case, lay):
    result = measure(lay(case.reference), lay(case.reference.copy()), case.spacing, NAMES, tolerance=0.0)
    for index, label in enumerate(NAMES, start=1):
        for metric, value in PERFECT.items():
            if (case.reference == index).any() and (label, metric) in result:
                assert result[label, metric] == value, metric
    assert result["all", "pixel_accuracy"] == 1


@settings(max_examples=60)
@given(cases(labels=3, everywhere=False))
def test_values_keep_their_range_and_order(case):
    result = measure(*case, NAMES)
    diagonal = math.hypot(*(n * step for n, step in zip(case.reference.shape, case.spacing, strict=True)))
    for label in NAMES:
        hd, hd95, assd, masd = (result[label, metric] for metric in DISTANCES)
        if math.isfinite(hd):
            assert 0 <= hd95 <= hd * (1 + 1e-12)
            assert 0 <= masd <= hd * (1 + 1e-12)
            assert 0 <= assd <= hd * (1 + 1e-12) <= diagonal
        for metric in ("dice", "iou", "sensitivity", "precision", "nsd"):
            assert math.isnan(result[label, metric]) or 0 <= result[label, metric] <= 1, metric


@settings(max_examples=60)
@given(cases(labels=3, everywhere=False), layouts())
def test_maps_are_never_changed(case, lay):
    maps = lay(case.reference), lay(case.prediction)
    before = [array.copy() for array in maps]
    spacing = np.array(case.spacing)
    measure(*maps, spacing, NAMES)
    for array, copy in zip(maps, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert tuple(spacing) == case.spacing


def test_every_metric_is_told_apart_here():
    """A new metric is put under one of the words above, or is known to be under none."""
    told = {*SYMMETRIC, *PERFECT, *(name for pair in SWAPPED for name in pair), "pixel_accuracy"}
    assert told == set(names_of(3))
