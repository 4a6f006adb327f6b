"""From probabilities on the network's grid to class indices, and to calibration, on a case's native grid."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod

import numpy as np
from numpy.typing import NDArray

from medseg.data import Case, Prepared
from medseg.metrics.reliability import CaseCalibration
from medseg.tasks import TaskSpec


@dataclass(frozen=True)
class Decided:
    """Some slices of a case on its native grid.

    Args:
        labels: Class indices, uint8 (S, h, w); none where the probabilities are not any.
        calibration: What the probabilities said, where that was asked for.
        problem: Why there is no `labels` or no `calibration`; empty if nothing is wrong.
    """

    labels: NDArray[np.uint8] | None = None
    calibration: CaseCalibration | None = None
    problem: str = ""


def decide_slices(
    task: TaskSpec,
    prepared: Prepared,
    case_id: str,
    probabilities: NDArray[np.float32],
    first: int,
    calibrate: bool,
) -> Decided:
    """Brings some slices of a case back to its native grid and decides them.

    What cannot be decided or calibrated is said, not raised: one case fails, the others go on.

    Args:
        task: Says how many channels there are.
        prepared: The data.
        case_id: The case.
        probabilities: (S, C, H, W) on the network's grid.
        first: Their first slice in the case.
        calibrate: Whether to measure calibration.
    """
    try:
        if probabilities.ndim == 4 and probabilities.shape[1] != task.out_channels:
            raise ValueError(
                f"probabilities must have {task.out_channels} channels, got shape {probabilities.shape}"
            )
        # NaN would be decided as background, which is no prediction.
        if not np.isfinite(probabilities).all():
            raise ValueError("probabilities must be numbers, got NaN or infinity")
        native = prepared.to_native(case_id, probabilities, first)
    except ValueError as error:
        return Decided(problem=str(error))
    labels = decide(native)
    if not calibrate:
        return Decided(labels)
    reference = prepared.reference(case_id).reshape(-1, *labels.shape[1:])[first : first + len(labels)]
    try:
        return Decided(labels, CaseCalibration.of(native, reference, labels))
    except ValueError as error:
        return Decided(labels, problem=str(error))


def join(case: Case, parts: Sequence[Decided]) -> Decided:
    """Puts the slices of a case together; one part that is lacking makes the whole lack it."""
    problem = next((part.problem for part in parts if part.problem), "")
    labels = [part.labels for part in parts if part.labels is not None]
    if len(labels) < len(parts):
        return Decided(problem=problem)
    whole = np.concatenate(labels)
    if whole.size != prod(case.shape):
        return Decided(problem=f"labels of {len(whole)} slices do not fill shape {case.shape}")
    found = [part.calibration for part in parts if part.calibration is not None]
    calibration = reduce(operator.add, found) if len(found) == len(parts) else None
    return Decided(whole.reshape(case.shape), calibration, problem)


def decide(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turns probabilities (C, *grid) into class indices: threshold 1/2 for one channel, else the largest."""
    if len(probabilities) == 1:
        return np.asarray(probabilities[0] >= 0.5, dtype=np.uint8)
    return np.asarray(probabilities.argmax(axis=0), dtype=np.uint8)
