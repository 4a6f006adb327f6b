"""Metrics: a table of names, and what computes them. Importing this imports no numpy."""

from typing import TYPE_CHECKING, Any

from medseg.metrics.spec import MetricSpec, MetricValue, Status
from medseg.registry import Registry

if TYPE_CHECKING:
    from medseg.metrics.evaluate import diagonal_mm, evaluate_case, unmeasured_case

METRICS = Registry(
    "metric",
    {
        "assd": "medseg.metrics.distance:ASSD",
        "dice": "medseg.metrics.overlap:DICE",
        "hd": "medseg.metrics.distance:HD",
        "hd95": "medseg.metrics.distance:HD95",
        "iou": "medseg.metrics.overlap:IOU",
        "masd": "medseg.metrics.distance:MASD",
        "pixel_accuracy": "medseg.metrics.overlap:PIXEL_ACCURACY",
        "precision": "medseg.metrics.overlap:PRECISION",
        "sensitivity": "medseg.metrics.overlap:SENSITIVITY",
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
