"""One case measured as far as it can be: what is wrong with its probabilities does not cost it its label maps."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from numpy.typing import NDArray

from medseg.metrics import METRICS, MetricValue, evaluate_case, unmeasured_case
from medseg.metrics.reliability import CaseCalibration


def measure_case(
    reference: NDArray[Any],
    prediction: NDArray[Any],
    spacing_mm: Sequence[float],
    labels: Sequence[str],
    metrics: Sequence[str],
    tolerance_mm: Mapping[str, float] | None,
    calibration: CaseCalibration | None,
) -> tuple[list[MetricValue], str]:
    """Measures a case, or what can be measured of it.

    Args:
        reference: As in `evaluate_case`, like all that follows.
        prediction: Class indices of the same shape.
        spacing_mm: Of the maps, along each axis.
        labels: Names of the foreground classes.
        metrics: Registered names.
        tolerance_mm: Distance that counts as no error, by label.
        calibration: What the probabilities said. Where it is lacking or does not fit, metrics of calibration are
            ``failed``, the others are not; where the label maps cannot be measured, all are.

    Returns:
        As many values as `evaluate_case` gives, in the same order; and what is wrong, empty if nothing is.

    Raises:
        UnknownNameError: If a metric is not known.
    """
    measured = partial(evaluate_case, reference, prediction, spacing_mm, labels, tolerance_mm=tolerance_mm)
    try:
        return measured(metrics=metrics, calibration=calibration), ""
    except ValueError as error:
        problem = str(error)
    of_maps = [name for name in metrics if not METRICS.load(name).needs_probabilities]
    try:
        found = {(value.label, value.metric): value for value in measured(metrics=of_maps)}
    except ValueError as error:
        found, problem = {}, str(error)
    failed = unmeasured_case(labels, metrics, "failed", tolerance_mm=tolerance_mm)
    return [found.get((value.label, value.metric), value) for value in failed], problem
