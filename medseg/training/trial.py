"""One training run from its description to case rows."""

import gc
from collections.abc import Callable, Generator, Iterable

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
    TimeLimitError,
    TrialResult,
    is_out_of_memory,
)
from medseg.training.trial_data import TrialData, TrialFiles, class_counts, open_data

__all__ = ["TrialData", "TrialFiles", "class_counts", "open_data", "run_trial"]


def run_trial(
    spec: TrialSpec,
    data: TrialData,
    files: TrialFiles,
    should_stop: Callable[[], bool] = lambda: False,
    use_cpu: bool = False,
) -> Generator[Epoch, None, TrialResult]:
    """Trains one trial, continuing from its checkpoint where there is one.

    Where memory runs out it goes back to its last checkpoint and on with half the micro-batch.

    Args:
        spec: The trial.
        data: Its task's data.
        files: Where checkpoint, weights and predictions go.
        should_stop: Asked before every step; once true the trial saves itself and stops. A TimeLimitError that it
            raises ends the trial.
        use_cpu: Stay on the CPU although a GPU is there.

    Yields:
        A report per epoch.

    Returns:
        What the trial leaves: `complete` with all its rows, or `diverged`, `oom` or `timeout` with its cost and
        its curve. The checkpoint stays until the caller has written the rows and says `files.forget(status)`.

    Raises:
        InterruptedTrialError: If stopped; the checkpoint is saved.
        StorageError: If a file cannot be written; the last checkpoint is whole.
        MedsegError: If the data, the model or a setting do not fit.
    """
    check_sizes(spec)
    check_depth(spec.task, data.dataset.cases)
    most_at_once: int | None = None
    happened: list[str] = []
    spent_s = 0.0
    while True:
        attempt: Attempt | None = None
        try:
            attempt = Attempt(spec, data, files, use_cpu, most_at_once, spent_s)
            for number, text in enumerate(happened, 1):
                attempt.note(text, said=number < len(happened))
            yield from attempt.train(should_stop)
            return attempt.evaluate()
        except DivergedError as error:
            assert attempt is not None
            return attempt.result("diverged", str(error))
        except TimeLimitError as error:
            if attempt is None:
                raise
            return attempt.result("timeout", str(error))
        except PredictionMemoryError as error:
            assert attempt is not None
            return attempt.result("oom", str(error))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or attempt is None or attempt.loop.processes.count > 1:
                raise
            now = attempt.loop.progress.micro_batch
            if now == 1:
                return attempt.result("oom", f"one slice at a time does not fit: {one_line(error)}"[:500])
            most_at_once = (now + 1) // 2
            spent_s = attempt.elapsed_s
            happened.append(
                f"out of memory with {now} slices at once at step {attempt.loop.progress.step}: goes on with "
                f"{most_at_once}"
            )
        finally:
            if attempt is not None:
                attempt.close()
        # Outside of the handler, whose traceback holds on to the tensors of the step that failed.
        del attempt
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


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
