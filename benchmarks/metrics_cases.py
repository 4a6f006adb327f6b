"""Label maps that metrics are measured on: real and generated, predictions as networks make them, and hard ones.

Imported by metrics.py.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from medseg.data import index_dataset, load_label
from medseg.tasks import TASKS

Map = NDArray[np.uint8]

ACDC_SPACING = (10.0, 1.5625, 1.5625)
ACDC_SHAPE = (10, 256, 216)
LARGE_SPACING = (2.5, 0.8, 0.8)
LARGE_SHAPE = (128, 256, 256)
TOLERANCE_MM = 2.0
"""No distance on these grids, so that libraries need not agree on whether a limit is within."""


@dataclass(frozen=True)
class Volume:
    """A reference and a prediction, uint8 (Z, Y, X), of labels 1..K.

    Args:
        name: What it is.
        reference: Class indices.
        prediction: Of the same shape.
        spacing: In mm.
        count: The number K of labels.
    """

    name: str
    reference: Map
    prediction: Map
    spacing: tuple[float, ...]
    count: int = 3

    @property
    def labels(self) -> list[str]:
        """Names of the labels."""
        return [f"label{index}" for index in range(1, self.count + 1)]

    def dice(self) -> list[float]:
        """Returns Dice of each label that is in either map, so that a reader sees what is measured."""
        found = []
        for index in range(1, self.count + 1):
            ours, theirs = self.reference == index, self.prediction == index
            if ours.any() or theirs.any():
                found.append(float(2 * np.sum(ours & theirs) / (ours.sum() + theirs.sum())))
        return found


def predicted(reference: Map, seed: int, amplitude: float = 1.6, smooth: float = 6.0) -> Map:
    """Returns a reference bent in plane by a smooth random field; every third seed adds two false islands.

    Args:
        reference: Class indices.
        seed: Of the field.
        amplitude: Standard deviation of the displacement, in pixels.
        smooth: How far it reaches, in pixels.
    """
    rng = np.random.default_rng(seed)
    noise = [gaussian_filter(rng.normal(size=reference.shape), (0.7, smooth, smooth)) for _ in range(2)]
    where = np.indices(reference.shape).astype(np.float64)
    for axis, field in zip((1, 2), noise, strict=True):
        where[axis] += field * (amplitude / field.std())
    bent: Map = map_coordinates(reference, where, order=0, mode="nearest")
    if seed % 3 == 0:
        for _ in range(2):
            z, y, x = (int(rng.integers(side)) for side in reference.shape)
            bent[z, y : y + 4, x : x + 3] = rng.integers(1, reference.max() + 1)
    return bent


def ellipsoid(shape: tuple[int, ...], middle: Any, radii: Any) -> NDArray[np.bool_]:
    """Returns the voxels within an ellipsoid; middle and radii in voxels."""
    parts = [
        ((np.arange(side) - at) / radius).reshape([-1 if a == axis else 1 for a in range(3)]) ** 2
        for axis, (side, at, radius) in enumerate(zip(shape, middle, radii, strict=True))
    ]
    return np.asarray(parts[0] + parts[1] + parts[2] <= 1)


def heart(seed: int) -> Map:
    """Returns a right ventricle, a myocardium and a left ventricle in ACDC's shape."""
    rng = np.random.default_rng(seed)
    found = np.zeros(ACDC_SHAPE, np.uint8)
    z, y, x = 4.5, 128 + rng.normal(0, 8), 108 + rng.normal(0, 8)
    size = rng.uniform(0.9, 1.2)
    found[ellipsoid(ACDC_SHAPE, (z, y, x - 28 * size), (4.6, 26 * size, 20 * size))] = 1
    found[ellipsoid(ACDC_SHAPE, (z, y, x), (5.2, 26 * size, 25 * size))] = 2
    found[ellipsoid(ACDC_SHAPE, (z, y, x), (4.6, 17 * size, 16 * size))] = 3
    return found


def organs() -> Map:
    """Returns three organs of an abdomen: a large one, a middling one, and a pair of small ones."""
    found = np.zeros(LARGE_SHAPE, np.uint8)
    found[ellipsoid(LARGE_SHAPE, (64, 110, 80), (40, 55, 60))] = 1
    found[ellipsoid(LARGE_SHAPE, (70, 130, 195), (25, 30, 22))] = 2
    for x in (95, 165):
        found[ellipsoid(LARGE_SHAPE, (50, 190, x), (22, 18, 14))] = 3
    return found


def body(count: int = 117) -> Map:
    """Returns as many structures of all sizes as TotalSegmentator tells apart."""
    rng = np.random.default_rng(0)
    found = np.zeros(LARGE_SHAPE, np.uint8)
    for index in range(1, count + 1):
        radii = rng.uniform(4, 22) * rng.uniform(0.6, 1.5, 3)
        found[ellipsoid(LARGE_SHAPE, rng.uniform(0.1, 0.9, 3) * LARGE_SHAPE, radii)] = index
    return found


def acdc(root: Path | None, count: int) -> list[Volume]:
    """Returns real hearts with bent predictions, else generated ones; the same ones again if there are too few."""
    if root is None or not root.is_dir():
        hearts = [(heart(seed), ACDC_SPACING) for seed in range(min(count, 8))]
        name = "generated heart"
    else:
        task = TASKS.load("acdc-multiclass")
        with tempfile.TemporaryDirectory() as cache:
            cases = index_dataset(task, root, Path(cache)).cases
        hearts = [(load_label(case, task).astype(np.uint8), case.spacing_mm) for case in cases[:count]]
        name = "ACDC"
    found = []
    for seed in range(count):
        reference, spacing = hearts[seed % len(hearts)]
        found.append(Volume(f"{name} {seed}", reference, predicted(reference, seed), tuple(spacing)))
    return found


def acdc_sized() -> Volume:
    """Returns a generated heart of 10 x 256 x 216."""
    reference = heart(0)
    return Volume("heart 216x256x10", reference, predicted(reference, 0), ACDC_SPACING)


def large() -> Volume:
    """Returns three organs of 128 x 256 x 256."""
    reference = organs()
    prediction = predicted(reference, 0, amplitude=4.0, smooth=12.0)
    return Volume("organs 256x256x128", reference, prediction, LARGE_SPACING)


def _noise() -> Volume:
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 4, (2, *ACDC_SHAPE)).astype(np.uint8)
    return Volume("noise 216x256x10", *maps, ACDC_SPACING)


def _empty() -> Volume:
    reference = organs()
    return Volume("nothing predicted 256x256x128", reference, np.zeros_like(reference), LARGE_SPACING)


def _corners() -> Volume:
    """The three organs, small, and predicted in the opposite corner."""
    reference = np.zeros(LARGE_SHAPE, np.uint8)
    for index, z in enumerate((12, 22, 32), start=1):
        reference[ellipsoid(LARGE_SHAPE, (z, 25, 25), (9, 22, 22))] = index
    flipped = np.ascontiguousarray(reference[::-1, ::-1, ::-1])
    return Volume("opposite corners 256x256x128", reference, flipped, LARGE_SPACING)


def _body() -> Volume:
    reference = body()
    return Volume("117 labels 256x256x128", reference, predicted(reference, 1), (1.5, 1.5, 1.5), 117)


HARD: dict[str, Callable[[], Volume]] = {
    "noise": _noise,
    "empty": _empty,
    "corners": _corners,
    "many-labels": _body,
}


def small() -> Iterator[Volume]:
    """Returns crops that every side is done with at once: does it run?"""
    for volume in (acdc_sized(), _noise()):
        crop = (slice(2, 6), slice(100, 150), slice(70, 120))
        yield Volume(
            f"crop of {volume.name}", volume.reference[crop], volume.prediction[crop], volume.spacing
        )
