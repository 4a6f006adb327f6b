"""Empty masks, order, definitions and bad input."""

import math
import subprocess
import sys
from math import inf, nan

import numpy as np
import pytest

from medseg.errors import UnknownNameError
from medseg.metrics import METRICS, MetricSpec, diagonal_mm, evaluate_case, unmeasured_case
from medseg.metrics.spec import EmptyValues

FULL, EMPTY = np.ones((4, 4), int), np.zeros((4, 4), int)
DISTANCES = ("hd", "hd95", "assd", "masd")


@pytest.mark.parametrize(
    ("reference", "prediction", "status", "overlap", "distance", "sensitivity", "precision"),
    [
        (EMPTY, EMPTY, "both_empty", nan, nan, nan, nan),
        (EMPTY, FULL, "reference_empty", 0.0, inf, nan, 0.0),
        (FULL, EMPTY, "prediction_empty", 0.0, inf, 0.0, 0.0),
        (FULL, FULL, "ok", 1.0, 0.0, 1.0, 1.0),
    ],
)
def test_empty_masks(reference, prediction, status, overlap, distance, sensitivity, precision):
    rows = evaluate_case(reference, prediction, (1, 1), ["a"], METRICS.names())
    values = {row.metric: row.value for row in rows}
    expected = {"dice": overlap, "iou": overlap, "sensitivity": sensitivity, "precision": precision}
    expected |= dict.fromkeys(DISTANCES, distance)
    for metric, value in expected.items():
        assert values[metric] == pytest.approx(value, nan_ok=True), metric
    assert {row.status for row in rows if row.metric != "pixel_accuracy"} == {status}
    assert values["pixel_accuracy"] == np.mean(reference == prediction)
    assert {row.status for row in rows if row.metric == "pixel_accuracy"} == {"ok"}


def test_one_label_may_be_empty_while_another_is_not():
    reference = np.array([[1, 1, 0, 0], [0, 0, 0, 3]])
    prediction = np.array([[1, 0, 0, 2], [0, 0, 0, 0]])
    rows = evaluate_case(reference, prediction, (1, 1), ["rv", "myo", "lv", "la"], ["dice"])
    assert [(row.label, row.status) for row in rows] == [
        ("rv", "ok"),
        ("myo", "reference_empty"),
        ("lv", "prediction_empty"),
        ("la", "both_empty"),
    ]
    assert rows[0].value == pytest.approx(2 / 3)


def test_values_come_by_label_then_metric_with_their_definition():
    rows = evaluate_case(FULL, FULL, (1, 1), ["a", "b"], ["hd95", "pixel_accuracy", "dice"])
    assert [(row.label, row.metric, row.definition) for row in rows] == [
        ("a", "hd95", "hd95/erode1/maxdir/linear/v1"),
        ("a", "dice", "dice/v1"),
        ("b", "hd95", "hd95/erode1/maxdir/linear/v1"),
        ("b", "dice", "dice/v1"),
        ("all", "pixel_accuracy", "pixel_accuracy/v1"),
    ]


def test_a_metric_by_its_path_keeps_the_name_it_was_asked_for():
    (row,) = evaluate_case(FULL, FULL, (1, 1), ["a"], ["medseg.metrics.overlap:DICE"])
    assert row.metric == "medseg.metrics.overlap:DICE"
    assert METRICS.load(row.metric).definition == row.definition == "dice/v1"


@pytest.mark.parametrize("status", ["missing", "failed"])
def test_an_unmeasured_case_has_the_same_rows_without_values(status):
    metrics = ("dice", "pixel_accuracy", "hd")
    measured = evaluate_case(FULL, FULL, (1, 1), ["a", "b"], metrics)
    rows = unmeasured_case(["a", "b"], metrics, status)
    keys = [(row.label, row.metric, row.definition) for row in measured]
    assert [(row.label, row.metric, row.definition) for row in rows] == keys
    assert all(math.isnan(row.value) and row.status == status for row in rows)


def test_inputs_are_not_changed_and_may_be_read_only_views():
    rng = np.random.default_rng(0)
    reference, prediction = rng.integers(0, 3, (2, 6, 7, 8))
    for array in (reference, prediction):
        array.flags.writeable = False
    names = METRICS.names()
    plain = evaluate_case(reference, prediction, (3, 1, 1), ["a", "b"], names)
    turned = evaluate_case(reference.T, prediction.T, (1, 1, 3), ["a", "b"], names)
    for one, other in zip(plain, turned, strict=True):
        assert one.value == pytest.approx(other.value)


def test_boolean_masks_are_one_label():
    (row,) = evaluate_case(FULL.astype(bool), EMPTY.astype(bool), (1, 1), ["a"], ["dice"])
    assert row.status == "prediction_empty"


def test_more_labels_than_8_bits_hold():
    reference = np.full((3, 3), 300)
    rows = evaluate_case(reference, reference, (1, 1), [str(k) for k in range(1, 301)], ["dice"])
    assert [(row.label, row.value) for row in rows if row.status == "ok"] == [("300", 1.0)]


@pytest.mark.parametrize(
    ("reference", "prediction", "spacing", "message"),
    [
        (FULL, FULL[:3], (1, 1), r"same shape, got \(4, 4\) and \(3, 4\)"),
        (FULL[0], FULL[0], (1,), r"2D or 3D and not empty, got shape \(4,\)"),
        (FULL[:0], FULL[:0], (1, 1), r"2D or 3D and not empty, got shape \(0, 4\)"),
        (FULL, FULL * 0.5, (1, 1), "prediction must hold integer class indices, got float64"),
        (FULL * 2, FULL, (1, 1), r"reference must hold class indices 0\.\.1, got values 2\.\.2"),
        (FULL, -FULL, (1, 1), r"prediction must hold class indices 0\.\.1, got values -1\.\.-1"),
        (FULL, FULL, (1, 1, 1), r"spacing_mm must be 2 numbers above 0, got \(1, 1, 1\)"),
        (FULL, FULL, (1, 0), r"spacing_mm must be 2 numbers above 0, got \(1, 0\)"),
        (FULL, FULL, (1, -2.5), r"got \(1, -2\.5\)"),
        (FULL, FULL, (nan, 1), r"got \(nan, 1\)"),
    ],
)
def test_bad_input_is_named(reference, prediction, spacing, message):
    with pytest.raises(ValueError, match=message):
        evaluate_case(reference, prediction, spacing, ["a"], ["dice"])


def test_unknown_metric_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown metric 'hd59', did you mean 'hd95'\?"):
        evaluate_case(FULL, FULL, (1, 1), ["a"], ["hd59"])


def test_diagonal():
    assert diagonal_mm((240, 240, 155), (1, 1, 1)) == pytest.approx(373.13, abs=0.005)  # BraTS's penalty
    assert diagonal_mm((3, 4), (1, 1)) == 5
    with pytest.raises(ValueError, match="spacing_mm must be 2 numbers above 0"):
        diagonal_mm((3, 4), (1,))


@pytest.mark.parametrize("name", METRICS.names())
def test_registered_metrics_are_described(name):
    spec = METRICS.load(name)
    assert isinstance(spec, MetricSpec)
    assert spec.name == name
    assert spec.definition.split("/")[0] == name
    assert spec.definition.endswith("/v1")
    assert spec.distance == (name in DISTANCES)
    assert spec.higher_is_better != spec.distance
    assert spec.per_label == (name != "pixel_accuracy")
    assert spec.worst_value(12.5) == (12.5 if spec.distance else 0.0)


def test_a_spec_is_either_of_labels_or_of_cases():
    common = {"name": "x", "title": "X", "definition": "x/v1", "higher_is_better": True, "worst": "zero"}
    empty = EmptyValues(both=0, reference=0, prediction=0)
    with pytest.raises(ValueError, match="metric x needs either of_label or of_case"):
        MetricSpec(**common)
    with pytest.raises(ValueError, match="metric x: empty belongs to of_label"):
        MetricSpec(**common, of_case=lambda maps: 0.0, empty=empty)


def test_metrics_need_no_torch():
    code = (
        "import sys, numpy as np; from medseg.metrics import METRICS, evaluate_case; "
        "m = np.eye(3, dtype=int); evaluate_case(m, m, (1, 1), ['a'], METRICS.names()); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
