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


OVER: tuple[Status, ...] = ("complete", "pruned", "diverged")
"""How a trial ends that never goes on."""


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
        if status in OVER:
            self.checkpoint.unlink(missing_ok=True)
            self.checkpoint.with_name(f"{self.checkpoint.name}.damaged").unlink(missing_ok=True)


@dataclass(frozen=True)
class Again:
    """What a trial that begins again has to take into account.

    Args:
        most_at_once: Largest micro-batch that may be tried; none: what the settings say.
        spent_s: Seconds that it took so far; what was lost counts, too.
        happened: What its row will say of it.
    """

    most_at_once: int | None = None
    spent_s: float = 0.0
    happened: tuple[str, ...] = ()

    def with_less(self, at_once: int, step: int, spent_s: float) -> "Again":
        """Returns how to go on after memory ran out.

        Args:
            at_once: Slices that were too many.
            step: When.
            spent_s: Seconds that the trial took so far.
        """
        less = (at_once + 1) // 2
        text = f"out of memory with {at_once} slices at once at step {step}: goes on with {less}"
        return Again(less, spent_s, (*self.happened, text))


class ShareMemoryError(MemoryError):
    """Memory ran out in one of several processes; the others wait for it and must be ended.

    Args:
        again: How all of them may go on.
    """

    def __init__(self, again: Again):
        self.again = again
        super().__init__(
            "memory ran out in one of the processes, the trial may go on with a smaller micro_batch"
        )


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
