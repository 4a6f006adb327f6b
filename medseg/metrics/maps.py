"""A case's two label maps and each label's two masks, with the work that metrics and labels share done once."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from medseg.metrics.counts import Counts, count
from medseg.metrics.grid import Box, Grid, Map, foreground_box, make_grid
from medseg.metrics.marching_cubes import element_sizes
from medseg.metrics.nearest import Distances, nearest
from medseg.metrics.points import Points, boundary_points, surface_elements
from medseg.metrics.spec import Status

Mask = NDArray[np.bool_]


class MaskPair:
    """Reference and prediction of one label of a case.

    Args:
        maps: The case.
        index: Class index of the label, from 1.
    """

    def __init__(self, maps: "LabelMaps", index: int):
        self._maps, self.index, self.label = maps, index, maps.labels[index - 1]
        self.spacing = np.asarray(maps.spacing, dtype=np.float64)
        self.memo: dict[str, Any] = {}
        """What metrics of the same label share beyond what is here."""

    @cached_property
    def reference(self) -> Mask:
        """Mask, 2D or 3D, cropped to where either mask is true."""
        return np.equal(self._maps.reference[self._maps.box(self.index)], self.index)

    @cached_property
    def prediction(self) -> Mask:
        """Mask of the same crop."""
        return np.equal(self._maps.prediction[self._maps.box(self.index)], self.index)

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return self._maps.reference.ndim

    @property
    def voxel(self) -> float:
        """Size of a voxel: mm3 in 3D, mm2 in 2D, or in pixels."""
        return float(np.prod(self.spacing))

    @property
    def tolerance(self) -> float | None:
        """Distance that counts as no error, in the spacing's unit."""
        return self._maps.tolerances.get(self.label)

    @property
    def reference_size(self) -> int:
        """Voxels of the reference, TP + FN."""
        return int(self._maps.counts.reference[self.index])

    @property
    def prediction_size(self) -> int:
        """Voxels of the prediction, TP + FP."""
        return int(self._maps.counts.prediction[self.index])

    @property
    def overlap(self) -> int:
        """Voxels in both, TP."""
        return int(self._maps.counts.overlap[self.index])

    @property
    def status(self) -> Status:
        """``ok``, or which mask is empty."""
        if self.reference_size and self.prediction_size:
            return "ok"
        if self.reference_size:
            return "prediction_empty"
        return "reference_empty" if self.prediction_size else "both_empty"

    @property
    def distances(self) -> tuple[Distances, Distances]:
        """Boundary distances in the spacing's unit; neither mask may be empty.

        Returns:
            For each boundary voxel of the reference the distance to the prediction's nearest boundary voxel,
            float64 (n,), and the same from prediction to reference, (m,). Their order has no meaning.
        """
        return self._maps.boundary_distances(self.index)

    @property
    def surface_shares(self) -> tuple[float, float, float, float]:
        """Sizes of the surfaces (3D: areas, 2D: lengths); neither mask may be empty and there must be a tolerance.

        Returns:
            Of the reference's surface, how much is within the tolerance of the prediction's, and how much there
            is; the same of the prediction's surface.
        """
        return self._maps.surface_shares(self.index)


class LabelMaps:
    """Reference and prediction of a case as class indices; classes ``1..K`` are the labels.

    Args:
        reference: Unsigned integers, 2D or 3D.
        prediction: Of the same shape and type.
        spacing: Distance of neighbouring voxels along each axis, in mm or px.
        labels: Names of the K foreground labels.
        tolerances: Tolerance by label, in the spacing's unit.
    """

    def __init__(
        self,
        reference: Map,
        prediction: Map,
        spacing: Sequence[float],
        labels: Sequence[str],
        tolerances: Mapping[str, float] | None = None,
    ):
        self.reference, self.prediction, self.spacing = reference, prediction, spacing
        self.labels, self.tolerances = tuple(labels), dict(tolerances or {})

    def pair(self, index: int) -> MaskPair:
        """Returns the masks of class `index`."""
        return MaskPair(self, index)

    @cached_property
    def counts(self) -> Counts:
        """Voxels of each label in reference, prediction and both."""
        crop = self._foreground
        return count(self.reference[crop], self.prediction[crop], len(self.labels))

    @cached_property
    def agreeing(self) -> int:
        """Voxels whose class is the same in both maps, background or label."""
        ours, theirs = self.reference[self._foreground], self.prediction[self._foreground]
        return int(np.count_nonzero(ours == theirs)) + self.reference.size - ours.size

    def box(self, index: int) -> Box:
        """Returns the bounding box of where either map has class `index`; empty where none has."""
        boxes = [box for box in (found[index - 1] for found in self._boxes) if box is not None]
        if not boxes:
            return tuple(slice(0, 0) for _ in self._foreground)
        return tuple(
            slice(first.start + min(s.start for s in sides), first.start + max(s.stop for s in sides))
            for first, sides in zip(self._foreground, zip(*boxes, strict=True), strict=True)
        )

    def boundary_distances(self, index: int) -> tuple[Distances, Distances]:
        """Returns a label's distances as `MaskPair.distances` does; all labels are measured at once."""
        ours, theirs = self._boundaries
        there, back = self._boundary_distances
        return there[ours.part(index)], back[theirs.part(index)]

    def surface_shares(self, index: int) -> tuple[float, float, float, float]:
        """Returns a label's surfaces as `MaskPair.surface_shares` does; all labels are measured at once."""
        ours, theirs, there, back = self._surfaces
        return (*self._share(ours, there, index), *self._share(theirs, back, index))

    @cached_property
    def _foreground(self) -> Box:
        return foreground_box(self.reference, self.prediction)

    @cached_property
    def _grid(self) -> Grid:
        return make_grid(self._foreground, self.spacing)

    @cached_property
    def _cuts(self) -> tuple[Map, Map]:
        return self._grid.cut(self.reference), self._grid.cut(self.prediction)

    @cached_property
    def _boxes(self) -> tuple[Sequence[Box | None], Sequence[Box | None]]:
        crop, labels = self._foreground, len(self.labels)
        return find_objects(self.reference[crop], labels), find_objects(self.prediction[crop], labels)

    @cached_property
    def _wanted(self) -> Mask:
        """By class index, whether both masks hold it; background is not wanted."""
        return np.logical_and(self.counts.reference, self.counts.prediction)

    @cached_property
    def _boundaries(self) -> tuple[Points, Points]:
        reference, prediction = self._cuts
        return boundary_points(reference, self._wanted), boundary_points(prediction, self._wanted)

    @cached_property
    def _boundary_distances(self) -> tuple[Distances, Distances]:
        ours, theirs = self._boundaries
        return nearest(ours, theirs, self._grid), nearest(theirs, ours, self._grid)

    @cached_property
    def _surfaces(self) -> tuple[Points, Points, Mask, Mask]:
        within = np.array([0.0, *(self.tolerances.get(label, 0.0) for label in self.labels)])
        ours, theirs = (
            surface_elements(cut, boundary, self._grid)
            for cut, boundary in zip(self._cuts, self._boundaries, strict=True)
        )
        there, back = (
            np.isfinite(nearest(start, goal, self._grid, within))
            for start, goal in ((ours, theirs), (theirs, ours))
        )
        return ours, theirs, there, back

    def _share(self, elements: Points, near: Mask, index: int) -> tuple[float, float]:
        part = elements.part(index)
        assert elements.codes is not None
        sizes = element_sizes(self._grid.spacing)[elements.codes[part]]
        return float(sizes[near[part]].sum()), float(sizes.sum())
