"""What a trial works on and where it keeps things."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from medseg.data import DataSet, Prepared, Split, index_dataset, make_split, prepare, resolve_root
from medseg.tasks import TaskSpec
from medseg.training.outcome import Status


@dataclass(frozen=True)
class TrialData:
    """A task's data, ready to train on."""

    dataset: DataSet
    split: Split
    prepared: Prepared

    def slices(self, patients: tuple[str, ...]) -> list[int]:
        """Returns the indices of these patients' slices in the prepared arrays, in their order."""
        wanted = set(patients)
        indices: list[int] = []
        for case in self.dataset.cases:
            if case.patient in wanted:
                part = self.prepared.slices(case.id)
                indices.extend(range(part.start, part.stop))
        return indices

    def slices_per_patient(self) -> Counter[str]:
        """Returns how many slices each patient has."""
        counts: Counter[str] = Counter()
        for case in self.dataset.cases:
            part = self.prepared.slices(case.id)
            counts[case.patient] += part.stop - part.start
        return counts


@dataclass(frozen=True)
class TrialFiles:
    """Where a trial keeps what outlives it.

    Args:
        checkpoint: Last state (safetensors).
        weights: Best weights (safetensors), kept after completion; none keeps nothing.
        predictions: Folder of the predictions of the final evaluation; none keeps none.
        checkpoint_every_s: A crash loses at most about this much training.
    """

    checkpoint: Path
    weights: Path | None = None
    predictions: Path | None = None
    checkpoint_every_s: float = 30.0

    def forget(self, status: Status) -> None:
        """Removes the checkpoint of a trial that is over, to be called once its rows are written.

        That of a trial which ran out of memory or time, or was stopped, stays: it may go on elsewhere.
        """
        if status in ("complete", "diverged"):
            self.checkpoint.unlink(missing_ok=True)
            self.checkpoint.with_name(f"{self.checkpoint.name}.damaged").unlink(missing_ok=True)


def open_data(task: TaskSpec, root: Path | None, cache: Path, beside: Path | None = None) -> TrialData:
    """Indexes, splits and prepares a task's data; what was done before is reused.

    Args:
        task: The task.
        root: Folder of its data set; found by MEDSEG_DATA or generated where there is none.
        cache: Where derived data are kept.
        beside: Where else to look for files that the task names: the suite's folder.

    Raises:
        DataError: If the data are missing or not what the task declares.
    """
    found = resolve_root(task, {task.dataset: root} if root else {}, cache)
    dataset = index_dataset(task, found, cache, beside=beside)
    return TrialData(dataset, make_split(task, dataset, beside), prepare(task, dataset, cache))


def class_counts(prepared: Prepared, slices: list[int]) -> list[float]:
    """Counts the pixels of each class in the training slices, background first."""
    return [float(count) for count in prepared.counts[slices].sum(axis=0)]
