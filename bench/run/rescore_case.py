"""One kept prediction, measured again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medseg.data import Case, load_label
from medseg.metrics import MetricValue, unmeasured_case
from medseg.tasks import TaskSpec
from medseg.training.calibration_file import CalibrationPlace, read_calibration_at
from medseg.training.measure import measure_case
from medseg.training.predictions import read_prediction


@dataclass(frozen=True)
class KeptCase:
    """A case of a trial.

    Args:
        case: The case.
        failed: Whether its prediction was none.
        place: Where its calibration lies; none where none was kept, or none is asked for.
    """

    case: Case
    failed: bool
    place: CalibrationPlace | None = None


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

    def measure(self, item: KeptCase) -> tuple[list[MetricValue], str]:
        """Returns what `measure_case` does; of a case without prediction, values are ``failed``.

        Raises:
            DataError: If a file is missing or damaged.
        """
        labels = tuple(self.task.labels)
        if item.failed:
            return unmeasured_case(labels, self.metrics, "failed", tolerance_mm=self.tolerance_mm), ""
        return measure_case(
            load_label(item.case, self.task, self.values),
            read_prediction(self.folder, item.case, self.task),
            item.case.spacing_mm,
            labels,
            self.metrics,
            self.tolerance_mm,
            None if item.place is None else read_calibration_at(self.folder, item.place),
        )
