"""The data behind kept predictions: opened once per task, and checked to be those that were predicted."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import BenchError, DataMissingError, ResultsError
from bench.run.rescore_case import KeptTrial
from bench.run.rescore_metrics import Asked, Wanted, wanted_metrics
from medseg.data import DataSet, index_dataset, resolve_root
from medseg.errors import DataError
from medseg.metrics import METRICS
from medseg.tasks import TaskSpec
from medseg.training.calibration_file import RELIABILITY


class Tasks:
    """Opens each task's data once, and says what is to be measured.

    Args:
        roots: Folders of data sets by name.
        cache: Folder of what is derived from data.
        asked: Metrics and tolerances that were asked for.
        suite: Tasks of the suite as it was run last, by name: it may ask for more than when a trial was trained.
    """

    def __init__(
        self, roots: Mapping[str, Path], cache: Path, asked: Asked, suite: Mapping[str, Mapping[str, Any]]
    ):
        self._roots, self._cache, self._asked, self._suite = roots, cache, asked, suite
        self._known: dict[str, tuple[DataSet, Wanted] | BenchError] = {}
        self._unfit: list[str] = []
        self._lacking: Counter[str] = Counter()

    @property
    def notes(self) -> tuple[str, ...]:
        """What cannot be measured, and why."""
        lacking = [
            f"{names} left out of {count} trials: their predictions were kept without {RELIABILITY}"
            for names, count in self._lacking.items()
        ]
        return (*self._unfit, *lacking)

    def plan(self, row: Mapping[str, Any], folder: Path) -> tuple[KeptTrial, DataSet]:
        """Returns what a trial's predictions are measured with, and its data.

        Args:
            row: Of the trials table.
            folder: Of its predictions.

        Raises:
            ResultsError: If the trial's task is not one of this version.
            DataMissingError: If its data cannot be found, or are others.
            BenchError: If tolerances do not name the task's labels.
        """
        text = json.dumps(json.loads(row["spec_json"])["task"])
        if text not in self._known:
            self._known[text] = self._opened(text)
        known = self._known[text]
        if isinstance(known, BenchError):
            raise known
        dataset, wanted = known
        name = dataset.task.name
        if dataset.fingerprint != row["data"]:
            raise DataMissingError(
                f"{name}: the data at {dataset.root} are not those of trial {row['trial']} (fingerprint "
                f"{dataset.fingerprint[:12]}, expected {row['data'][:12]}); --data {dataset.task.dataset}=PATH "
                f"gives them"
            )
        metrics = wanted.metrics
        if not (folder / RELIABILITY).is_file():
            metrics = tuple(name for name in metrics if not METRICS.load(name).needs_probabilities)
        if len(metrics) < len(wanted.metrics):
            self._lacking[", ".join(name for name in wanted.metrics if name not in metrics)] += 1
        return KeptTrial(folder, dataset.task, dataset.values, metrics, wanted.tolerance_mm), dataset

    def _opened(self, text: str) -> tuple[DataSet, Wanted] | BenchError:
        """Returns a task's data, or why there are none, which is then so for all of its trials."""
        try:
            return self._open(TaskSpec.model_validate_json(text))
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            return ResultsError(f"its task is not one of this medseg-bench: {reason}")
        except DataMissingError as error:
            return error

    def _open(self, task: TaskSpec) -> tuple[DataSet, Wanted]:
        # Who is of which patient is in the rows; the list may lie beside a suite that nobody names here.
        bare = task.model_copy(update={"groups": None, "patient_pattern": None})
        try:
            root = resolve_root(bare, self._roots, self._cache)
            dataset = index_dataset(bare, root, self._cache)
        except DataError as error:
            raise DataMissingError(str(error)) from error
        flat = any(len(case.shape) == 2 for case in dataset.cases)
        wanted = wanted_metrics(_as_in_suite(task, self._suite.get(task.name, {})), self._asked, flat)
        self._unfit += wanted.notes
        return dataset, wanted


def _as_in_suite(task: TaskSpec, suite: Mapping[str, Any]) -> TaskSpec:
    """Returns a trial's task with the metrics and the tolerance that the suite has come to ask for."""
    changes: dict[str, Any] = {"metrics": tuple(dict.fromkeys((*task.metrics, *suite.get("metrics", ()))))}
    if suite.get("tolerance_mm") is not None and suite.get("labels") == task.labels:
        changes["tolerance_mm"] = suite["tolerance_mm"]
    return task.model_copy(update=changes)
