"""What a trial's predictions are measured with again: today's metrics of its task, or those asked for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from bench.errors import BenchError
from medseg.errors import MedsegError
from medseg.metrics import METRICS
from medseg.metrics.spec import MetricSpec
from medseg.tasks import TASKS, TaskSpec

WITH_TOLERANCE = "nsd"
# Any prediction has the same.
_OF_REFERENCE = frozenset({"lesion_count_reference", "reference_volume_ml"})


@dataclass(frozen=True)
class Asked:
    """What was asked for.

    Args:
        metrics: Names; none takes those of the trial's task, and of the registered task of that name.
        tolerance_mm: Of all labels or by label; none takes the task's.
    """

    metrics: tuple[str, ...] | None = None
    tolerance_mm: float | Mapping[str, float] | None = None


@dataclass(frozen=True)
class Wanted:
    """What is measured.

    Args:
        metrics: Names.
        tolerance_mm: By label, in the task's unit; none where none is declared.
        notes: What cannot be measured, and why.
    """

    metrics: tuple[str, ...]
    tolerance_mm: dict[str, float] | None
    notes: tuple[str, ...] = ()


def wanted_metrics(task: TaskSpec, asked: Asked, flat: bool) -> Wanted:
    """Returns what is to be measured on a task's cases, of that what can be.

    Args:
        task: As the trial was trained on it.
        asked: What was asked for.
        flat: Whether any case is a picture.

    Raises:
        BenchError: If tolerances do not name the labels.
    """
    today: TaskSpec | None = TASKS.load(task.name) if task.name in TASKS.names() else None
    tolerances = _tolerances(task, asked)
    if tolerances is None and today and (today.labels, today.unit) == (task.labels, task.unit):
        tolerances = today.tolerances()
    names = dict.fromkeys(asked.metrics or (*task.metrics, *(today.metrics if today else ())))
    if asked.tolerance_mm is not None and not asked.metrics:
        names[WITH_TOLERANCE] = None
    reasons = {name: _unfit(METRICS.load(name), task, flat, tolerances) for name in names}
    notes = tuple(f"{task.name}: {name} left out: {reason}" for name, reason in reasons.items() if reason)
    return Wanted(tuple(name for name, reason in reasons.items() if not reason), tolerances, notes)


def is_of_maps(name: str) -> bool:
    """Returns whether a metric is known, and measured on label maps."""
    try:
        return not METRICS.load(name).needs_probabilities
    except MedsegError:
        return False


def comparable_metric(
    stored: pd.DataFrame, metrics: Collection[str], tolerance_mm: Mapping[str, float] | None
) -> str | None:
    """Returns a metric that tells whether predictions are those of a trial: one whose definition it holds.

    Args:
        stored: The trial's case rows.
        metrics: Those that are measured in any case; one of them is preferred.
        tolerance_mm: By label, with which is measured.

    Returns:
        Dice where it can be, else what is measured in any case or fast; none if no stored value could tell.
    """
    found = stored[stored["status"] != "failed"].drop_duplicates(["metric", "label", "definition"])
    fit: dict[str, MetricSpec] = {}
    for name, label, definition in found[["metric", "label", "definition"]].itertuples(index=False):
        if name in _OF_REFERENCE or not is_of_maps(name):
            continue
        spec: MetricSpec = METRICS.load(name)
        if spec.definition_with((tolerance_mm or {}).get(label)) == definition:
            fit[name] = spec

    def order(name: str) -> tuple[bool, ...]:
        # Counts of lesions, and what is made of them, agree by chance more easily than anything else.
        return name != "dice", name.startswith("lesion_"), name not in metrics, fit[name].quantity != "ratio"

    return min(fit, key=order, default=None)


def _tolerances(task: TaskSpec, asked: Asked) -> dict[str, float] | None:
    given = asked.tolerance_mm
    if given is None:
        return task.tolerances()
    if not isinstance(given, Mapping):
        return dict.fromkeys(task.labels, float(given))
    if given.keys() != task.labels.keys():
        raise BenchError(
            f"--tolerance-mm must name each of the labels {', '.join(task.labels)} of {task.name}, "
            f"got {', '.join(given)}"
        )
    return dict(given)


def _unfit(spec: MetricSpec, task: TaskSpec, flat: bool, tolerances: Mapping[str, float] | None) -> str:
    """Says why a metric cannot be measured; empty where it can."""
    if spec.needs_tolerance and tolerances is None:
        return f"it needs --tolerance-mm, the distance in {task.unit} that counts as no error"
    if spec.quantity == "volume" and (task.unit != "mm" or flat):
        return "it needs volumes with millimetres"
    return ""
