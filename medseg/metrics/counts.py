"""Voxels of each class, and of each class in both maps: all that overlap metrics need."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseg.metrics.grid import Map

Numbers = NDArray[np.int64]

# A comparison takes 0.05 ns a voxel in cache; a histogram 2 ns, but of all classes.
_FEW_LABELS = 12
# Voxels at a time, so that what is made of them stays in a core's cache.
_CHUNK = 1 << 17


@dataclass(frozen=True)
class Counts:
    """Voxels by class index, int64 (labels + 1,); background, class 0, is not counted.

    Args:
        reference: Voxels of each class in the reference.
        prediction: Voxels of each class in the prediction.
        overlap: Voxels of each class in both.
    """

    reference: Numbers
    prediction: Numbers
    overlap: Numbers


def count(reference: Map, prediction: Map, labels: int) -> Counts:
    """Counts voxels of foreground.

    Args:
        reference: Class indices; may be cropped to where either map is not background.
        prediction: Of the same shape.
        labels: Number of foreground labels.
    """
    totals = np.zeros((3, labels + 1), dtype=np.int64)
    if reference.size:
        add = _compare if labels <= _FEW_LABELS else _histograms
        rows = max(1, _CHUNK // reference[0].size)
        for first in range(0, len(reference), rows):
            some = slice(first, first + rows)
            # Rows of a crop are short; in one piece they are counted several times as fast.
            add(totals, np.ascontiguousarray(reference[some]), np.ascontiguousarray(prediction[some]))
        totals[:, 0] = 0
    return Counts(*totals)


def _compare(totals: Numbers, reference: Map, prediction: Map) -> None:
    for label in range(1, totals.shape[1]):
        ours, theirs = reference == label, prediction == label
        totals[0, label] += np.count_nonzero(ours)
        totals[1, label] += np.count_nonzero(theirs)
        totals[2, label] += np.count_nonzero(ours & theirs)


def _histograms(totals: Numbers, reference: Map, prediction: Map) -> None:
    both = reference[reference == prediction]
    for row, found in zip(totals, (reference, prediction, both), strict=True):
        row += np.bincount(found.ravel(), minlength=len(row))
