"""How a trial can end, and what it leaves. Imports no torch."""

from dataclasses import dataclass, field
from typing import Any, Literal

from medseg.errors import DataError, MedsegError

Status = Literal[
    "complete", "interrupted", "diverged", "oom", "timeout", "data_error", "crashed", "infra_lost"
]
Row = dict[str, Any]


class DivergedError(MedsegError):
    """The loss became NaN or infinite.

    Args:
        step: First optimiser step (from 0) at which it did.
    """

    def __init__(self, step: int):
        self.step = step
        super().__init__(f"the loss is not finite at step {step}")


class InterruptedTrialError(MedsegError):
    """The trial was asked to stop; its checkpoint is saved and it can go on from there."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch reports."""

    epoch: int
    step: int
    train_loss: float
    learning_rate: float
    score: float
    best_score: float
    wall_s: float


@dataclass(frozen=True)
class TrialResult:
    """What a trial leaves: a summary, the case rows and the learning curve."""

    status: Status
    detail: str = ""
    summary: Row = field(default_factory=dict)
    cases: list[Row] = field(default_factory=list)
    curves: list[Row] = field(default_factory=list)


def classify(error: BaseException) -> tuple[Status, str]:
    """Maps an exception to a status word and one line of detail."""
    text = f"{type(error).__name__}: {error}".splitlines()[0][:500]
    # Torch raises OutOfMemoryError on CUDA and a plain RuntimeError from its CPU allocator.
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "not enough memory" in str(error)
    ):
        return "oom", text
    if isinstance(error, InterruptedTrialError):
        return "interrupted", str(error)
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    if isinstance(error, TimeoutError):
        return "timeout", text
    if isinstance(error, (DataError, OSError)):
        return "data_error", text
    return "crashed", text
