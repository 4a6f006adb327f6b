"""What the case rows of one trial amount to: means over patients, and the score that chooses. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

from medseg.metrics import METRICS, MetricSpec
from medseg.tasks.spec import EmptyPolicy
from medseg.training.outcome import Row

FAILED = ("failed", "missing")
BRATS_DISTANCE = 373.13
"""What BraTS counts for a distance that does not exist: the diagonal of 240 x 240 x 155 voxels of 1 mm."""


def counted_value(row: Row, spec: MetricSpec, policy: EmptyPolicy = "nnunet") -> float:
    """Returns what a case's value counts in an average, as on the leaderboard.

    A label that is in neither mask is left out by ``nnunet``, and perfect for ``one`` and ``brats``. A distance that
    does not exist counts the image's diagonal, for ``brats`` 373.13. A failed case counts the metric's worst value.

    Args:
        row: A case row: `value`, `status` and `diagonal`.
        spec: Its metric.
        policy: The task's `empty_policy`.

    Returns:
        The value; NaN where it is left out.
    """
    value, status = float(row["value"]), row["status"]
    farthest = BRATS_DISTANCE if policy == "brats" else float(row["diagonal"])
    if is_failed(row):
        return spec.worst_value(farthest)
    if math.isinf(value):
        return spec.worst_value(farthest)
    if status == "both_empty" and math.isnan(value) and policy != "nnunet":
        return math.nan if spec.empty is None else spec.empty.agreed
    return value


def is_failed(row: Row) -> bool:
    """Says whether a case row has no value although it should."""
    return row["status"] in FAILED or (row["status"] == "ok" and math.isnan(row["value"]))


def averages(cases: Iterable[Row], policy: EmptyPolicy = "nnunet") -> list[Row]:
    """Averages each metric over a patient's images, then over patients.

    Args:
        cases: Case rows of one trial.
        policy: The task's `empty_policy`; see `counted_value`.

    Returns:
        A row per part, label and metric: `mean` (none where nothing counts), `unit`, `ranked` (whether it says who
        is better), `patients` (how many count), and cases: `empty` (the label is not there), `missed` (it is, and was
        not predicted) and `failed` (without a value).
    """
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in cases:
        groups[row["part"], row["label"], row["metric"]].append(row)
    return [
        {"part": part, "label": label, "metric": metric, **_average(rows, METRICS.load(metric), policy)}
        for (part, label, metric), rows in groups.items()
    ]


def selection_score(rows: Iterable[Row], metric: str, policy: EmptyPolicy = "nnunet") -> float:
    """Averages one metric over a patient's images, then its labels, then patients, so that higher is better.

    In this order the leaderboard averages, too: where labels are absent, another order would choose another setting.

    Args:
        rows: Case rows of one part.
        metric: Name of the metric; others are passed over.
        policy: The task's `empty_policy`; see `counted_value`.

    Returns:
        The score (negated where lower is better), or -inf where no value exists.
    """
    spec: MetricSpec = METRICS.load(metric)
    labels: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["metric"] == metric:
            labels[row["label"]].append(row)
    patients: dict[str, list[float]] = defaultdict(list)
    for of_label in labels.values():
        for patient, mean in _patients(of_label, spec, policy).items():
            patients[patient].append(mean)
    if not patients:
        return -math.inf
    score = _mean([_mean(means) for means in patients.values()])
    return score if spec.higher_is_better else -score


def _average(rows: list[Row], spec: MetricSpec, policy: EmptyPolicy) -> Row:
    means = list(_patients(rows, spec, policy).values())
    status = Counter(row["status"] for row in rows)
    return {
        "mean": _mean(means) if means else None,
        "unit": rows[0]["unit"],
        "ranked": spec.ranked,
        "patients": len(means),
        "empty": status["both_empty"] + status["reference_empty"],
        "missed": status["prediction_empty"],
        "failed": sum(is_failed(row) for row in rows),
    }


def _patients(rows: Iterable[Row], spec: MetricSpec, policy: EmptyPolicy) -> dict[str, float]:
    """Returns the mean over each patient's values that count; patients without one have none."""
    by_patient: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        value = counted_value(row, spec, policy)
        if not math.isnan(value):
            by_patient[row["patient"]].append(value)
    return {patient: _mean(values) for patient, values in by_patient.items()}


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
