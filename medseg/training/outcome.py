"""How a trial can end, and what it leaves. Imports no torch."""

import errno
from dataclasses import dataclass, field
from typing import Any, Literal

from medseg.errors import DataError, MedsegError

Status = Literal[
    "complete", "pruned", "interrupted", "diverged", "oom", "timeout", "data_error", "crashed", "infra_lost"
]
Row = dict[str, Any]

# Disks that are full, read-only, broken or gone; any other OSError is somebody's bug.
STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
# What torch's allocators say: of the CPU (Linux, Windows), pinned memory and CUDA, cuBLAS, cuDNN.
OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
# Where gloo's messages come from, as all of them begin.
GLOO = "/gloo/transport/"


class DivergedError(MedsegError):
    """Training went astray: the loss became NaN or infinite, or nothing is learned.

    Args:
        step: Optimiser step at which it was seen, from 0.
        message: What was seen.
    """

    def __init__(self, step: int, message: str):
        self.step = step
        super().__init__(message)


class StorageError(MedsegError):
    """A file cannot be written: the disk is full, read-only or gone. What was written before is whole."""


class TimeLimitError(MedsegError):
    """The trial ran longer than it may. Not the builtin TimeoutError, which a lost network disk raises, too."""


class PrunedError(MedsegError):
    """The trial was asked to end: its scores say that it would not be the best."""


class PredictionMemoryError(MedsegError):
    """Memory ran out although a single slice was predicted."""


class InterruptedTrialError(MedsegError):
    """The trial was asked to stop; its checkpoint is saved and it can go on from there."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch reports; `samples_per_s` counts slices trained on per second of training steps so far.

    `earlier` is told once, when a trial goes on from its checkpoint: the scores of the epochs before.
    """

    epoch: int
    step: int
    train_loss: float
    learning_rate: float
    score: float
    best_score: float
    wall_s: float
    samples_per_s: float = 0.0
    earlier: tuple[float, ...] = ()


@dataclass(frozen=True)
class Validation:
    """What a validation found.

    Args:
        score: Of the task's selection metric; higher is better.
        constant: Whether every case was predicted as one class.
    """

    score: float
    constant: bool = False


@dataclass(frozen=True)
class TrialResult:
    """What a trial leaves: a summary, the case rows and the learning curve."""

    status: Status
    detail: str = ""
    summary: Row = field(default_factory=dict)
    cases: list[Row] = field(default_factory=list)
    curves: list[Row] = field(default_factory=list)


def is_out_of_memory(error: BaseException) -> bool:
    """Says whether memory ran out. Torch has an error for CUDA; its other allocators raise a plain RuntimeError."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


def is_lost_process(error: BaseException) -> bool:
    """Says whether another process of the trial is gone; gloo raises a plain RuntimeError for it."""
    if any(kind.__name__ == "DistError" for kind in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and GLOO in str(error)


def classify(error: BaseException) -> tuple[Status, str]:
    """Maps an exception to a status word and one line of detail."""
    text = f"{type(error).__name__}: {error}".splitlines()[0][:500]
    if is_out_of_memory(error):
        return "oom", text
    if isinstance(error, InterruptedTrialError):
        return "interrupted", str(error)
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    if isinstance(error, PrunedError):
        return "pruned", str(error)
    if isinstance(error, PredictionMemoryError):
        return "oom", str(error)
    if isinstance(error, TimeLimitError):
        return "timeout", str(error)
    if isinstance(error, StorageError):
        return "infra_lost", str(error)
    if isinstance(error, OSError) and error.errno in STORAGE:
        return "infra_lost", text
    if is_lost_process(error):
        return "infra_lost", text
    if isinstance(error, DataError):
        return "data_error", text
    return "crashed", text
