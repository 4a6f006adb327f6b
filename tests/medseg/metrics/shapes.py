"""What the tests of metrics share: hypothesis strategies of adversarial label maps, and how they are measured.

Imported as `shapes`: pyproject.toml puts this folder on pytest's path.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter

from medseg.metrics import METRICS, evaluate_case

Labels = NDArray[Any]
Mask = NDArray[np.bool_]

DISTANCES = ("hd", "hd95", "assd", "masd")
TOLERANCE = 1.3
"""Given where a test does not say another; no spacing below has it as a distance."""


class Case(NamedTuple):
    """A reference, a prediction of the same shape, and the spacing of both."""

    reference: Labels
    prediction: Labels
    spacing: tuple[float, ...]


def names_of(dimensions: int) -> list[str]:
    """Returns the registered metrics that label maps of 2 or 3 dimensions suffice for."""
    specs = {name: METRICS.load(name) for name in METRICS.names()}
    return [
        name
        for name, spec in specs.items()
        if not spec.needs_probabilities and (spec.quantity != "volume" or dimensions == 3)
    ]


def measure(
    reference: Labels,
    prediction: Labels,
    spacing: Sequence[float],
    labels: Sequence[str] = ("organ",),
    metrics: Sequence[str] | None = None,
    tolerance: Any = TOLERANCE,
) -> dict[tuple[str, str], float]:
    """Returns values by label and metric; of every metric unless told otherwise."""
    metrics = names_of(reference.ndim) if metrics is None else metrics
    rows = evaluate_case(reference, prediction, spacing, labels, metrics, tolerance_mm=tolerance)
    return {(row.label, row.metric): row.value for row in rows}


def _blob(rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    field = gaussian_filter(rng.normal(size=shape), 1.0)
    return np.asarray(field >= np.quantile(field, rng.choice([0.1, 0.6, 0.9])))


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    return np.asarray(rng.random(shape) < rng.choice([0.05, 0.5, 0.95]))


def _checkerboard(rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    return np.asarray(np.indices(shape).sum(axis=0) % 2 == rng.integers(2))


def _line(rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    """One voxel thin, from border to border: along an axis, or as diagonal as the shape lets it be."""
    mask = np.zeros(shape, bool)
    place = [int(rng.integers(side)) for side in shape]
    along = int(rng.integers(len(shape) + 1))
    if along < len(shape):
        mask[tuple(slice(None) if axis == along else at for axis, at in enumerate(place))] = True
    else:
        steps = np.arange(max(shape))
        mask[tuple(np.minimum(steps, side - 1) for side in shape)] = True
    return mask


def _voxel(rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    mask = np.zeros(shape, bool)
    mask.flat[rng.integers(mask.size)] = True
    return mask


def _islands(rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    mask = np.zeros(shape, bool)
    for _ in range(rng.integers(2, 5)):
        corner = [int(rng.integers(side)) for side in shape]
        mask[tuple(slice(at, at + int(rng.integers(1, 3))) for at in corner)] = True
    return mask


def _box(rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    """A box that touches the border on one side of every axis."""
    mask = np.zeros(shape, bool)
    sides = [int(rng.integers(1, side + 1)) for side in shape]
    mask[tuple(slice(0, n) if rng.integers(2) else slice(-n, None) for n in sides)] = True
    return mask


def _hollow(rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    mask = _box(rng, shape)
    return np.asarray(mask & ~binary_erosion(mask, border_value=1))


def _hole(rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    return ~_voxel(rng, shape)


def _full(rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    return np.ones(shape, bool)


def _corner(rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    """A few voxels in one corner of the image, as far as can be from those in another."""
    mask = np.zeros(shape, bool)
    mask[tuple(slice(0, 2) if rng.integers(2) else slice(-2, None) for _ in shape)] = True
    return mask


KINDS: tuple[Callable[[np.random.Generator, tuple[int, ...]], Mask], ...] = (
    _blob,
    _noise,
    _checkerboard,
    _line,
    _voxel,
    _islands,
    _box,
    _hollow,
    _hole,
    _full,
    _corner,
)

steps = st.sampled_from([0.25, 0.7, 1.0, 1.37, 3.0, 10.0, 40.0])
seeds = st.integers(0, 2**32 - 1)


@st.composite
def shapes(draw: st.DrawFn, dimensions: int | None = None) -> tuple[int, ...]:
    """Shapes with sides from 1, few voxels in all; some long and thin."""
    dimensions = draw(st.integers(2, 3)) if dimensions is None else dimensions
    sides = [draw(st.integers(1, 12 if dimensions == 2 else 7)) for _ in range(dimensions)]
    if draw(st.booleans()):
        sides[draw(st.integers(0, dimensions - 1))] = draw(st.sampled_from([1, 40]))
    return tuple(sides)


def _perturbed(rng: np.random.Generator, mask: Mask) -> Mask:
    """A prediction much like the mask: moved, grown, shrunk, with a false island, or the same."""
    change = rng.integers(5)
    if change == 0:
        return np.roll(mask, 1, axis=int(rng.integers(mask.ndim)))
    if change == 1:
        return np.asarray(binary_dilation(mask))
    if change == 2:
        return np.asarray(binary_erosion(mask, border_value=1))
    return mask | _voxel(rng, mask.shape) if change == 3 else mask.copy()


@st.composite
def cases(draw: st.DrawFn, labels: int = 1, dimensions: int | None = None, everywhere: bool = True) -> Case:
    """Two label maps whose labels overlap, touch, hide each other and lie far apart.

    Args:
        draw: Hypothesis's.
        labels: Highest label.
        dimensions: 2, 3, or either.
        everywhere: Each label has a voxel in both maps, if there are enough; else any may be missing.
    """
    shape, rng = draw(shapes(dimensions)), np.random.default_rng(draw(seeds))
    kinds = st.sampled_from(KINDS)
    reference, prediction = np.zeros((2, *shape), np.int64)
    for label in range(1, labels + 1):
        ours = draw(kinds)(rng, shape)
        theirs = _perturbed(rng, ours) if draw(st.booleans()) else draw(kinds)(rng, shape)
        reference[ours], prediction[theirs] = label, label
    for array in (reference, prediction):
        places = rng.permutation(array.size)[:labels]
        if everywhere and len(np.unique(array[array > 0])) < labels and len(places) == labels:
            array.flat[places] = np.arange(1, labels + 1)
    return Case(reference, prediction, tuple(draw(steps) for _ in shape))


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Case, int]:
    """Many labels in small maps, some in one map only, some in none; and how many there are."""
    labels = draw(st.sampled_from([8, 9, 17, 70, 130]))
    shape, rng = draw(shapes()), np.random.default_rng(draw(seeds))
    reference = np.where(_noise(rng, shape), rng.integers(0, labels + 1, shape), 0)
    moved = np.roll(reference, int(rng.integers(2)), axis=0)
    prediction = np.where(rng.random(shape) < 0.7, moved, rng.integers(0, labels + 1, shape))
    return Case(reference, prediction, tuple(draw(steps) for _ in shape)), labels


@st.composite
def layouts(draw: st.DrawFn) -> Callable[[Labels], Labels]:
    """Ways to hold the same values: dtype, order, negative and wide strides, read-only."""
    dtype = draw(st.sampled_from([np.uint8, np.int16, np.int32, np.int64, np.uint64]))
    kind = draw(st.sampled_from(["plain", "transposed", "reversed", "strided", "read-only", "big-endian"]))

    def lay(array: Labels) -> Labels:
        array = array.astype(dtype)
        if kind == "transposed":
            return np.ascontiguousarray(array.T).T
        if kind == "reversed":
            return np.ascontiguousarray(array[(slice(None, None, -1),) * array.ndim])[
                (slice(None, None, -1),) * array.ndim
            ]
        if kind == "strided":
            wide = np.full([2 * side for side in array.shape], 1, dtype)
            wide[(slice(None, None, 2),) * array.ndim] = array
            return wide[(slice(None, None, 2),) * array.ndim]
        if kind == "read-only":
            array.flags.writeable = False
        return array.astype(array.dtype.newbyteorder(">")) if kind == "big-endian" else array

    return lay


def size_of(case: Case, label: int = 1) -> tuple[int, int]:
    """Returns the voxels of a label in either map."""
    return int(np.sum(case.reference == label)), int(np.sum(case.prediction == label))
