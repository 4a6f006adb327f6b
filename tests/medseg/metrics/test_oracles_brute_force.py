"""Against scipy on whole images: all pairs of boundary voxels, distance transforms, erosions, counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter
from scipy.spatial.distance import cdist
from shapes import DISTANCES, cases, crowds, layouts, measure, size_of


def edge(mask):
    return mask & ~binary_erosion(mask)


def all_pairs(reference, prediction, spacing):
    """Both directed lists of distances between the boundaries of two masks."""
    apart = cdist(*(np.argwhere(edge(mask)) * spacing for mask in (reference, prediction)))
    return apart.min(axis=1), apart.min(axis=0)


def transformed(reference, prediction, spacing):
    """The same, for images with too many pairs."""
    ours, theirs = edge(reference), edge(prediction)
    return (
        distance_transform_edt(~theirs, sampling=spacing)[ours],
        distance_transform_edt(~ours, sampling=spacing)[theirs],
    )


def of_distances(ours, theirs):
    return {
        "hd": max(ours.max(), theirs.max()),
        "hd95": max(np.percentile(ours, 95), np.percentile(theirs, 95)),
        "assd": np.concatenate((ours, theirs)).mean(),
        "masd": (ours.mean() + theirs.mean()) / 2,
    }


def of_counts(reference, prediction):
    both = np.sum(reference & prediction)
    return {
        "dice": 2 * both / (reference.sum() + prediction.sum()),
        "iou": both / np.sum(reference | prediction),
        "sensitivity": both / reference.sum(),
        "precision": both / prediction.sum(),
    }


def assert_agrees(result, label, expected):
    for metric, value in expected.items():
        assert result[label, metric] == pytest.approx(value, rel=1e-9, abs=1e-9), (label, metric)


@settings(max_examples=200)
@given(cases(), layouts())
def test_one_label(case, lay):
    result = measure(lay(case.reference), lay(case.prediction), case.spacing)
    masks = case.reference > 0, case.prediction > 0
    if all(size_of(case)):
        assert_agrees(result, "organ", of_counts(*masks) | of_distances(*all_pairs(*masks, case.spacing)))
    assert result["all", "pixel_accuracy"] == pytest.approx(np.mean(case.reference == case.prediction))


@settings(max_examples=60)
@given(cases(labels=4, everywhere=False), layouts(), layouts())
def test_labels_beside_each_other_each_map_in_its_own_layout(case, lay, lay_other):
    names = ("a", "b", "c", "d")
    result = measure(lay(case.reference), lay_other(case.prediction), case.spacing, names)
    for index, label in enumerate(names, start=1):
        masks = case.reference == index, case.prediction == index
        if all(size_of(case, index)):
            assert_agrees(result, label, of_counts(*masks) | of_distances(*all_pairs(*masks, case.spacing)))
    assert result["all", "pixel_accuracy"] == pytest.approx(np.mean(case.reference == case.prediction))


@settings(max_examples=40)
@given(crowds())
def test_more_labels_than_are_measured_at_once(crowd):
    case, labels = crowd
    names = [str(index) for index in range(1, labels + 1)]
    result = measure(*case, names)
    for index, label in enumerate(names, start=1):
        masks = case.reference == index, case.prediction == index
        if all(size_of(case, index)):
            assert_agrees(result, label, of_counts(*masks) | of_distances(*all_pairs(*masks, case.spacing)))


def blobs(rng, shape, smooth):
    """Three labels of noise, smoothed or not, and a prediction that is another draw in part of the image."""
    fields = [gaussian_filter(rng.normal(size=shape), smooth) for _ in range(2)]
    mixed = np.where(np.arange(shape[-1]) < shape[-1] // 2, fields[0], fields[1])
    limits = np.quantile(fields[0], [0.5, 0.7, 0.9])
    return np.digitize(fields[0], limits), np.digitize(mixed, limits)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (10.0, 1.5625, 1.5625), (0.1, 5.0, 3.0)])
@pytest.mark.parametrize("smooth", [0.0, 2.0])
def test_volumes_of_thousands_of_boundary_voxels(spacing, smooth):
    reference, prediction = blobs(np.random.default_rng(3), (14, 50, 60), smooth)
    result = measure(reference, prediction, spacing, ("a", "b", "c"))
    for index, label in enumerate("abc", start=1):
        masks = reference == index, prediction == index
        assert_agrees(result, label, of_counts(*masks) | of_distances(*transformed(*masks, spacing)))


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.3, 7.0)])
@pytest.mark.parametrize("smooth", [0.0, 3.0])
def test_images_of_thousands_of_boundary_pixels(spacing, smooth):
    reference, prediction = blobs(np.random.default_rng(4), (300, 200), smooth)
    result = measure(reference, prediction, spacing, ("a", "b", "c"))
    for index, label in enumerate("abc", start=1):
        masks = reference == index, prediction == index
        assert_agrees(result, label, of_counts(*masks) | of_distances(*transformed(*masks, spacing)))


def test_large_organs_in_opposite_corners():
    """No boundary is near the other, and there are far too many pairs to look at them all."""
    reference, prediction = np.zeros((2, 64, 80, 80), np.uint8)
    reference[:28, :30, :30], prediction[-28:, -30:, -30:] = 1, 1
    spacing = (2.5, 0.8, 0.8)
    result = measure(reference, prediction, spacing)
    assert_agrees(result, "organ", of_distances(*transformed(reference > 0, prediction > 0, spacing)))


def test_boolean_maps_are_one_label():
    reference, prediction = np.random.default_rng(5).random((2, 9, 9)) < 0.4
    as_integers = measure(reference.astype(int), prediction.astype(int), (1.0, 2.0))
    assert measure(reference, prediction, (1.0, 2.0)) == as_integers
    assert {(label, metric) for label, metric in as_integers} >= {("organ", name) for name in DISTANCES}
