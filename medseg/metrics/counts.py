"""Voxels of each class, and of each class in both maps: all that overlap metrics need."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseg.metrics.grid import Map

Numbers = NDArray[np.int64]

# A comparison takes 0.05 ns a voxel in cache; a histogram 2 ns, but of all classes.
_FEW_LABELS = 12
# Voxels at a time, so that what is made of them stays in a core's cache.
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Counts:
    """Voxels by class index, int64 (labels + 1,); class 0 is background.

    Args:
        reference: Voxels of each class in the reference.
        prediction: Voxels of each class in the prediction.
        overlap: Voxels of each class in both.
    """

    reference: Numbers
    prediction: Numbers
    overlap: Numbers


def count(reference: Map, prediction: Map, labels: int, size: int) -> Counts:
    """Counts voxels.

    Args:
        reference: Class indices; may be cropped to where either map is not background.
        prediction: Of the same shape.
        labels: Number of foreground labels.
        size: Voxels of the whole maps; what is not in the crop is background in both.
    """
    totals = np.zeros((3, labels + 1), dtype=np.int64)
    if reference.size:
        rows = max(1, _CHUNK // max(1, reference[0].size))
        for first in range(0, len(reference), rows):
            some = slice(first, first + rows)
            # Rows of a crop are short; in one piece they are counted several times as fast.
            ours, theirs = (np.ascontiguousarray(array[some]) for array in (reference, prediction))
            _add(totals, ours, theirs, labels)
    background = size - reference.size
    totals[:, 0] += background
    return Counts(*totals)


def _add(totals: Numbers, reference: Map, prediction: Map, labels: int) -> None:
    if labels > _FEW_LABELS:
        both = reference[reference == prediction]
        for row, found in enumerate((reference, prediction, both)):
            totals[row] += np.bincount(found.ravel(), minlength=labels + 1)
        return
    sums = np.zeros(3, dtype=np.int64)
    for label in range(1, labels + 1):
        ours, theirs = reference == label, prediction == label
        here = np.array([np.count_nonzero(found) for found in (ours, theirs, ours & theirs)])
        totals[:, label] += here
        sums += here
    # Background in both is what neither map has a label for: all but the union of the two foregrounds.
    either = np.count_nonzero(reference | prediction)
    totals[:, 0] += (reference.size - sums[0], reference.size - sums[1], reference.size - either)
