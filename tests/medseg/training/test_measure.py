"""What can be measured of a case is measured, whatever is wrong with the rest."""

import numpy as np
import pytest

from medseg.errors import UnknownNameError
from medseg.metrics import evaluate_case, unmeasured_case
from medseg.metrics.reliability import CaseCalibration
from medseg.training.measure import measure_case

LABELS, METRICS, TOLERANCES = (
    ("a", "b"),
    ("nll", "dice", "ece", "nsd", "pixel_accuracy"),
    {"a": 1.0, "b": 2.0},
)
SPACING = (1.0, 2.0)


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    return rng.integers(0, 3, (2, 6, 7)).astype(np.uint8)


@pytest.fixture
def calibration(maps):
    probabilities = np.random.default_rng(1).random((3, 6, 7))
    return CaseCalibration.of(probabilities, *maps)


def test_a_whole_case_is_what_evaluate_case_gives(maps, calibration):
    wanted = evaluate_case(*maps, SPACING, LABELS, METRICS, tolerance_mm=TOLERANCES, calibration=calibration)
    assert measure_case(*maps, SPACING, LABELS, METRICS, TOLERANCES, calibration) == (wanted, "")


@pytest.mark.parametrize("other", ["none", "labels", "voxels"])
def test_calibration_that_is_lacking_or_of_something_else_costs_its_own_values_only(maps, calibration, other):
    given = {
        "none": None,
        "labels": CaseCalibration.zeros(1),
        "voxels": calibration + calibration,
    }[other]
    whole, _ = measure_case(*maps, SPACING, LABELS, METRICS, TOLERANCES, calibration)
    values, problem = measure_case(*maps, SPACING, LABELS, METRICS, TOLERANCES, given)
    for value, wanted in zip(values, whole, strict=True):
        if value.metric in ("ece", "nll"):
            assert (value.status, np.isnan(value.value)) == ("failed", True)
            assert (value.label, value.metric, value.definition) == (
                wanted.label, wanted.metric, wanted.definition,
            )  # fmt: skip
        else:
            assert value == wanted
    assert problem.startswith(
        "nll needs calibration" if given is None else "calibration must be of the 2 labels"
    )


def test_maps_that_cannot_be_measured_cost_all(maps, calibration):
    reference, prediction = maps
    failed = unmeasured_case(LABELS, METRICS, "failed", tolerance_mm=TOLERANCES)
    values, problem = measure_case(
        reference, prediction[1:], SPACING, LABELS, METRICS, TOLERANCES, calibration
    )
    assert repr(values) == repr(failed)
    assert problem == "reference and prediction must have the same shape, got (6, 7) and (5, 7)"


def test_metrics_of_calibration_alone_can_fail(maps):
    values, problem = measure_case(*maps, SPACING, LABELS, ("ece",), None, None)
    assert {value.status for value in values} == {"failed"}
    assert problem.startswith("ece needs calibration")


def test_a_metric_nobody_knows_is_no_case_that_failed(maps):
    with pytest.raises(UnknownNameError):
        measure_case(*maps, SPACING, LABELS, ("dise",), None, None)
