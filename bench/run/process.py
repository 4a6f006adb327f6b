"""What one process of a trial does: it opens the data and trains. Without Ray; torch is imported when it starts."""

import gc
import time
from collections.abc import Callable, Generator
from functools import cache
from typing import TYPE_CHECKING

from bench.run.job import Job, WorkerConfig
from bench.run.places import TrialPlace
from bench.run.signals import Signals
from medseg.training.outcome import PrunedError, TimeLimitError
from medseg.training.trial_data import Again, TrialFiles

if TYPE_CHECKING:
    from medseg.training.outcome import Epoch, TrialResult
    from medseg.training.trial import TrialData

# What CUDA itself takes of a GPU for each process, beside what torch allocates.
CUDA_CONTEXT_BYTES = 600 * 10**6


class Limits:
    """Says when a trial is to end before its time: pruned, too long, or with the run. Asked before training steps.

    Args:
        job: The trial.
        worker: Of the run.
        spent_s: Seconds that the trial has taken already.
    """

    def __init__(self, job: Job, worker: WorkerConfig, spent_s: float = 0.0):
        self._trial, self._timeout_s = job.trial, worker.timeout_s
        self._started = time.monotonic() - spent_s
        self._signals = Signals(worker.results, worker.run)
        self.pruned = False

    @property
    def elapsed_s(self) -> float:
        """Seconds that the trial has taken."""
        return time.monotonic() - self._started

    @property
    def left_s(self) -> float | None:
        """Seconds that it may still take, less than 0 if it took too long; None without a limit."""
        return None if self._timeout_s is None else self._timeout_s - self.elapsed_s

    def look(self) -> None:
        """Looks whether the trial is pruned; once per epoch is enough."""
        self.pruned = self._signals.pruned(self._trial)

    def __call__(self) -> bool:
        """Says whether the run is to stop.

        Raises:
            PrunedError: If the trial is pruned.
            TimeLimitError: If it ran too long.
        """
        if self.pruned:
            raise PrunedError("its scores so far say that it would not be the best of its study")
        if self.left_s is not None and self.left_s < 0:
            raise TimeLimitError(f"the trial ran longer than {self._timeout_s:g} s")
        return self._signals.stop_requested()


def threads(worker: WorkerConfig) -> int:
    """Returns how many threads each process of a trial computes with."""
    return max(1, worker.cpus // worker.processes)


def start(
    job: Job,
    worker: WorkerConfig,
    should_stop: Callable[[], bool],
    again: Again = Again(),  # noqa: B008 - frozen
) -> "Generator[Epoch, None, TrialResult]":
    """Opens the data and begins, or continues, a job."""
    import torch

    from medseg.training.trial import run_trial

    spare_collections()
    torch.set_num_threads(threads(worker))
    limit_gpu_memory(worker.gpus / worker.processes)
    data = open_data_of(job, worker)

    def begin(files: TrialFiles, should_stop: Callable[[], bool]) -> "Generator[Epoch, None, TrialResult]":
        return run_trial(job.spec, data, files, should_stop, use_cpu=worker.gpus == 0, again=again)

    return TrialPlace(job, worker).train(begin, should_stop)


@cache
def spare_collections() -> None:
    """Leaves what is imported out of garbage collections: each trial ends with one, 0.2 s through all of torch."""
    gc.freeze()


def limit_gpu_memory(share: float) -> None:
    """Keeps this process to its share of the GPU's memory: what it takes beyond is missing to its neighbours.

    Args:
        share: Of one GPU; from 1 on there is no limit.
    """
    import torch

    if not 0 < share < 1 or not torch.cuda.is_available():
        return
    total: int = torch.cuda.get_device_properties(0).total_memory
    own = max(share * total - CUDA_CONTEXT_BYTES, share * total / 2)
    torch.cuda.set_per_process_memory_fraction(own / total)


def open_data_of(job: Job, worker: WorkerConfig) -> "TrialData":
    """Opens the data of a job.

    Raises:
        DataError: If they are not those of the plan.
    """
    from medseg.errors import DataError
    from medseg.training.trial import open_data

    data = open_data(job.spec.task, worker.roots.get(job.spec.task.name), worker.cache, worker.beside)
    if (data.dataset.fingerprint, data.split.hash) != (job.data_fingerprint, job.split_hash):
        raise DataError(
            f"{job.spec.task.name}: the data at {data.dataset.root} are not those of the plan "
            f"(fingerprint {data.dataset.fingerprint[:12]}, expected {job.data_fingerprint[:12]}; "
            f"split {data.split.hash[:12]}, expected {job.split_hash[:12]})"
        )
    return data
