"""Checks of the metrics that a task asks for, before anything is trained or read."""

from typing import Literal, NamedTuple

from medseg.errors import RegistryError, UnknownNameError
from medseg.metrics import METRICS
from medseg.metrics.spec import MetricSpec
from medseg.tasks import TaskSpec


class MetricProblem(NamedTuple):
    """What is wrong with a task's metrics: ``(field, position, message)``.

    Args:
        field: The field of `TaskSpec` that says so.
        position: Index in ``metrics``; none of the other fields.
        message: One line, without the field's place.
    """

    field: Literal["metrics", "selection_metric", "tolerance_mm", "empty_policy"]
    position: int | None
    message: str


def metric_problems(task: TaskSpec) -> list[MetricProblem]:
    """Returns what is asked of metrics that they cannot give.

    A metric of volumes on images that have no millimetres or are pictures, a metric with a tolerance where the
    task declares none, choosing by a metric that is only reported, and penalties in millimetres for pixels. Names
    that are not known are left to whoever looks them up, and so is a `selection_metric` that is not measured.
    """
    problems: list[MetricProblem] = []
    for index, name in enumerate(task.metrics):
        spec = _known(name)
        if spec is None:
            continue
        if spec.quantity == "volume" and task.unit != "mm":
            message = (
                f"{name} is a volume in {spec.unit('mm')} and needs unit mm, but {task.name} has unit px"
            )
            problems.append(MetricProblem("metrics", index, message))
        elif spec.quantity == "volume" and len(task.file_spacing_mm or (0, 0, 0)) == 2:
            message = (
                f"{name} is a volume and needs 3D images, but {task.name} has pictures (file_spacing_mm)"
            )
            problems.append(MetricProblem("metrics", index, message))
        if spec.needs_tolerance and task.tolerance_mm is None:
            message = (
                f"{name} needs tolerance_mm, the distance in {task.unit} that counts as no error; "
                f"{task.name} declares none"
            )
            problems.append(MetricProblem("tolerance_mm", None, message))
    if task.empty_policy == "brats" and task.unit != "mm":
        message = (
            f"brats counts 373.13 mm for a missed distance, but {task.name} has unit px: choose nnunet or one"
        )
        problems.append(MetricProblem("empty_policy", None, message))
    chosen = _known(task.selection_metric)
    if chosen is not None and not chosen.ranked:
        message = f"{task.selection_metric} is only reported, never ranked or chosen by: name another metric"
        problems.append(MetricProblem("selection_metric", None, message))
    return list(dict.fromkeys(problems))


def _known(name: str) -> MetricSpec | None:
    try:
        spec: MetricSpec = METRICS.load(name)
    except (UnknownNameError, RegistryError):
        return None
    return spec
