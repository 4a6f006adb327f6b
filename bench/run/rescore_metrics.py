"""What a trial's predictions are measured with again: today's metrics of its task, or those asked for."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.errors import BenchError
from medseg.metrics import METRICS
from medseg.metrics.spec import MetricSpec
from medseg.tasks import TASKS, TaskSpec

WITH_TOLERANCE = "nsd"


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
