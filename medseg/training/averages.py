"""What the case rows of one trial amount to: means over patients. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterable

from medseg.metrics import METRICS
from medseg.training.outcome import Row

FAILED = ("failed", "missing")


def averages(cases: Iterable[Row]) -> list[Row]:
    """Averages each metric over a patient's images, then over patients.

    A label absent from reference and prediction is left out, an infinite distance counts the image's diagonal, and
    a failed case counts as the worst value: as on the leaderboard.

    Args:
        cases: Case rows of one trial.

    Returns:
        A row per part, label and metric: `mean` (none where nothing counts), `unit`, `patients` (how many count)
        and `failed` (cases without a value).
    """
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in cases:
        groups[row["part"], row["label"], row["metric"]].append(row)
    return [
        {"part": part, "label": label, "metric": metric, **_average(rows, metric)}
        for (part, label, metric), rows in groups.items()
    ]


def _average(rows: list[Row], metric: str) -> Row:
    by_patient: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        value = _counted(row, metric)
        if not math.isnan(value):
            by_patient[row["patient"]].append(value)
    means = [math.fsum(values) / len(values) for values in by_patient.values()]
    return {
        "mean": math.fsum(means) / len(means) if means else None,
        "unit": rows[0]["unit"],
        "patients": len(means),
        "failed": sum(_is_failed(row) for row in rows),
    }


def _counted(row: Row, metric: str) -> float:
    if _is_failed(row):
        worst: float = METRICS.load(metric).worst_value(row["diagonal"])
        return worst
    value = float(row["value"])
    return float(row["diagonal"]) if math.isinf(value) else value


def _is_failed(row: Row) -> bool:
    return row["status"] in FAILED or (row["status"] == "ok" and math.isnan(row["value"]))
