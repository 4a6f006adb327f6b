"""Boundaries of all labels of a map at once: boundary voxels, and surface elements by marching cubes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseg.metrics.grid import Grid, Map, strides

Places = NDArray[np.intp]


@dataclass(frozen=True)
class Points:
    """Points of a grid with the label they belong to, sorted by label.

    Args:
        places: Places in the flattened grid, intp (n,). A place comes once per label.
        codes: Of surface elements: which of the voxels around it have the label, uint8 (n,).
        starts: First point of each label, intp (labels + 2,): those of label k are ``starts[k]:starts[k + 1]``.
    """

    places: Places
    starts: Places
    codes: NDArray[np.uint8] | None = None

    def part(self, label: int) -> slice:
        """Returns the part of the arrays that belongs to a label."""
        return slice(int(self.starts[label]), int(self.starts[label + 1]))

    def of(self, label: int) -> Places:
        """Returns the places of a label."""
        return self.places[self.part(label)]


def boundary_points(cut: Map, wanted: NDArray[np.bool_]) -> Points:
    """Finds the voxels that have a neighbour with another label, along an axis.

    They are each label's mask minus its erosion with connectivity 1 (4 neighbours in 2D, 6 in 3D). What lies
    outside the image is background.

    Args:
        cut: Class indices with a margin of background, contiguous.
        wanted: By class index, whether its points are of interest; background is not, (labels + 1,).
    """
    flat = cut.reshape(-1)
    edge = np.zeros(flat.shape, dtype=np.bool_)
    for stride in strides(cut.shape):
        # In a flat array the last voxel of a row meets the first of the next one; in a margin they are equal.
        differs = flat[:-stride] != flat[stride:]
        edge[:-stride] |= differs
        edge[stride:] |= differs
    edge &= flat != 0
    places = np.flatnonzero(edge)
    labels = flat[places]
    if not wanted[1:].all():
        keep = wanted[labels]
        places, labels = places[keep], labels[keep]
    counts = np.bincount(labels, minlength=len(wanted))
    if np.count_nonzero(counts) > 1:
        places = places[np.argsort(labels, kind="stable")]
    return Points(places, np.concatenate(([0], np.cumsum(counts))))


def surface_elements(cut: Map, boundary: Points, grid: Grid) -> Points:
    """Finds the cells of 2 x 2 (x 2) voxels in which a label's surface lies, with their marching-cubes codes.

    A cell is at the place of its last voxel. Bit ``2**n - 1 - i`` of a code says whether voxel i of the cell's
    ``2**n`` (C order) has the label.

    Args:
        cut: Class indices with a margin of background, contiguous.
        boundary: The boundary points of `cut`; labels without any are left out.
        grid: The grid of `cut`.
    """
    places, codes, counts = [], [], [0]
    for label in range(len(boundary.starts) - 1):
        found = boundary.of(label)
        counts.append(0)
        if len(found):
            box = tuple(slice(int(i.min()) - 1, int(i.max()) + 2) for i in grid.indices(found))
            here, code = _cells(cut[box] == label)
            # Of the cells' last voxels, one further along each axis than where the box starts.
            index = tuple(i + side.start + 1 for i, side in zip(here, box, strict=True))
            places.append(np.ravel_multi_index(index, grid.shape))
            codes.append(code)
            counts[-1] = len(code)
    none = np.zeros(0, dtype=np.intp)
    return Points(
        np.concatenate([none, *places]), np.cumsum(counts), np.concatenate([none.astype(np.uint8), *codes])
    )


def _cells(mask: NDArray[np.bool_]) -> tuple[tuple[Places, ...], NDArray[np.uint8]]:
    """Returns the cells of a mask that are neither inside nor outside, by index, and their codes.

    Args:
        mask: With a margin of False, in which the cells between two rows of the flat array lie.
    """
    code: NDArray[np.uint8] = mask.reshape(-1).view(np.uint8)
    for bits, stride in enumerate(reversed(strides(mask.shape))):
        # Multiplied, not shifted: numpy does that several times as fast.
        code = code[:-stride] * np.uint8(1 << (1 << bits)) | code[stride:]
    # 0 and all ones wrap around to what is above all others.
    places = np.flatnonzero(code - np.uint8(1) < np.uint8((1 << (1 << mask.ndim)) - 2))
    return np.unravel_index(places, mask.shape), code[places]
