import math
from math import inf, nan

import pytest

from medseg.metrics import METRICS
from medseg.training.averages import averages, counted_value, selection_score


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


@pytest.mark.parametrize(
    ("metric", "value", "status", "nnunet", "one", "brats"),
    [
        ("dice", 0.8, "ok", 0.8, 0.8, 0.8),
        ("dice", nan, "both_empty", nan, 1, 1),
        ("dice", 0.0, "reference_empty", 0, 0, 0),
        ("dice", nan, "failed", 0, 0, 0),
        ("dice", nan, "missing", 0, 0, 0),
        ("dice", nan, "ok", 0, 0, 0),
        ("hd95", 4.0, "ok", 4, 4, 4),
        ("hd95", nan, "both_empty", nan, 0, 0),
        ("hd95", inf, "prediction_empty", 50, 50, 373.13),
        ("hd95", inf, "reference_empty", 50, 50, 373.13),
        ("hd95", nan, "missing", 50, 50, 373.13),
        ("sensitivity", nan, "both_empty", nan, nan, nan),
        ("sensitivity", nan, "reference_empty", nan, nan, nan),
        ("ece", 0.1, "both_empty", 0.1, 0.1, 0.1),
        ("ece", nan, "failed", 1, 1, 1),
        ("ece_foreground", nan, "both_empty", nan, nan, nan),
        ("volume_difference_ml", 0.0, "both_empty", 0, 0, 0),
        ("volume_difference_ml", nan, "failed", nan, nan, nan),
        ("rvd", nan, "both_empty", nan, nan, nan),
    ],
)
def test_what_a_value_counts(metric, value, status, nnunet, one, brats):
    cell, spec = row("a", value, status, metric), METRICS.load(metric)
    found = [counted_value(cell, spec, policy) for policy in ("nnunet", "one", "brats")]
    assert found == pytest.approx([nnunet, one, brats], nan_ok=True)


def test_the_policy_decides_the_mean():
    rows = [row("a", 0.5), row("b", nan, "both_empty")]
    assert [averages(rows, policy)[0]["mean"] for policy in ("nnunet", "one", "brats")] == [0.5, 0.75, 0.75]


def test_what_has_no_worst_value_is_left_out_and_counted():
    found = only([row("a", 3.0, metric="volume_ml"), row("b", nan, "failed", "volume_ml")])
    assert (found["mean"], found["patients"], found["failed"], found["ranked"]) == (3.0, 1, 1, False)
    assert only([row("a", 0.5)])["ranked"]


def test_selection_averages_cases_then_labels_then_patients():
    rows = [row("p1", 0.8), row("p1", 0.6), row("p2", 0.1), row("p1", 0.2, label="RV")]
    rows.append(row("p2", 99.0, metric="hd95"))
    assert selection_score(rows, "dice") == pytest.approx(((0.7 + 0.2) / 2 + 0.1) / 2)


def test_selection_leaves_out_absent_labels_and_charges_missed_and_failed_ones():
    absent = row("p1", nan, "both_empty")
    assert selection_score([absent, row("p2", 0.4)], "dice") == pytest.approx(0.4)
    assert selection_score([row("p1", nan, "failed"), row("p2", 0.4)], "dice") == pytest.approx(0.2)
    assert selection_score([absent], "dice") == -inf
    distances = [row("p1", inf, "prediction_empty", "hd95"), row("p2", 10.0, metric="hd95")]
    assert selection_score(distances, "hd95") == pytest.approx(-30.0)


def test_selection_follows_the_policy():
    rows = [row("p1", nan, "both_empty"), row("p2", 0.4)]
    assert selection_score(rows, "dice", "one") == pytest.approx(0.7)
    missed = [row("p1", inf, "prediction_empty", "hd95"), row("p2", 10.0, metric="hd95")]
    assert selection_score(missed, "hd95", "brats") == pytest.approx(-(373.13 + 10) / 2)


def test_selection_without_a_worst_value():
    metric = "absolute_volume_difference_ml"
    assert selection_score([row("p1", nan, "failed", metric)], metric) == -inf
    assert selection_score([row("p1", nan, "failed", metric), row("p2", 2.5, metric=metric)], metric) == -2.5


def test_selection_averages_labels_within_the_patient_as_the_leaderboard_does():
    """One label is absent in one patient: (0.2 + 0.8) / 2 of a, 0.4 of b; by label it would be 0.55."""
    rows = [row("a", 0.2), row("a", 0.8, label="RV"), row("b", 0.4), row("b", nan, "both_empty", label="RV")]
    assert selection_score(rows, "dice") == pytest.approx((0.5 + 0.4) / 2)


def test_means_come_with_what_became_of_the_cases():
    rows = [
        row("a", 0.5),
        row("b", nan, "both_empty"),
        row("c", 0.0, "reference_empty"),
        row("d", 0.0, "prediction_empty"),
        row("e", nan, "failed"),
    ]
    found = only(rows)
    assert {key: found[key] for key in ("patients", "empty", "missed", "failed")} == {
        "patients": 4,
        "empty": 2,
        "missed": 1,
        "failed": 1,
    }
