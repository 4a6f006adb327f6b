"""One case as the network sees it: intensities, then image and label through one geometry. Pure."""

import numpy as np
from numpy.typing import NDArray

from medseg.data.geometry import Geometry, cubic, linear
from medseg.tasks import TaskSpec


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
    normalised = np.stack([normalise(task, channel) for channel in image], axis=1)
    return geometry.to_network(normalised, cubic), label_to_network(label, task.classes, geometry)


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
    centred = channel - np.float32(channel.mean(dtype=np.float64))
    return (centred / max(spread, 1e-8)).astype(np.float32)


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
