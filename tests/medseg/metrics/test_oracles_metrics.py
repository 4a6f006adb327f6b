"""Metrics against MONAI, scipy brute force, closed forms, and as properties."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_iou,
)
from scipy.ndimage import binary_erosion, gaussian_filter
from scipy.spatial.distance import cdist

from medseg.metrics import METRICS, evaluate_case
from medseg.metrics.pair import boundary

DISTANCES = ("hd", "hd95", "assd", "masd")
spacings = st.sampled_from([0.5, 1.0, 1.37, 8.0])


def measure(reference, prediction, spacing, labels=("organ",)):
    values = evaluate_case(reference, prediction, spacing, labels, METRICS.names())
    return {(value.label, value.metric): value.value for value in values}


@st.composite
def cases(draw, labels=1):
    """Two label maps of blobs and specks that may touch the border, be one voxel, or fill everything."""
    dimensions = draw(st.integers(2, 3))
    shape = tuple(draw(st.integers(1, 9)) for _ in range(dimensions))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    smooth = draw(st.sampled_from([0.0, 1.0]))
    share = draw(st.sampled_from([0.05, 0.4, 0.9, 1.0]))
    maps = []
    for _ in range(2):
        field = gaussian_filter(rng.normal(size=shape), smooth)
        inside = field >= np.quantile(field, 1 - share)
        maps.append(np.where(inside, rng.integers(1, labels + 1, shape), 0))
        maps[-1].flat[rng.integers(maps[-1].size, size=labels)] = np.arange(1, labels + 1)
    return *maps, tuple(draw(spacings) for _ in range(dimensions))


def one_hot(array, labels):
    return torch.from_numpy(np.stack([array == label for label in range(labels + 1)])[None])


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning", "ignore:.*is all 0:UserWarning")
@settings(max_examples=60, deadline=None)
@given(cases(labels=2))
def test_agrees_with_monai(case):
    reference, prediction, spacing = case
    names = ("one", "two")
    ours = measure(reference, prediction, spacing, names)
    y, p = one_hot(reference, 2), one_hot(prediction, 2)
    theirs = {
        "dice": compute_dice(p, y, include_background=False),
        "iou": compute_iou(p, y, include_background=False),
        "hd": compute_hausdorff_distance(p, y, spacing=spacing),
        "hd95": compute_hausdorff_distance(p, y, percentile=95, spacing=spacing),
        "assd": compute_average_surface_distance(p, y, symmetric=True, spacing=spacing),
    }
    for index, label in enumerate(names):
        if not (reference == index + 1).any() or not (prediction == index + 1).any():
            continue  # a one-voxel map may have lost a class; MONAI's empty-mask policy is not ours
        for metric, values in theirs.items():
            expected = values[0, index].item()
            # MONAI takes its percentile in float32, position between two distances included.
            tolerance = 1e-5 if metric == "hd95" else 1e-6
            assert ours[label, metric] == pytest.approx(expected, rel=tolerance, abs=tolerance), metric


@settings(max_examples=60, deadline=None)
@given(cases())
def test_agrees_with_brute_force(case):
    """All pairs of boundary pixels, by scipy, on the uncropped image."""
    reference, prediction, spacing = case
    edges = [np.argwhere(m & ~binary_erosion(m)) * spacing for m in (reference > 0, prediction > 0)]
    apart = cdist(*edges)
    ours, theirs = apart.min(axis=1), apart.min(axis=0)
    expected = {
        "hd": apart.min(axis=1).max().clip(apart.min(axis=0).max()),
        "hd95": max(np.percentile(ours, 95), np.percentile(theirs, 95)),
        "assd": np.concatenate((ours, theirs)).mean(),
        "masd": (ours.mean() + theirs.mean()) / 2,
    }
    tp = np.sum((reference > 0) & (prediction > 0))
    expected |= {
        "sensitivity": tp / np.sum(reference > 0),
        "precision": tp / np.sum(prediction > 0),
    }
    result = measure(reference, prediction, spacing)
    for metric, value in expected.items():
        assert result["organ", metric] == pytest.approx(value, rel=1e-9, abs=1e-9), metric
    assert result["all", "pixel_accuracy"] == pytest.approx(np.mean(reference == prediction))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 3))
def test_boundary_is_mask_minus_scipy_erosion(seed, dimensions):
    rng = np.random.default_rng(seed)
    mask = rng.random(tuple(rng.integers(1, 8, dimensions))) < 0.8
    before = mask.copy()
    np.testing.assert_array_equal(boundary(mask), mask & ~binary_erosion(mask))
    np.testing.assert_array_equal(mask, before)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_symmetry(case):
    reference, prediction, spacing = case
    there, back = measure(reference, prediction, spacing), measure(prediction, reference, spacing)
    for metric in ("dice", "iou", *DISTANCES):
        assert there["organ", metric] == pytest.approx(back["organ", metric], rel=1e-12), metric
    assert there["organ", "sensitivity"] == back["organ", "precision"]


@settings(max_examples=40, deadline=None)
@given(cases(), st.integers(0, 4), st.integers(0, 4))
def test_translation_within_a_larger_image(case, before, after):
    reference, prediction, spacing = case
    small, large = (
        measure(np.pad(reference, pad), np.pad(prediction, pad), spacing)
        for pad in ((1, 1), (1 + before, 1 + after))
    )
    for (label, metric), value in small.items():
        if label != "all":
            assert large[label, metric] == pytest.approx(value, rel=1e-12), metric


@settings(max_examples=40, deadline=None)
@given(cases(), st.floats(0.1, 10))
def test_distances_scale_with_the_spacing(case, factor):
    reference, prediction, spacing = case
    one = measure(reference, prediction, spacing)
    scaled = measure(reference, prediction, [factor * s for s in spacing])
    for (label, metric), value in one.items():
        expected = value * factor if metric in DISTANCES else value
        assert scaled[label, metric] == pytest.approx(expected, rel=1e-9), metric


@settings(max_examples=40, deadline=None)
@given(
    cases(labels=3), st.permutations([1, 2, 3]), st.sampled_from([np.uint8, np.int16, np.int64, np.uint64])
)
def test_permuting_the_labels_permutes_the_values(case, order, dtype):
    reference, prediction, spacing = case
    names = ("a", "b", "c")
    plain = measure(reference, prediction, spacing, names)
    table = np.array([0, *order], dtype)
    permuted_names = [names[order.index(k)] for k in (1, 2, 3)]
    permuted = measure(table[reference], table[prediction], spacing, permuted_names)
    assert permuted.keys() == plain.keys()
    for key, value in plain.items():
        assert permuted[key] == pytest.approx(value, nan_ok=True), key


def test_shifted_slab():
    """A slab of 3 slices, moved by 2 slices of 5 mm: every boundary pixel is 0, 5 or 10 mm away."""
    reference, prediction = np.zeros((2, 12, 6, 6), int)
    reference[2:5], prediction[4:7] = 1, 1
    result = measure(reference, prediction, (5.0, 1.0, 1.0))
    assert result["organ", "hd"] == 10
    assert result["organ", "dice"] == pytest.approx(1 / 3)
    assert result["organ", "iou"] == pytest.approx(1 / 5)
    # In either direction: one face of 36 pixels 10 mm away, the middle slice's rim of 20 pixels 5 mm, and one
    # face that is the other slab's, at 0.
    assert result["organ", "masd"] == pytest.approx((36 * 10 + 20 * 5) / (36 + 20 + 36))
    assert result["organ", "assd"] == pytest.approx(result["organ", "masd"])


def test_pixels_at_a_known_distance():
    reference, prediction = np.zeros((2, 20, 30), int)
    reference[3, 4], prediction[3 + 6, 4 + 16] = 1, 1
    result = measure(reference, prediction, (2.0, 1.0))
    assert [result["organ", m] for m in DISTANCES] == [20.0] * 4


def test_hd95_is_the_larger_direction_not_a_pooled_percentile():
    """One false island: pooling both directions before the percentile, as medpy does, would hide it."""
    reference, prediction = np.zeros((2, 60, 60), int)
    reference[0:2, 0:40] = prediction[0:2, 0:40] = 1
    prediction[50, 0:6] = 1
    result = measure(reference, prediction, (1.0, 1.0))
    assert result["organ", "hd"] == 49
    assert result["organ", "hd95"] == 49  # 6 of the prediction's 86 pixels, 7%; of all 166 it is 3.6%
    assert result["organ", "assd"] == pytest.approx(6 * 49 / 166)
    assert result["organ", "masd"] == pytest.approx(6 * 49 / 86 / 2)


def test_hd95_interpolates_linearly():
    reference, prediction = np.zeros((2, 1, 40), int)
    reference[0, 0:10] = 1
    prediction[0, 0:11] = 1  # distances 0 x 10 and 1: position 0.95 * 10 = 9.5
    assert measure(reference, prediction, (1.0, 1.0))["organ", "hd95"] == pytest.approx(0.5)


def test_concentric_squares():
    reference, prediction = np.zeros((2, 41, 41), int)
    reference[10:31, 10:31], prediction[5:36, 5:36] = 1, 1
    result = measure(reference, prediction, (1.0, 1.0))
    assert result["organ", "hd"] == pytest.approx(5 * math.sqrt(2))
    assert result["organ", "sensitivity"] == 1
    assert result["organ", "precision"] == pytest.approx(21**2 / 31**2)
    assert result["all", "pixel_accuracy"] == pytest.approx(1 - (31**2 - 21**2) / 41**2)


def test_what_lies_outside_the_image_is_background():
    full = np.ones((5, 5), int)
    inner = np.zeros((5, 5), int)
    inner[2, 2] = 1
    assert measure(full, inner, (1.0, 1.0))["organ", "hd"] == pytest.approx(2 * math.sqrt(2))
