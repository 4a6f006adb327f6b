"""A case's two label maps and each label's two masks, with the work that metrics share done once."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.spatial import KDTree

from medseg.metrics.spec import Status

Mask = NDArray[np.bool_]
Distances = NDArray[np.float64]


class MaskPair:
    """Reference and prediction of one label.

    Args:
        reference: Mask, 2D or 3D; may be cropped to where either mask is true.
        prediction: Mask of the same shape.
        spacing: Distance of neighbouring pixels along each axis, in mm or px.
    """

    def __init__(self, reference: Mask, prediction: Mask, spacing: Sequence[float]):
        self.reference, self.prediction = reference, prediction
        self.spacing = np.asarray(spacing, dtype=np.float64)

    @cached_property
    def reference_size(self) -> int:
        """Pixels of the reference, TP + FN."""
        return int(np.count_nonzero(self.reference))

    @cached_property
    def prediction_size(self) -> int:
        """Pixels of the prediction, TP + FP."""
        return int(np.count_nonzero(self.prediction))

    @cached_property
    def overlap(self) -> int:
        """Pixels in both, TP."""
        return int(np.count_nonzero(self.reference & self.prediction))

    @property
    def status(self) -> Status:
        """``ok``, or which mask is empty."""
        if self.reference_size and self.prediction_size:
            return "ok"
        if self.reference_size:
            return "prediction_empty"
        return "reference_empty" if self.prediction_size else "both_empty"

    @cached_property
    def distances(self) -> tuple[Distances, Distances]:
        """Boundary distances in the spacing's unit; neither mask may be empty.

        Returns:
            For each boundary pixel of the reference the distance to the prediction's nearest boundary pixel,
            float64 (n,), and the same from prediction to reference, (m,). Their order has no meaning.
        """
        ours, theirs = boundary(self.reference), boundary(self.prediction)
        return self._directed(ours, theirs), self._directed(theirs, ours)

    def _directed(self, start: Mask, goal: Mask) -> Distances:
        # Most boundary pixels of a good prediction coincide; only the others need a search.
        apart = np.argwhere(start & ~goal)
        distances = np.zeros(np.count_nonzero(start))
        if len(apart):
            tree = KDTree(np.argwhere(goal) * self.spacing, balanced_tree=False, compact_nodes=False)
            distances[: len(apart)] = tree.query(apart * self.spacing)[0]
        return distances


class LabelMaps:
    """Reference and prediction of a case as class indices; classes ``1..labels`` are foreground.

    Args:
        reference: Integers, 2D or 3D.
        prediction: Integers of the same shape.
        spacing: Distance of neighbouring pixels along each axis, in mm or px.
        labels: Number of foreground labels.
    """

    def __init__(
        self,
        reference: NDArray[np.integer],
        prediction: NDArray[np.integer],
        spacing: Sequence[float],
        labels: int,
    ):
        self.reference, self.prediction, self.spacing, self.labels = reference, prediction, spacing, labels

    def pair(self, index: int) -> MaskPair:
        """Returns the masks of class `index`, cropped to the bounding box of their union."""
        ours, theirs = self._boxes[0][index - 1], self._boxes[1][index - 1]
        boxes = [box for box in (ours, theirs) if box is not None]
        box = tuple(
            slice(min(side.start for side in sides), max(side.stop for side in sides))
            for sides in zip(*boxes, strict=True)
        )
        if not boxes:
            box = tuple(slice(0, 0) for _ in self.reference.shape)
        return MaskPair(self.reference[box] == index, self.prediction[box] == index, self.spacing)

    @cached_property
    def _boxes(self) -> tuple[Sequence[tuple[slice, ...] | None], Sequence[tuple[slice, ...] | None]]:
        return find_objects(self.reference, self.labels), find_objects(self.prediction, self.labels)


def boundary(mask: Mask) -> Mask:
    """Returns the pixels of a mask that have a neighbour outside it.

    The mask minus its erosion with connectivity 1 (4 neighbours in 2D, 6 in 3D). What lies outside the array
    is background, so a mask cropped to its bounding box keeps its boundary.

    Args:
        mask: 2D or 3D.

    Returns:
        Mask of the same shape.
    """
    inner = mask.copy()
    for axis in range(mask.ndim):
        along, here = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        along[1:] &= here[:-1]
        along[:-1] &= here[1:]
        along[0], along[-1] = False, False
    return mask & ~inner
