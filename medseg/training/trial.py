"""One training run from its description to case rows."""

import gc
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace

import torch

from medseg.components import one_line
from medseg.data import Case
from medseg.errors import ConfigError
from medseg.metrics import METRICS
from medseg.tasks import TaskSpec
from medseg.training.attempt import Attempt
from medseg.training.config import TrialSpec
from medseg.training.outcome import (
    DivergedError,
    Epoch,
    PredictionMemoryError,
    PrunedError,
    TimeLimitError,
    TrialResult,
    is_out_of_memory,
)
from medseg.training.trial_data import (
    Again,
    ShareMemoryError,
    TrialData,
    TrialFiles,
    class_counts,
    open_data,
)

__all__ = ["Again", "TrialData", "TrialFiles", "class_counts", "open_data", "run_trial"]


def run_trial(
    spec: TrialSpec,
    data: TrialData,
    files: TrialFiles,
    should_stop: Callable[[], bool] = lambda: False,
    use_cpu: bool = False,
    again: Again = Again(),  # noqa: B008 - frozen
) -> Generator[Epoch, None, TrialResult]:
    """Trains one trial, continuing from its checkpoint where there is one.

    Where memory runs out it goes back to its last checkpoint and on with half the micro-batch. Of several processes
    the others do not know of it: whoever started them ends them, and starts them anew with `again`.

    Args:
        spec: The trial.
        data: Its task's data.
        files: Where checkpoint, weights and predictions go.
        should_stop: Asked before every step; once true the trial saves itself and stops. A TimeLimitError or a
            PrunedError that it raises ends the trial.
        use_cpu: Stay on the CPU although a GPU is there.
        again: What earlier processes of the trial left to take into account.

    Yields:
        A report per epoch.

    Returns:
        What the trial leaves: `complete` with all its rows, or `pruned`, `diverged`, `oom` or `timeout` with its cost
        and its curve. The checkpoint stays until the caller has written the rows and says `files.forget(status)`.

    Raises:
        InterruptedTrialError: If stopped; the checkpoint is saved.
        StorageError: If a file cannot be written; the last checkpoint is whole.
        ShareMemoryError: If memory ran out in this one of several processes.
        MedsegError: If the data, the model or a setting do not fit.
    """
    check_sizes(spec)
    check_depth(spec.task, data.dataset.cases)
    while True:
        attempt: Attempt | None = None
        try:
            attempt = Attempt(spec, data, files, use_cpu, again)
            for number, text in enumerate(again.happened, 1):
                attempt.note(text, said=number < len(again.happened))
            yield from _with_earlier(attempt.train(should_stop), attempt)
            return attempt.evaluate()
        except DivergedError as error:
            assert attempt is not None
            return attempt.result("diverged", str(error))
        except (TimeLimitError, PrunedError) as error:
            if attempt is None:
                raise
            return attempt.result("pruned" if isinstance(error, PrunedError) else "timeout", str(error))
        except PredictionMemoryError as error:
            assert attempt is not None
            return attempt.result("oom", str(error))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or attempt is None:
                raise
            now = attempt.loop.progress.micro_batch
            if now == 1:
                return attempt.result("oom", f"one slice at a time does not fit: {one_line(error)}"[:500])
            again = again.with_less(now, attempt.loop.progress.step, attempt.elapsed_s)
            if attempt.loop.processes.count > 1:
                raise ShareMemoryError(again) from error
        finally:
            if attempt is not None:
                attempt.close()
        # Outside of the handler, whose traceback holds on to the tensors of the step that failed.
        del attempt
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _with_earlier(epochs: Iterable[Epoch], attempt: Attempt) -> Iterator[Epoch]:
    """Adds to the first of the epochs what an earlier process had reported: whoever listens may not have heard it."""
    for count, epoch in enumerate(epochs):
        first = count == 0 and epoch.epoch > 1
        scores = tuple(row["score"] for row in attempt.loop.progress.curves[:-1]) if first else ()
        yield replace(epoch, earlier=scores)


def check_sizes(spec: TrialSpec) -> None:
    """Refuses patches that are larger than the images.

    Raises:
        ConfigError: If they are.
    """
    patch, image = spec.train.patch_size, spec.task.image_size
    if patch is not None and any(small > large for small, large in zip(patch, image, strict=True)):
        raise ConfigError(
            "train.patch_size",
            f"must be at most the task's image_size {image[0]} x {image[1]}, got {patch[0]} x {patch[1]}",
        )


def check_depth(task: TaskSpec, cases: Iterable[Case]) -> None:
    """Refuses metrics of volumes where an image is a picture.

    Raises:
        ConfigError: If so.
    """
    volumes = [name for name in task.metrics if METRICS.load(name).quantity == "volume"]
    flat = next((case for case in cases if len(case.shape) == 2), None)
    if volumes and flat is not None:
        shape = " x ".join(map(str, flat.shape))
        raise ConfigError(
            "task.metrics", f"{volumes[0]} is a volume and needs 3D images, but {flat.id} has {shape} pixels"
        )
