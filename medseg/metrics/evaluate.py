"""All metrics of one case in one pass."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medseg.metrics import METRICS
from medseg.metrics.pair import LabelMaps, MaskPair
from medseg.metrics.spec import ALL_LABELS, MetricSpec, MetricValue, Status


def evaluate_case(
    reference: NDArray[Any],
    prediction: NDArray[Any],
    spacing_mm: Sequence[float],
    labels: Sequence[str],
    metrics: Sequence[str],
) -> list[MetricValue]:
    """Measures a prediction on its native grid.

    Counts, boundaries and distances are computed once per label, on the bounding box of its two masks,
    and shared by all metrics. Empty masks give the values of each metric's `empty`, and a status.

    Args:
        reference: Class indices, integers (Z, Y, X) or (Y, X); 0 is background, ``1..K`` are `labels`.
        prediction: Class indices of the same shape.
        spacing_mm: Distance of neighbouring voxels along each axis; mm, or px for images without spacing.
        labels: Names of the K foreground classes.
        metrics: Registered names, or ``module:ATTRIBUTE`` of a `MetricSpec`.

    Returns:
        Values by label, then metric, as given; those of the whole case come last, with label ``all``.

    Raises:
        ValueError: If shapes differ or are neither 2D nor 3D, a map is empty, not integer or holds a class
            that has no label, or a spacing is missing or not above 0.
        UnknownNameError: If a metric is not known.
    """
    specs = _specs(metrics)
    maps = LabelMaps(*_checked(reference, prediction, spacing_mm, labels), labels=len(labels))
    values = []
    per_label = [(name, spec) for name, spec in specs if spec.per_label]
    for index, label in enumerate(labels if per_label else (), start=1):
        pair = maps.pair(index)
        status = pair.status
        for name, spec in per_label:
            values.append(MetricValue(label, name, spec.definition, _value(spec, pair, status), status))
    for name, spec in specs:
        if spec.of_case is not None:
            values.append(MetricValue(ALL_LABELS, name, spec.definition, spec.of_case(maps), "ok"))
    return values


def unmeasured_case(
    labels: Sequence[str], metrics: Sequence[str], status: Literal["missing", "failed"]
) -> list[MetricValue]:
    """Returns the rows of a case that has no prediction, or whose measuring failed: NaN with a status.

    Args:
        labels: Names of the foreground classes.
        metrics: Registered names.
        status: What happened.

    Returns:
        As many values as `evaluate_case` gives, in the same order.

    Raises:
        UnknownNameError: If a metric is not known.
    """
    specs = _specs(metrics)
    rows = [(label, name, spec) for label in labels for name, spec in specs if spec.per_label]
    rows += [(ALL_LABELS, name, spec) for name, spec in specs if not spec.per_label]
    return [MetricValue(label, name, spec.definition, math.nan, status) for label, name, spec in rows]


def diagonal_mm(shape: Sequence[int], spacing_mm: Sequence[float]) -> float:
    """Returns the length of an image's diagonal, in the spacing's unit: the penalty for a missed distance.

    BraTS's 373.13 is that of 240 x 240 x 155 voxels of 1 mm.

    Raises:
        ValueError: If the lengths differ, or a spacing is not above 0.
    """
    _check_spacing(spacing_mm, len(shape))
    return math.hypot(*(side * step for side, step in zip(shape, spacing_mm, strict=True)))


def _specs(metrics: Sequence[str]) -> list[tuple[str, MetricSpec]]:
    return [(name, METRICS.load(name)) for name in metrics]


def _value(spec: MetricSpec, pair: MaskPair, status: Status) -> float:
    assert spec.of_label is not None
    assert spec.empty is not None
    if status == "ok":
        return spec.of_label(pair)
    if status == "both_empty":
        return spec.empty.both
    return spec.empty.reference if status == "reference_empty" else spec.empty.prediction


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
    if len(spacing_mm) != dimensions or not all(math.isfinite(s) and s > 0 for s in spacing_mm):
        came = ", ".join(f"{s:g}" for s in spacing_mm)
        raise ValueError(f"spacing_mm must be {dimensions} numbers above 0, got ({came})")
