"""Metrics: a table of names, and what computes them. Importing this imports no numpy."""

from typing import TYPE_CHECKING, Any

from medseg.metrics.spec import MetricSpec, MetricValue, Status
from medseg.registry import Registry

if TYPE_CHECKING:
    from medseg.metrics.evaluate import diagonal_mm, evaluate_case, unmeasured_case

METRICS = Registry(
    "metric",
    {
        "absolute_volume_difference_ml": "medseg.metrics.volume:ABSOLUTE_VOLUME_DIFFERENCE",
        "assd": "medseg.metrics.distance:ASSD",
        "brier": "medseg.metrics.calibration:BRIER",
        "brier_foreground": "medseg.metrics.calibration:BRIER_FOREGROUND",
        "dice": "medseg.metrics.overlap:DICE",
        "ece": "medseg.metrics.calibration:ECE",
        "ece_foreground": "medseg.metrics.calibration:ECE_FOREGROUND",
        "hd": "medseg.metrics.distance:HD",
        "hd95": "medseg.metrics.distance:HD95",
        "iou": "medseg.metrics.overlap:IOU",
        "lesion_count_predicted": "medseg.metrics.lesions:LESIONS_PREDICTED",
        "lesion_count_reference": "medseg.metrics.lesions:LESIONS_REFERENCE",
        "lesion_f1": "medseg.metrics.lesions:LESION_F1",
        "lesion_precision": "medseg.metrics.lesions:LESION_PRECISION",
        "lesion_sensitivity": "medseg.metrics.lesions:LESION_SENSITIVITY",
        "masd": "medseg.metrics.distance:MASD",
        "nll": "medseg.metrics.calibration:NLL",
        "nll_foreground": "medseg.metrics.calibration:NLL_FOREGROUND",
        "nsd": "medseg.metrics.surface:NSD",
        "pixel_accuracy": "medseg.metrics.overlap:PIXEL_ACCURACY",
        "precision": "medseg.metrics.overlap:PRECISION",
        "reference_volume_ml": "medseg.metrics.volume:REFERENCE_VOLUME",
        "rvd": "medseg.metrics.volume:RVD",
        "sensitivity": "medseg.metrics.overlap:SENSITIVITY",
        "volume_difference_ml": "medseg.metrics.volume:VOLUME_DIFFERENCE",
        "volume_ml": "medseg.metrics.volume:VOLUME",
    },
    "medseg.metrics",
    "medseg.metrics.spec:MetricSpec",
)

__all__ = [
    "METRICS",
    "MetricSpec",
    "MetricValue",
    "Status",
    "diagonal_mm",
    "evaluate_case",
    "unmeasured_case",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from medseg.metrics import evaluate

        return getattr(evaluate, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
