"""Empty masks, order, definitions and bad input."""

import math
import subprocess
import sys
from math import inf, nan

import numpy as np
import pytest

from medseg.errors import UnknownNameError
from medseg.metrics import METRICS, MetricSpec, diagonal_mm, evaluate_case, unmeasured_case
from medseg.metrics.calibration import CaseCalibration
from medseg.metrics.spec import EmptyValues

PLAIN = tuple(
    name
    for name in METRICS.names()
    if not METRICS.load(name).needs_probabilities and METRICS.load(name).quantity != "volume"
)
"""What label maps of any dimension suffice for."""

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
    rows = evaluate_case(reference, prediction, (1, 1), ["a"], PLAIN, tolerance_mm=1)
    values = {row.metric: row.value for row in rows}
    expected = {
        "dice": overlap,
        "iou": overlap,
        "nsd": overlap,
        "sensitivity": sensitivity,
        "precision": precision,
    }
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
    plain = evaluate_case(reference, prediction, (3, 1, 1), ["a", "b"], PLAIN, tolerance_mm=1.5)
    turned = evaluate_case(reference.T, prediction.T, (1, 1, 3), ["a", "b"], PLAIN, tolerance_mm=1.5)
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
        (FULL, FULL, (1, 1e-170), r"numbers above 0, got \(1, 1e-170\)"),
    ],
)
def test_bad_input_is_named(reference, prediction, spacing, message):
    with pytest.raises(ValueError, match=message):
        evaluate_case(reference, prediction, spacing, ["a"], ["dice"])


def test_a_label_comes_once():
    with pytest.raises(ValueError, match="labels must differ, got a, a"):
        evaluate_case(FULL, FULL, (1, 1), ["a", "a"], ["dice"])


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
    assert spec.needs_tolerance == (name == "nsd")
    assert spec.per_label == (name not in ("pixel_accuracy", "nll", "nll_foreground"))
    assert spec.quantity == ("length" if name in DISTANCES else "volume" if name.endswith("_ml") else "ratio")
    if spec.quantity == "length":
        assert not spec.higher_is_better
        assert spec.worst_value(12.5) == 12.5
        assert spec.empty == EmptyValues(both=nan, reference=inf, prediction=inf, agreed=0.0)
    elif spec.ranked and spec.higher_is_better:
        assert spec.worst_value(12.5) == 0.0


def test_units_and_definitions_are_of_the_task():
    assert [METRICS.load(name).unit("px") for name in ("dice", "hd95", "volume_ml")] == ["", "px", "mL"]
    maps = np.zeros((2, 4, 4), int)
    maps[:, 1:3, 1:3] = 1
    rows = evaluate_case(maps, maps, (1, 1, 1), ["a"], ["nsd", "hd"], tolerance_mm={"a": 2.5})
    assert [row.definition for row in rows] == ["nsd/marching-cubes/tau=2.5/v1", "hd/erode1/max/v1"]
    third = METRICS.load("nsd").definition_with(1 / 3)
    assert third != METRICS.load("nsd").definition_with(0.333333)
    (row,) = unmeasured_case(["a"], ["nsd"], "failed", tolerance_mm=2)
    assert row.definition == "nsd/marching-cubes/tau=2/v1"


@pytest.mark.parametrize(
    ("metrics", "tolerance", "message"),
    [
        (["nsd"], None, "nsd needs tolerance_mm, the distance that counts as no error, of a, b"),
        (["dice", "nsd"], {"a": 1.0}, "nsd needs tolerance_mm, .* of b$"),
        (["nsd"], -1.0, r"tolerance_mm of a must be a number from 0, got -1\.0"),
        (["nsd"], nan, "tolerance_mm of a must be a number from 0, got nan"),
        (
            ["nsd"],
            {"a": 1, "b": 1, "c": 1},
            "tolerance_mm is given for 'c', which is none of the labels a, b",
        ),
        (["volume_ml"], None, "volume_ml needs 3D label maps, got 2D"),
        (["ece"], None, "ece needs calibration"),
    ],
)
def test_what_a_metric_needs_is_named(metrics, tolerance, message):
    with pytest.raises(ValueError, match=message):
        evaluate_case(FULL, FULL, (1, 1), ["a", "b"], metrics, tolerance_mm=tolerance)


def test_probabilities_must_be_of_the_same_case():
    one = CaseCalibration.of(np.full((1, 4, 4), 0.5, np.float32), FULL, FULL)
    with pytest.raises(ValueError, match=r"of the 2 labels and 16 voxels .* is of 1 labels and 16 voxels"):
        evaluate_case(FULL, FULL, (1, 1), ["a", "b"], ["nll"], calibration=one)
    with pytest.raises(ValueError, match=r"of the 1 labels and 8 voxels .* is of 1 labels and 16 voxels"):
        evaluate_case(FULL[:2], FULL[:2], (1, 1), ["a"], ["nll"], calibration=one)


def test_a_region_without_voxels_is_not_a_failure():
    nothing = CaseCalibration.of(np.zeros((1, 4, 4), np.float32), EMPTY, EMPTY)
    rows = evaluate_case(EMPTY, EMPTY, (1, 1), ["a"], ["nll", "nll_foreground"], calibration=nothing)
    assert [(row.status, math.isnan(row.value)) for row in rows] == [("ok", False), ("both_empty", True)]


COMMON = {"name": "x", "title": "X", "definition": "x/v1", "higher_is_better": True, "worst": 0.0}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "metric x needs one of of_label, of_case and of_calibration"),
        ({"of_case": len, "of_label": len}, "metric x needs one of"),
        (
            {"of_case": len, "empty": EmptyValues(both=0, reference=0, prediction=0)},
            "empty belongs to of_label",
        ),
        ({"of_case": len, "of_whole_case": True}, "of_whole_case belongs to of_calibration"),
        ({"of_case": len, "worst": nan}, "ranked needs a worst value, else failures would go unpunished"),
        ({"of_case": len, "worst": "zero"}, "worst must be a number or 'diagonal', got 'zero'"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        MetricSpec(**COMMON | fields)


def test_metrics_need_no_torch():
    code = (
        "import sys, numpy as np; from medseg.metrics import METRICS, evaluate_case; "
        "m = np.eye(3, dtype=int)[None]; "
        "names = [n for n in METRICS.names() if not METRICS.load(n).needs_probabilities]; "
        "evaluate_case(m, m, (1, 1, 1), ['a'], names, tolerance_mm=1); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_metric_of_others_that_raises_is_named(monkeypatch):
    broken = MetricSpec(**COMMON, of_label=lambda pair: 1 / 0)
    monkeypatch.setattr(type(METRICS), "load", lambda self, name: broken)
    with pytest.raises(ValueError, match="metric mine raised ZeroDivisionError on a: division by zero"):
        evaluate_case(FULL, FULL, (1, 1), ["a"], ["mine"])


def test_a_metric_without_a_value_has_failed(monkeypatch):
    nothing = MetricSpec(**COMMON, of_label=lambda pair: nan)
    monkeypatch.setattr(type(METRICS), "load", lambda self, name: nothing)
    (row,) = evaluate_case(FULL, FULL, (1, 1), ["a"], ["mine"])
    assert row.status == "failed"
