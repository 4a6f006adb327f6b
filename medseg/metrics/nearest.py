"""Exact distances from points of a grid to the nearest points of the same label.

Boundaries of a prediction and its reference mostly lie a voxel or two apart. So the goals are looked up at the
offsets around each point, nearest first: the first hit is the nearest goal. A k-d tree answers for what no ring
reaches. One pass serves eight labels, each with a bit of its own in the map of goals.
"""

from math import inf

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from medseg.metrics.grid import Grid, ring_limit, rings
from medseg.metrics.points import Places, Points

Distances = NDArray[np.float64]

LABELS_AT_ONCE = 8
# Looks at a neighbour that a point may cost on average before a tree takes over: that takes a microsecond or two
# a point, a look 2 to 4 ns.
_LOOKS = 100
# Up to so many points look at a whole ring at once; more do at one neighbour after the other, in cache.
_SOME_POINTS = 4096
# Up to so many pairs of points, all of their distances are faster than anything else.
_FEW_PAIRS = 1 << 13
# Lengths are sums of rounded squares; a goal at just the limit must not be lost to that.
_SLACK = 1 + 1e-9


def nearest(start: Points, goal: Points, grid: Grid, within: NDArray[np.float64] | None = None) -> Distances:
    """Returns how far each point is from the nearest goal of its label, in the spacing's unit.

    Args:
        start: Points.
        goal: Goals; every label of `start` has some.
        grid: Where both lie.
        within: By class index, the longest distance of interest; what is farther is infinitely far.

    Returns:
        Distances, float64, in the order of `start`.
    """
    found = np.zeros(len(start.places))
    labels = np.flatnonzero(np.diff(start.starts))
    for first in range(0, len(labels), LABELS_AT_ONCE):
        batch = labels[first : first + LABELS_AT_ONCE]
        _batch(found, batch, start, goal, grid, within)
    return found


def _batch(
    found: Distances,
    labels: NDArray[np.intp],
    start: Points,
    goal: Points,
    grid: Grid,
    within: NDArray[np.float64] | None,
) -> None:
    """Fills in the distances of up to eight labels."""
    marks = np.zeros(grid.size, dtype=np.uint8)
    for number, label in enumerate(labels):
        marks[goal.of(label)] |= 1 << number
    apart = [
        start.part(label).start + np.flatnonzero(marks[start.of(label)] & (1 << number) == 0)
        for number, label in enumerate(labels)
    ]
    flags = [np.full(len(points), 1 << number, dtype=np.uint8) for number, points in enumerate(apart)]
    limits = {int(label): inf if within is None else float(within[label]) * _SLACK for label in labels}
    looking = _Looking(np.concatenate(apart), np.concatenate(flags), found)
    goals = sum(len(goal.of(label)) for label in labels)
    looking.around(marks, start.places, grid, max(limits.values()), goals)
    for number, label in enumerate(labels):
        left = looking.points[looking.bits == 1 << number]
        if len(left):
            here, there = grid.coordinates(start.places[left]), grid.coordinates(goal.of(label))
            found[left] = _by_tree(here, there, limits[int(label)])
    if within is not None:
        for label in labels:
            mine = found[start.part(label)]
            mine[mine > limits[int(label)]] = inf


class _Looking:
    """Points that have not found a goal yet.

    Args:
        points: Their numbers.
        bits: Bit of each one's label in the map of goals.
        found: Distances by number, to be filled in.
    """

    def __init__(self, points: Places, bits: NDArray[np.uint8], found: Distances):
        self.points, self.bits, self._found = points, bits, found

    def around(self, marks: NDArray[np.uint8], places: Places, grid: Grid, limit: float, goals: int) -> None:
        """Looks for goals ring by ring, until that costs more than a tree, or what is left is beyond the limit."""
        here, strides = places[self.points], grid.strides
        looks = _LOOKS * (len(here) + goals)
        for ring in rings(grid.spacing):
            if ring.length > limit:
                break
            looks -= len(here) * len(ring.steps)
            if looks < 0 or len(here) * goals <= _FEW_PAIRS:
                return
            seen = _seen(marks, here, ring.steps @ strides)
            hit = (seen & self.bits) != 0
            if hit.any():
                self._found[self.points[hit]] = ring.length
                miss = ~hit
                self.points, self.bits, here = self.points[miss], self.bits[miss], here[miss]
        else:
            if limit >= ring_limit(grid.spacing):
                return
        # Every neighbour within the limit was looked at.
        self._found[self.points] = inf
        self.points, self.bits = self.points[:0], self.bits[:0]


def _seen(marks: NDArray[np.uint8], places: Places, offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Returns which labels have goals at some of the offsets around each place."""
    if len(places) <= _SOME_POINTS:
        found: NDArray[np.uint8] = np.bitwise_or.reduce(marks[places + offsets[:, None]], axis=0)
        return found
    seen = np.zeros(len(places), dtype=np.uint8)
    for offset in offsets:
        seen |= marks[places + offset]
    return seen


def _by_tree(points: Distances, goals: Distances, limit: float) -> Distances:
    if len(points) * len(goals) <= _FEW_PAIRS:
        return np.asarray(cdist(points, goals).min(axis=1))
    # Large leaves: three times as fast as scipy's ten points where boundaries are far apart.
    tree = KDTree(goals, leafsize=64, balanced_tree=False, compact_nodes=False)
    return np.asarray(tree.query(points, distance_upper_bound=limit)[0])
