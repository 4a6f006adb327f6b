"""Generates volumes for tasks of any labels and channels: blobs of different brightness, in a plain folder."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseg.data.phantom.texture import edge, smooth_noise
from medseg.data.phantom.volume import save_volume
from medseg.tasks import TaskSpec

TEST_SHARE = 0.4
SLICES = 4
SLICE_MM = 5.0
BRIGHTEST = 1000.0


def write_shapes(task: TaskSpec, folder: Path) -> None:
    """Writes ``images/`` and ``masks/``, in ``train/`` and ``test/`` where the split is official.

    Volumes have a few slices of the task's `image_size` and spacing, or one where lengths are in pixels. Every label
    occurs in each, but for the first slice of several, which is empty.

    Raises:
        OSError: If the folder cannot be written.
    """
    assert task.phantom is not None
    count, seed = task.phantom.patients, task.phantom.seed
    tested = int(count * TEST_SHARE) if task.split.test == "official" else 0
    for number in range(1, count + 1):
        part = "" if not tested else "train" if number <= count - tested else "test"
        rng = np.random.default_rng((seed, number))
        images, mask = _draw(rng, task)
        for kind in ("images", "masks"):
            (folder / part / kind).mkdir(parents=True, exist_ok=True)
        name = f"case{number:03d}"
        spacing = (SLICE_MM, *(task.spacing_mm or (1.0, 1.0)))
        for channel, image in enumerate(images):
            suffix = f"_{channel:04d}" if task.channels > 1 else ""
            save_volume(image, spacing, folder / part / "images" / f"{name}{suffix}.nii.gz")
        save_volume(mask, spacing, folder / part / "masks" / f"{name}.nii.gz")


def _draw(rng: np.random.Generator, task: TaskSpec) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Returns images (C, Z, H, W) and label values (Z, H, W)."""
    depth = 1 if task.unit == "px" else SLICES
    shape = (depth, *task.image_size)
    images = np.stack([0.15 + 0.05 * smooth_noise(rng, shape, 6.0) for _ in range(task.channels)])
    mask = np.zeros(shape, np.int32)
    cells = math.ceil(math.sqrt(len(task.labels)))
    y, x = np.meshgrid(*((np.arange(side) + 0.5) / side * cells for side in task.image_size), indexing="ij")
    first = 0 if depth == 1 else 1
    for number, value in enumerate(task.labels.values()):
        row, column = divmod(number, cells)
        centre = (row + rng.uniform(0.4, 0.6), column + rng.uniform(0.4, 0.6))
        radii = rng.uniform(0.25, 0.4, 2)
        distance = np.hypot((y - centre[0]) / radii[0], (x - centre[1]) / radii[1]) - 1
        mask[first:, distance < 0] = value
        bright = rng.permutation(np.linspace(0.4, 0.9, task.channels)) if task.channels > 1 else [0.5]
        for image, level in zip(images, bright, strict=True):
            image[first:] += edge(distance, 0.3) * level * (0.6 + 0.4 * (number + 1) / len(task.labels))
    low, high = task.window or (0.0, BRIGHTEST)
    noisy = images + 0.03 * rng.standard_normal(images.shape)
    return (low + noisy * (high - low)).astype(np.float32), mask
