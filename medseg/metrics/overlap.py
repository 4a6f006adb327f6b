"""Metrics from counts of pixels."""

from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING

from medseg.metrics.spec import EmptyValues, MetricSpec

if TYPE_CHECKING:
    from medseg.metrics.maps import LabelMaps, MaskPair


def dice(pair: "MaskPair") -> float:
    """Returns 2 TP / (2 TP + FP + FN), 0..1. Dice 1945, https://doi.org/10.2307/1932409."""
    return 2 * pair.overlap / (pair.reference_size + pair.prediction_size)


def iou(pair: "MaskPair") -> float:
    """Returns TP / (TP + FP + FN), 0..1; the Jaccard index."""
    return pair.overlap / (pair.reference_size + pair.prediction_size - pair.overlap)


def sensitivity(pair: "MaskPair") -> float:
    """Returns TP / (TP + FN), 0..1; the recall."""
    return pair.overlap / pair.reference_size


def precision(pair: "MaskPair") -> float:
    """Returns TP / (TP + FP), 0..1; the positive predictive value."""
    return pair.overlap / pair.prediction_size


def pixel_accuracy(maps: "LabelMaps") -> float:
    """Returns the share of pixels whose class is right, 0..1; for one label (TP + TN) / all.

    Dominated by the background: to be reported, never ranked by.
    """
    return maps.agreeing / maps.reference.size


_EMPTY = EmptyValues(both=nan, reference=0.0, prediction=0.0)
_OVERLAP_EMPTY = replace(_EMPTY, agreed=1.0)

DICE = MetricSpec(
    name="dice",
    title="Dice",
    definition="dice/v1",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    of_label=dice,
    empty=_OVERLAP_EMPTY,
)
IOU = MetricSpec(
    name="iou",
    title="IoU",
    definition="iou/v1",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    of_label=iou,
    empty=_OVERLAP_EMPTY,
)
SENSITIVITY = MetricSpec(
    name="sensitivity",
    title="Sensitivity",
    definition="sensitivity/v1",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    of_label=sensitivity,
    empty=EmptyValues(both=nan, reference=nan, prediction=0.0),
)
PRECISION = MetricSpec(
    name="precision",
    title="Precision",
    definition="precision/v1",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    of_label=precision,
    empty=_EMPTY,
)
PIXEL_ACCURACY = MetricSpec(
    name="pixel_accuracy",
    title="Pixel accuracy",
    definition="pixel_accuracy/v1",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    ranked=False,
    of_case=pixel_accuracy,
)
