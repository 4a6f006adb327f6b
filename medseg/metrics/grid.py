"""Label maps cropped to what they hold, with a margin of background that lets every neighbour be looked up."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.integer]
Box = tuple[slice, ...]

# Farthest that rings reach along an axis, in voxels; it is also the margin.
REACH = 6


@dataclass(frozen=True)
class Ring:
    """The neighbours of a grid point at one distance.

    Args:
        steps: Offsets in voxels, int64 (n, ndim).
        length: Their length in the spacing's unit.
    """

    steps: NDArray[np.int64]
    length: float


@lru_cache(maxsize=64)
def rings(spacing: tuple[float, ...]) -> tuple[Ring, ...]:
    """Returns the rings of neighbours around a grid point, nearest first.

    All neighbours nearer than `ring_limit` are in one of them.
    """
    side = np.arange(-REACH, REACH + 1)
    steps = np.stack(np.meshgrid(*[side] * len(spacing), indexing="ij"), axis=-1).reshape(-1, len(spacing))
    lengths = np.sqrt(((steps * np.array(spacing)) ** 2).sum(axis=1))
    within = (lengths > 0) & (lengths < ring_limit(spacing))
    steps, lengths = steps[within], lengths[within]
    distances, ring = np.unique(lengths, return_inverse=True)
    return tuple(Ring(steps[ring == number], float(length)) for number, length in enumerate(distances))


def ring_limit(spacing: tuple[float, ...]) -> float:
    """Returns the length below which rings are complete, in the spacing's unit."""
    return (REACH + 1) * min(spacing)


@dataclass(frozen=True)
class Grid:
    """The common crop of two label maps, with a margin.

    Points are places in a flattened array of `shape`.

    Args:
        box: Crop of the maps.
        margin: Width of the background around it, at least 1, in voxels along each axis.
        spacing: Distance of neighbouring voxels along each axis.
    """

    box: Box
    margin: tuple[int, ...]
    spacing: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape with the margin."""
        return tuple(s.stop - s.start + 2 * m for s, m in zip(self.box, self.margin, strict=True))

    @property
    def size(self) -> int:
        """Number of places."""
        return prod(self.shape)

    @property
    def strides(self) -> NDArray[np.int64]:
        """Distance of neighbours along each axis, in places."""
        return np.array(strides(self.shape), dtype=np.int64)

    def cut(self, array: Map) -> Map:
        """Returns the crop of a map with its margin, contiguous."""
        cut = np.zeros(self.shape, dtype=array.dtype)
        cut[tuple(slice(m, m + s.stop - s.start) for s, m in zip(self.box, self.margin, strict=True))] = (
            array[self.box]
        )
        return cut

    def coordinates(self, places: NDArray[np.intp]) -> NDArray[np.float64]:
        """Returns where places lie, (n, ndim), in the spacing's unit."""
        found: NDArray[np.float64] = np.stack(self.indices(places), axis=1) * np.array(self.spacing)
        return found

    def indices(self, places: NDArray[np.intp]) -> tuple[NDArray[np.intp], ...]:
        """Returns the index of places along each axis."""
        return np.unravel_index(places, self.shape)


def strides(shape: Sequence[int]) -> list[int]:
    """Returns how far apart neighbours along each axis lie in a flattened array."""
    return [prod(shape[axis + 1 :]) for axis in range(len(shape))]


def make_grid(box: Box, spacing: Sequence[float]) -> Grid:
    """Returns the grid of a crop, with a margin that holds the rings of its spacing."""
    spacing = tuple(float(step) for step in spacing)
    reach = np.max([np.abs(ring.steps).max(axis=0) for ring in rings(spacing)], axis=0)
    # One more: the last voxel of a cell may lie just beyond the crop.
    return Grid(box, tuple(int(n) + 1 for n in reach), spacing)


def foreground_box(reference: Map, prediction: Map) -> Box:
    """Returns the bounding box of where either map is not 0; empty where both are."""
    either = reference | prediction
    box = []
    while either.ndim:
        found = np.flatnonzero(np.bitwise_or.reduce(either.reshape(len(either), -1), axis=1))
        if not len(found):
            return (slice(0, 0),) * reference.ndim
        box.append(slice(int(found[0]), int(found[-1]) + 1))
        either = np.bitwise_or.reduce(either, axis=0)
    return tuple(box)
