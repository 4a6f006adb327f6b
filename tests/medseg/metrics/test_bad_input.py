"""What cannot be measured is refused, with what came and what must hold."""

from math import inf, nan

import numpy as np
import pytest

from medseg.metrics import evaluate_case

FLAT, VOLUME = np.ones((4, 5), int), np.ones((3, 4, 5), int)
EVERY = ["dice", "hd", "hd95", "assd", "masd", "nsd"]


def refused(
    message, reference=FLAT, prediction=None, spacing=None, labels=("a",), metrics=EVERY, tolerance=1.0
):
    prediction = reference if prediction is None else prediction
    spacing = (1.0,) * reference.ndim if spacing is None else spacing
    with pytest.raises(ValueError, match=message):
        evaluate_case(reference, prediction, spacing, labels, metrics, tolerance_mm=tolerance)


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (FLAT, FLAT[:3], r"same shape, got \(4, 5\) and \(3, 5\)"),
        (FLAT, FLAT.T, r"same shape, got \(4, 5\) and \(5, 4\)"),
        (VOLUME, FLAT, r"same shape, got \(3, 4, 5\) and \(4, 5\)"),
        (VOLUME, VOLUME[None], r"same shape, got \(3, 4, 5\) and \(1, 3, 4, 5\)"),
    ],
)
def test_shapes_that_differ(one, other, message):
    refused(message, one, other)
    with pytest.raises(ValueError, match="same shape"):
        evaluate_case(other, one, (1.0,) * other.ndim, ["a"], EVERY, tolerance_mm=1.0)


@pytest.mark.parametrize("shape", [(), (4,), (1, 2, 3, 4), (0, 4), (3, 0, 4), (2, 2, 0)])
def test_shapes_that_are_no_image(shape):
    text = str(shape).replace("(", r"\(").replace(")", r"\)")
    refused(f"2D or 3D and not empty, got shape {text}", np.zeros(shape, int))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64, object, "U1", "M8[s]"])
def test_labels_that_are_no_integers(dtype):
    odd = np.ones((4, 5)).astype(dtype) if dtype != "M8[s]" else np.zeros((4, 5), dtype)
    refused("reference must hold integer class indices, got", odd, FLAT)
    refused("prediction must hold integer class indices, got", FLAT, odd)


@pytest.mark.parametrize(
    ("value", "labels"), [(2, 1), (-1, 1), (255, 3), (300, 9), (2**40, 300), (-(2**40), 300)]
)
def test_labels_that_the_task_does_not_know(value, labels):
    names = [str(index) for index in range(1, labels + 1)]
    odd = FLAT.copy()
    odd[2, 3] = value
    low, high = min(value, 1), max(value, 1)
    message = rf"must hold class indices 0\.\.{labels}, got values {low}\.\.{high}"
    refused("reference " + message, odd, FLAT, labels=names)
    refused("prediction " + message, FLAT, odd, labels=names)


def test_labels_of_unsigned_64_bits_do_not_wrap():
    odd = FLAT.astype(np.uint64)
    odd[0, 0] = 2**64 - 1
    refused(rf"got values 1\.\.{2**64 - 1}", odd, FLAT)


@pytest.mark.parametrize(
    "spacing", [(), (1.0,), (1.0, 1.0, 1.0), (0.0, 1.0), (1.0, -2.0), (nan, 1.0), (1.0, inf)]
)
@pytest.mark.parametrize("metrics", [["dice"], ["hd"], ["nsd"], ["pixel_accuracy"], EVERY])
def test_spacings_that_are_none(spacing, metrics):
    refused("spacing_mm must be 2 numbers above 0, got", spacing=spacing, metrics=metrics)


@pytest.mark.parametrize("tolerance", [-1.0, -1e-300, nan, inf, -inf])
def test_tolerances_that_are_none(tolerance):
    refused("tolerance_mm of a must be a number from 0, got", tolerance=tolerance)
    refused("tolerance_mm of b must be", labels=("a", "b"), tolerance={"a": 1.0, "b": tolerance})


@pytest.mark.parametrize(("tolerance", "lacking"), [(None, "a, b"), ({}, "a, b"), ({"a": 1.0}, "b")])
def test_a_tolerance_that_is_missing(tolerance, lacking):
    refused(rf"nsd needs tolerance_mm.* of {lacking}$", labels=("a", "b"), tolerance=tolerance)


def test_what_needs_no_tolerance_is_measured_without():
    rows = evaluate_case(FLAT, FLAT, (1.0, 1.0), ["a"], ["dice", "hd"])
    assert [row.value for row in rows] == [1.0, 0.0]


def test_volumes_of_an_image():
    refused("volume_ml needs 3D label maps, got 2D", metrics=["volume_ml"])


def test_probabilities_that_are_missing():
    refused("ece needs calibration", metrics=["ece"])
