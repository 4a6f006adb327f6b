"""One kept prediction, measured again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medseg.data import Case, load_label
from medseg.metrics import METRICS, MetricValue, evaluate_case, unmeasured_case
from medseg.tasks import TaskSpec
from medseg.training.predictions import read_calibration, read_prediction


@dataclass(frozen=True)
class KeptCase:
    """A case, and whether its prediction was none."""

    case: Case
    failed: bool


@dataclass(frozen=True)
class KeptTrial:
    """A trial's folder of predictions, and what is measured.

    Args:
        folder: The folder.
        task: The trial's task.
        values: Label values that the data set's files may hold.
        metrics: Names of metrics.
        tolerance_mm: Tolerance by label, in the task's unit.
    """

    folder: Path
    task: TaskSpec
    values: frozenset[int]
    metrics: tuple[str, ...]
    tolerance_mm: Mapping[str, float] | None

    def measure(self, item: KeptCase) -> list[MetricValue]:
        """Returns what `evaluate_case` returns; of a case without prediction, or that cannot be measured, ``failed``.

        Raises:
            DataError: If a file is missing or damaged.
        """
        labels, tolerances = tuple(self.task.labels), self.tolerance_mm
        if not item.failed:
            reference = load_label(item.case, self.task, self.values)
            prediction = read_prediction(self.folder, item.case, self.task)
            asked = any(METRICS.load(name).needs_probabilities for name in self.metrics)
            try:
                return evaluate_case(
                    reference,
                    prediction,
                    item.case.spacing_mm,
                    labels,
                    self.metrics,
                    tolerance_mm=tolerances,
                    calibration=read_calibration(self.folder, item.case) if asked else None,
                )
            except ValueError:
                pass
        return unmeasured_case(labels, self.metrics, "failed", tolerance_mm=tolerances)
