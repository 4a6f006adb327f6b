"""One case as the network sees it: intensities, then image and label through one geometry. Pure."""

import numpy as np
from numpy.typing import NDArray

from medseg.data.geometry import Geometry, cubic, linear
from medseg.tasks import TaskSpec

# An SD below this share of the largest value is rounding: the image is constant.
_FLAT = 1e-6
# Slices are resampled a few at a time, so that a large volume needs memory once, not ten times.
_SLICES = 8


def preprocess(
    task: TaskSpec, image: NDArray[np.float32], label: NDArray[np.uint8], geometry: Geometry
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Preprocesses one case.

    Args:
        task: Gives the intensity rule and the number of classes.
        image: Native intensities, (C, Z, H, W) or (C, H, W).
        label: Native class indices, (Z, h, w) or (h, w).
        geometry: Where the network's grid lies on the native one.

    Returns:
        Image (S, C, H, W) and class indices (S, H, W). A 2D case has one slice.
    """
    if image.ndim == 3:
        image, label = image[:, None], label[None]
    depth = label.shape[0]
    images = np.empty((depth, len(image), *geometry.network), dtype=np.float32)
    labels = np.empty((depth, *geometry.network), dtype=np.uint8)
    for number, channel in enumerate(image):
        normalised = normalise(task, channel)
        for start in range(0, depth, _SLICES):
            part = slice(start, start + _SLICES)
            images[part, number] = geometry.to_network(normalised[part], cubic)
    for start in range(0, depth, _SLICES):
        part = slice(start, start + _SLICES)
        labels[part] = label_to_network(label[part], task.classes, geometry)
    return images, labels


def normalise(task: TaskSpec, channel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scales one channel of one case, volume or picture, by its own values or by the task's window.

    Returns:
        float32 of the same shape: the window as -2..2, else zero mean and unit SD; a constant image gives zeros.
    """
    if task.window is not None:
        low, high = task.window
        centre, quarter = (low + high) / 2, (high - low) / 4
        return ((np.clip(channel, low, high) - centre) / quarter).astype(np.float32)
    if task.clip_percentiles is not None:
        low, high = (float(bound) for bound in np.percentile(channel, task.clip_percentiles))
        channel = np.clip(channel, low, high)
    spread = float(channel.std(dtype=np.float64))
    flat = spread <= _FLAT * float(np.abs(channel).max())
    centred = channel - np.float32(channel.mean(dtype=np.float64))
    centred /= 1.0 if flat else spread
    return centred


def label_to_network(label: NDArray[np.uint8], classes: int, geometry: Geometry) -> NDArray[np.uint8]:
    """Resamples each class's share of a pixel and keeps the largest: no class can appear that was not there."""
    best = np.zeros((len(label), *geometry.network), dtype=np.uint8)
    share = np.zeros(best.shape, dtype=np.float32)
    present = np.bincount(label.ravel(), minlength=classes)
    for index in np.flatnonzero(present[:classes]):
        here = geometry.to_network((label == index).astype(np.float32), linear)
        best[here > share] = index
        np.maximum(share, here, out=share)
    return best
