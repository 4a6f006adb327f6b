"""Calibration against the published formula, closed forms, and histograms that are kept and added up."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.metrics import METRICS, evaluate_case
from medseg.metrics.calibration import CaseCalibration, brier, ece, nll
from medseg.metrics.reliability import COLUMNS, REGIONS

NAMES = ("ece", "brier", "nll", "ece_foreground", "brier_foreground", "nll_foreground")


def random_case(seed, channels=4, shape=(3, 8, 9)):
    rng = np.random.default_rng(seed)
    classes = max(channels, 2)
    if channels == 1:
        probabilities = rng.random((1, *shape), dtype=np.float32) ** 2
        prediction = (probabilities[0] >= 0.5).astype(np.uint8)
    else:
        probabilities = rng.random((channels, *shape), dtype=np.float32) ** 4
        probabilities /= probabilities.sum(axis=0)
        prediction = probabilities.argmax(axis=0).astype(np.uint8)
    reference = (rng.integers(0, classes, shape) * rng.integers(0, 2, shape)).astype(np.uint8)
    return probabilities, reference, prediction


def published_ece(p, y, bins):
    """Expected calibration error, MetricsReloaded's formula written out: sum n_b / N |mean p - mean y|."""
    p, total = p.astype(np.float64), 0.0
    edges = np.arange(bins + 1) / bins
    edges[-1] = np.inf
    for low, high in pairwise(edges):
        chosen = (p >= low) & (p < high)
        if chosen.any():
            total += chosen.sum() * abs(p[chosen].mean() - y[chosen].mean())
    return total / len(p)


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("region", REGIONS)
def test_as_the_formulas_say(channels, region):
    probabilities, reference, prediction = random_case(channels, channels)
    found = CaseCalibration.of(probabilities, reference, prediction)
    chosen = np.full(reference.shape, True) if region == "image" else (reference > 0) | (prediction > 0)
    assert found.voxels(region) == chosen.sum()
    flat, classes = (
        probabilities.reshape(channels, *reference.shape)[:, chosen].astype(float),
        reference[chosen],
    )
    whole = np.stack([1 - flat[0], flat[0]]) if channels == 1 else flat
    for label in range(1, len(whole)):
        p, y = whole[label], classes == label
        for bins in (10, 12, 15, 20, 30, 60):
            assert ece(found, label, region, bins) == pytest.approx(published_ece(p, y, bins), rel=1e-9)
        assert brier(found, label, region) == pytest.approx(np.mean((p - y) ** 2), rel=1e-9)
    of_true = whole[classes, np.arange(len(classes))]
    assert nll(found, region=region) == pytest.approx(-np.log(np.maximum(of_true, 1e-7)).mean(), rel=1e-9)


def test_a_bin_holds_its_lower_edge_and_the_last_one_both():
    edges = np.array([0, 1 / 60, 0.1, 0.5, 0.7, 59 / 60, 1])
    found = CaseCalibration.of(edges[None, None], np.ones((1, 7), np.uint8), np.ones((1, 7), np.uint8))
    assert np.repeat(np.arange(60), found.counts[0, 0]).tolist() == [0, 1, 6, 30, 42, 59, 59]
    # As a float of 32 bits 0.7 is a little less, and 0.1 a little more.
    found = CaseCalibration.of(
        np.array([[[0.1, 0.7]]], np.float32), np.ones((1, 2), np.uint8), np.ones((1, 2), np.uint8)
    )
    assert np.repeat(np.arange(60), found.counts[0, 0]).tolist() == [6, 41]


def test_certain_and_right_and_certain_and_wrong():
    reference = np.array([[0, 1, 1, 0]], np.uint8)
    right = CaseCalibration.of(reference[None].astype(np.float32), reference, reference)
    assert (ece(right, 1), brier(right, 1), nll(right)) == (0, 0, 0)
    wrong = CaseCalibration.of(1 - reference[None].astype(np.float32), reference, 1 - reference)
    worst = [METRICS.load(name).worst for name in ("ece", "brier", "nll")]
    assert [ece(wrong, 1), brier(wrong, 1), nll(wrong)] == pytest.approx(worst)
    assert worst[2] == pytest.approx(16.118, abs=1e-3)


def test_a_constant_that_is_the_share_is_calibrated_and_yet_says_little():
    reference = (np.arange(400) % 4 == 0).astype(np.uint8).reshape(20, 20)
    constant = np.full((1, 20, 20), 0.25, np.float32)
    found = CaseCalibration.of(constant, reference, np.zeros((20, 20), np.uint8))
    assert ece(found, 1) == 0
    assert brier(found, 1) == pytest.approx(0.25 * 0.75)
    assert nll(found) == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    # Among the voxels that are foreground, all of them positive, it is 0.75 too low.
    assert ece(found, 1, "foreground") == pytest.approx(0.75)
    off = CaseCalibration.of(constant + np.float32(0.5), reference, np.ones((20, 20), np.uint8))
    assert ece(off, 1) == pytest.approx(0.5)


def test_parts_add_up_to_the_case():
    probabilities, reference, prediction = random_case(5, shape=(7, 30, 40))
    whole = CaseCalibration.of(probabilities, reference, prediction)
    total = CaseCalibration.zeros(3)
    for part in (slice(0, 2), slice(2, 3), slice(3, 7)):
        total += CaseCalibration.of(probabilities[:, part], reference[part], prediction[part])
    for name in ("counts", "positives"):
        np.testing.assert_array_equal(getattr(total, name), getattr(whole, name))
    for name in ("probability", "squared_error", "log_loss"):
        np.testing.assert_allclose(getattr(total, name), getattr(whole, name), rtol=1e-12)
    with pytest.raises(ValueError, match="same labels, got 3 and 1"):
        total + CaseCalibration.zeros(1)


def test_more_voxels_than_are_taken_at_a_time(monkeypatch):
    case = random_case(6, shape=(5, 13, 11))
    whole = CaseCalibration.of(*case)
    monkeypatch.setattr("medseg.metrics.reliability._CHUNK", 17)
    np.testing.assert_array_equal(CaseCalibration.of(*case).counts, whole.counts)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), channels=st.sampled_from([1, 2, 5]))
def test_rows_give_back_the_histograms(seed, channels):
    found = CaseCalibration.of(*random_case(seed, channels, (4, 5)))
    names = [f"label {number}" for number in range(found.labels)]
    rows = found.rows(names)
    assert all(tuple(sorted(row)) == tuple(sorted(COLUMNS)) for row in rows)
    assert all(row["count"] > 0 for row in rows if row["bin"] is not None)
    back = CaseCalibration.from_rows(rows)
    for name in ("counts", "positives", "probability", "squared_error", "log_loss"):
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name))


def test_rows_that_are_not_of_a_calibration():
    rows = CaseCalibration.of(*random_case(0)).rows(["a", "b", "c"])
    with pytest.raises(ValueError, match=r"not those of a case's calibration: KeyError\('region'\)"):
        CaseCalibration.from_rows([{key: row[key] for key in row if key != "region"} for row in rows])
    with pytest.raises(ValueError, match="not those of a case's calibration"):
        CaseCalibration.from_rows([{**rows[0], "bin": 60}])
    with pytest.raises(ValueError, match="3 labels need as many names, got a"):
        CaseCalibration.of(*random_case(0)).rows(["a"])


def test_metrics_of_a_case():
    probabilities, reference, prediction = random_case(2)
    found = CaseCalibration.of(probabilities, reference, prediction)
    rows = evaluate_case(reference, prediction, (1, 1, 1), ["a", "b", "c"], NAMES, calibration=found)
    assert [(row.label, row.metric) for row in rows[-2:]] == [("all", "nll"), ("all", "nll_foreground")]
    values = {(row.label, row.metric): row.value for row in rows}
    assert values["b", "ece"] == ece(found, 2)
    assert values["b", "brier_foreground"] == brier(found, 2, "foreground")
    assert values["all", "nll_foreground"] == nll(found, region="foreground")
    with pytest.raises(ValueError, match="ece needs calibration"):
        evaluate_case(reference, prediction, (1, 1, 1), ["a", "b", "c"], ["ece"])


def test_no_foreground_anywhere():
    background = np.zeros((4, 4), np.uint8)
    found = CaseCalibration.of(np.full((1, 4, 4), 0.25, np.float32), background, background)
    assert (ece(found, 1), brier(found, 1)) == (0.25, 0.0625)
    for value in (
        ece(found, 1, "foreground"),
        brier(found, 1, "foreground"),
        nll(found, region="foreground"),
    ):
        assert math.isnan(value)


def test_definitions_say_bins_classes_and_region():
    for name in NAMES:
        definition = METRICS.load(name).definition
        assert definition.startswith(f"{name}/")
        assert ("bins15" in definition) == name.startswith("ece")
        assert ("classwise" in definition) == (not name.startswith("nll"))


def test_rounding_of_interpolation_is_forgiven():
    grid = np.zeros((1, 2), np.uint8)
    found = CaseCalibration.of(np.array([[[-1e-7, 1 + 1e-7]]], np.float32), grid, grid)
    assert found.counts[0, 0, [0, 59]].tolist() == [1, 1]
    assert found.probability.sum() == 1


GRID = np.zeros((4, 4), np.uint8)
FLAT = np.full((1, 4, 4), 0.5, np.float32)


@pytest.mark.parametrize(
    ("probabilities", "reference", "prediction", "message"),
    [
        (FLAT[0], GRID, GRID, r"\(C, \*grid\).* got \(4, 4\), \(4, 4\) and \(4, 4\)"),
        (FLAT, GRID[:3], GRID, r"got \(1, 4, 4\), \(3, 4\) and \(4, 4\)"),
        (FLAT, GRID, GRID[None], r"got \(1, 4, 4\), \(4, 4\) and \(1, 4, 4\)"),
        (FLAT[:0], GRID, GRID, r"not empty, got \(0, 4, 4\)"),
        (np.where(GRID == 0, np.nan, FLAT), GRID, GRID, r"lie in 0\.\.1, got values nan\.\.nan"),
        (FLAT * np.inf, GRID, GRID, r"got values inf\.\.inf"),
        (FLAT * 3, GRID, GRID, r"lie in 0\.\.1, got values 1\.5\.\.1\.5"),
        (-FLAT, GRID, GRID, r"got values -0\.5\.\.-0\.5"),
        (FLAT.astype(int), GRID, GRID, "must be floats, got int64"),
        (FLAT, GRID + 2, GRID, r"reference must hold class indices 0\.\.1 for 1 channels, got 2\.\.2"),
        (FLAT, GRID, GRID + 3, r"prediction must hold class indices 0\.\.1 for 1 channels, got 3\.\.3"),
    ],
)
def test_bad_input_is_named(probabilities, reference, prediction, message):
    with pytest.raises(ValueError, match=message):
        CaseCalibration.of(probabilities, reference, prediction)


def test_bins_and_labels_that_do_not_exist():
    found = CaseCalibration.of(*random_case(0))
    with pytest.raises(ValueError, match="bins must divide 60, got 16"):
        ece(found, 1, bins=16)
    for index in (0, 4):
        with pytest.raises(ValueError, match=rf"one of the 3 labels, from 1, got {index}"):
            brier(found, index)
