"""All metrics of one case in one pass."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from medseg.metrics import METRICS
from medseg.metrics.maps import LabelMaps, MaskPair
from medseg.metrics.spec import ALL_LABELS, MetricSpec, MetricValue, Status

if TYPE_CHECKING:
    from medseg.metrics.calibration import CaseCalibration

Tolerances = float | Mapping[str, float] | None


def evaluate_case(
    reference: NDArray[Any],
    prediction: NDArray[Any],
    spacing_mm: Sequence[float],
    labels: Sequence[str],
    metrics: Sequence[str],
    *,
    tolerance_mm: Tolerances = None,
    calibration: "CaseCalibration | None" = None,
) -> list[MetricValue]:
    """Measures a prediction on its native grid.

    Counts, boundaries and distances are computed once per label, on the bounding box of its two masks,
    and shared by all metrics. Empty masks give the values of each metric's `empty`, and a status. A metric
    that gives NaN where both masks hold the label has status ``failed``.

    Args:
        reference: Class indices, integers (Z, Y, X) or (Y, X); 0 is background, ``1..K`` are `labels`.
        prediction: Class indices of the same shape.
        spacing_mm: Distance of neighbouring voxels along each axis; mm, or px for images without spacing.
        labels: Names of the K foreground classes.
        metrics: Registered names, or ``module:ATTRIBUTE`` of a `MetricSpec`.
        tolerance_mm: Distance that counts as no error (`nsd`), of all labels or by label; in the spacing's unit.
        calibration: What the probabilities said, for metrics of calibration.

    Returns:
        Values by label, then metric, as given; those of the whole case come last, with label ``all``.

    Raises:
        ValueError: If shapes differ or are neither 2D nor 3D, a map is empty, not integer or holds a class
            that has no label, or a spacing is missing or not above 0; if a metric needs a tolerance or
            probabilities that are not given, or is a volume and the maps are 2D.
            A metric that raises is named by a ValueError, too.
        UnknownNameError: If a metric is not known.
    """
    specs = _specs(metrics)
    tolerances = _tolerances(tolerance_mm, labels, specs)
    for name, spec in specs:
        _check_fit(name, spec, reference.ndim, calibration)
    maps = LabelMaps(*_checked(reference, prediction, spacing_mm, labels), labels, tolerances)
    if calibration is not None:
        _check_calibration(calibration, maps)
    values = []
    per_label = [(name, spec) for name, spec in specs if spec.per_label]
    for index, label in enumerate(labels if per_label else (), start=1):
        pair = maps.pair(index)
        status = pair.status
        for name, spec in per_label:
            definition = spec.definition_with(tolerances.get(label))
            value = _guarded(name, label, partial(_value, spec, pair, status, calibration))
            values.append(_row(label, name, definition, value, status))
    for name, spec in specs:
        if not spec.per_label:
            value = _guarded(name, ALL_LABELS, partial(_case_value, spec, maps, calibration))
            # No label in either map: there is no region to look at.
            status = "both_empty" if spec.needs_probabilities and math.isnan(value) else "ok"
            values.append(_row(ALL_LABELS, name, spec.definition, value, status))
    return values


def unmeasured_case(
    labels: Sequence[str],
    metrics: Sequence[str],
    status: Literal["missing", "failed"],
    *,
    tolerance_mm: Tolerances = None,
) -> list[MetricValue]:
    """Returns the rows of a case that has no prediction, or whose measuring failed: NaN with a status.

    Args:
        labels: Names of the foreground classes.
        metrics: Registered names.
        status: What happened.
        tolerance_mm: As in `evaluate_case`; part of the definition of what was not measured.

    Returns:
        As many values as `evaluate_case` gives, in the same order.

    Raises:
        UnknownNameError: If a metric is not known.
    """
    specs = _specs(metrics)
    tolerances = _tolerances(tolerance_mm, labels, specs)
    rows = [
        (label, name, spec.definition_with(tolerances.get(label)))
        for label in labels
        for name, spec in specs
        if spec.per_label
    ]
    rows += [(ALL_LABELS, name, spec.definition) for name, spec in specs if not spec.per_label]
    return [MetricValue(label, name, definition, math.nan, status) for label, name, definition in rows]


def diagonal_mm(shape: Sequence[int], spacing_mm: Sequence[float]) -> float:
    """Returns the length of an image's diagonal, in the spacing's unit: the penalty for a missed distance.

    BraTS's 373.13 is that of 240 x 240 x 155 voxels of 1 mm.

    Raises:
        ValueError: If the lengths differ, or a spacing is not above 0.
    """
    _check_spacing(spacing_mm, len(shape))
    return math.hypot(*(side * step for side, step in zip(shape, spacing_mm, strict=True)))


def _row(label: str, metric: str, definition: str, value: float, status: Status) -> MetricValue:
    if status == "ok" and math.isnan(value):
        # Of a metric that gave no value where it should have one.
        status = "failed"
    return MetricValue(label, metric, definition, value, status)


def _guarded(metric: str, label: str, measure: Callable[[], float]) -> float:
    """Says which metric raised, and on what: it may be anyone's."""
    try:
        return measure()
    except Exception as error:
        raise ValueError(f"metric {metric} raised {type(error).__name__} on {label}: {error}") from error


def _specs(metrics: Sequence[str]) -> list[tuple[str, MetricSpec]]:
    return [(name, METRICS.load(name)) for name in metrics]


def _value(spec: MetricSpec, pair: MaskPair, status: Status, calibration: "CaseCalibration | None") -> float:
    if spec.of_calibration is not None:
        assert calibration is not None
        return spec.of_calibration(calibration, pair.index)
    assert spec.of_label is not None
    if status == "ok" or spec.empty is None:
        return spec.of_label(pair)
    if status == "both_empty":
        return spec.empty.both
    return spec.empty.reference if status == "reference_empty" else spec.empty.prediction


def _case_value(spec: MetricSpec, maps: LabelMaps, calibration: "CaseCalibration | None") -> float:
    if spec.of_case is not None:
        return spec.of_case(maps)
    assert spec.of_calibration is not None
    assert calibration is not None
    return spec.of_calibration(calibration, 0)


def _tolerances(
    tolerance_mm: Tolerances, labels: Sequence[str], specs: Sequence[tuple[str, MetricSpec]]
) -> dict[str, float]:
    given = tolerance_mm if isinstance(tolerance_mm, Mapping) else dict.fromkeys(labels, tolerance_mm)
    tolerances = {label: float(value) for label, value in given.items() if value is not None}
    for label, value in tolerances.items():
        if label not in labels:
            raise ValueError(
                f"tolerance_mm is given for '{label}', which is none of the labels {', '.join(labels)}"
            )
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"tolerance_mm of {label} must be a number from 0, got {value}")
    lacking = [label for label in labels if label not in tolerances]
    for name, spec in specs:
        if spec.needs_tolerance and lacking:
            raise ValueError(
                f"{name} needs tolerance_mm, the distance that counts as no error, of {', '.join(lacking)}"
            )
    return tolerances


def _check_calibration(calibration: "CaseCalibration", maps: LabelMaps) -> None:
    came = (calibration.labels, calibration.voxels("image"))
    if came != (len(maps.labels), maps.reference.size):
        raise ValueError(
            f"calibration must be of the {len(maps.labels)} labels and {maps.reference.size} voxels of the maps, "
            f"is of {came[0]} labels and {came[1]} voxels"
        )


def _check_fit(name: str, spec: MetricSpec, dimensions: int, calibration: "CaseCalibration | None") -> None:
    if spec.needs_probabilities and calibration is None:
        raise ValueError(
            f"{name} needs calibration: what the probabilities said, which label maps do not tell"
        )
    if spec.quantity == "volume" and dimensions != 3:
        raise ValueError(f"{name} needs 3D label maps, got {dimensions}D")


def _checked(
    reference: NDArray[Any], prediction: NDArray[Any], spacing_mm: Sequence[float], labels: Sequence[str]
) -> tuple[NDArray[np.integer], NDArray[np.integer], Sequence[float]]:
    if reference.shape != prediction.shape:
        raise ValueError(
            f"reference and prediction must have the same shape, got {reference.shape} and {prediction.shape}"
        )
    if reference.ndim not in (2, 3) or reference.size == 0:
        raise ValueError(f"label maps must be 2D or 3D and not empty, got shape {reference.shape}")
    _check_spacing(spacing_mm, reference.ndim)
    if len(set(labels)) < len(labels):
        raise ValueError(f"labels must differ, got {', '.join(labels)}")
    ours = _class_indices("reference", reference, len(labels))
    return ours, _class_indices("prediction", prediction, len(labels)), spacing_mm


def _class_indices(name: str, array: NDArray[Any], labels: int) -> NDArray[np.integer]:
    if array.dtype == np.bool_:
        array = array.view(np.uint8)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must hold integer class indices, got {array.dtype}")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > labels:
        raise ValueError(f"{name} must hold class indices 0..{labels}, got values {low}..{high}")
    # 8 bits hold every class and keep the passes over the volume short.
    return array.astype(np.uint8 if labels < 256 else np.int64, copy=False)


def _check_spacing(spacing_mm: Sequence[float], dimensions: int) -> None:
    if len(spacing_mm) != dimensions or not all(_is_length(s) for s in spacing_mm):
        came = ", ".join(f"{s:g}" for s in spacing_mm)
        raise ValueError(f"spacing_mm must be {dimensions} numbers above 0, got ({came})")


def _is_length(step: float) -> bool:
    # Its square must be a number, too.
    return math.isfinite(step * step) and step > 0 and step * step > 0
