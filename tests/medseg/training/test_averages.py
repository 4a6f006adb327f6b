import math

import pytest

from medseg.training.averages import averages


def row(patient, value, status="ok", metric="dice", label="LV", part="test"):
    unit = "mm" if metric == "hd95" else ""
    return {
        "part": part,
        "label": label,
        "metric": metric,
        "patient": patient,
        "value": value,
        "status": status,
        "unit": unit,
        "diagonal": 50.0,
    }


def only(rows):
    (found,) = averages(rows)
    return found


def test_images_are_averaged_within_the_patient_first():
    found = only([row("a", 0.2), row("a", 0.4), row("b", 0.9)])
    assert found["mean"] == pytest.approx((0.3 + 0.9) / 2)
    assert (found["patients"], found["failed"]) == (2, 0)


def test_a_label_that_is_in_neither_mask_is_left_out():
    found = only([row("a", 0.5), row("b", math.nan, "both_empty")])
    assert (found["mean"], found["patients"], found["failed"]) == (0.5, 1, 0)
    assert only([row("b", math.nan, "both_empty")])["mean"] is None


def test_a_failed_case_counts_as_the_worst():
    assert only([row("a", 0.5), row("b", math.nan, "failed")])["mean"] == 0.25
    assert only([row("a", 0.5), row("b", math.nan)])["failed"] == 1
    found = only([row("a", 10.0, metric="hd95"), row("b", math.nan, "missing", metric="hd95")])
    assert (found["mean"], found["unit"], found["failed"]) == (30.0, "mm", 1)


def test_a_missed_distance_counts_the_diagonal():
    found = only([row("a", 10.0, metric="hd95"), row("b", math.inf, "prediction_empty", metric="hd95")])
    assert (found["mean"], found["failed"]) == (30.0, 0)


def test_parts_labels_and_metrics_stay_apart():
    rows = [row("a", 0.1), row("a", 0.2, part="validation"), row("a", 0.3, label="RV")]
    assert [(r["part"], r["label"], r["mean"]) for r in averages(rows)] == [
        ("test", "LV", 0.1),
        ("validation", "LV", 0.2),
        ("test", "RV", 0.3),
    ]
