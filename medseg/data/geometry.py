"""One map between a native grid and the network's grid, for image, label and prediction alike.

Both grids are centred on one another. Per axis, output pixel ``i`` of ``n`` lies at
``(i - (n - 1) / 2) * step + (N - 1) / 2`` of ``N`` input pixels: resampling and crop or pad in one. With pixel
centres at whole numbers this is the half-pixel-centre convention; slices are never mixed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseg.tasks import TaskSpec

Kernel = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def linear(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Triangle kernel of radius 1."""
    return np.maximum(0.0, 1.0 - np.abs(distance))


def cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cubic convolution kernel of radius 2 with a = -1/2 (Keys, IEEE TASSP 1981)."""
    d = np.abs(distance)
    near = (1.5 * d - 2.5) * d * d + 1.0
    far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


_RADIUS: dict[Kernel, int] = {linear: 1, cubic: 2}


@dataclass(frozen=True)
class Geometry:
    """Places the network's grid on a native grid.

    Args:
        native: Rows and columns of the native grid.
        network: Rows and columns that the network sees.
        step: Native pixels per network pixel, by axis.
    """

    native: tuple[int, int]
    network: tuple[int, int]
    step: tuple[float, float]

    def to_network(self, planes: NDArray[np.float32], kernel: Kernel) -> NDArray[np.float32]:
        """Resamples planes (..., h, w) onto the network's grid; pixels outside them become 0.

        The planes may be on a finer or coarser grid than the native one, as an X-ray of 299 pixels with a mask
        of 256: both are taken to cover the same field of view.
        """
        for axis, count, size, step in self._axes():
            planes = resample(planes, axis - 2, size, step * planes.shape[axis - 2] / count, kernel)
        return planes

    def to_native(self, planes: NDArray[np.float32], outside: float) -> NDArray[np.float32]:
        """Resamples planes (..., H, W) back onto the native grid, linearly; beyond them lies `outside`."""
        shifted = planes - np.float32(outside)
        for axis, count, _, step in self._axes():
            shifted = resample(shifted, axis - 2, count, 1.0 / step, linear)
        return shifted + np.float32(outside)

    def field(self) -> tuple[slice, slice]:
        """Returns the rows and columns of the native grid that the network sees; the others it never can."""
        seen = []
        for _, count, size, step in self._axes():
            reach, centre = size * step / 2 + 1e-6, (count - 1) / 2
            seen.append(slice(max(0, math.ceil(centre - reach)), min(count, math.floor(centre + reach) + 1)))
        return seen[0], seen[1]

    def _axes(self) -> tuple[tuple[int, int, int, float], ...]:
        return tuple((axis, self.native[axis], self.network[axis], self.step[axis]) for axis in (0, 1))


def place(task: TaskSpec, shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> Geometry:
    """Returns a case's geometry: to the task's spacing where it names one, else the whole image fits its size.

    Args:
        task: Gives ``image_size`` and ``spacing_mm``.
        shape: Of the native grid, (Z, H, W) or (H, W).
        spacing_mm: Of the native grid, same order.
    """
    native = (shape[-2], shape[-1])
    if task.spacing_mm is None:
        # One step for both axes: an image that is not of the network's proportions is padded, never squashed.
        largest = max(native[0] / task.image_size[0], native[1] / task.image_size[1])
        step = (largest, largest)
    else:
        step = (task.spacing_mm[0] / spacing_mm[-2], task.spacing_mm[1] / spacing_mm[-1])
    return Geometry(native, task.image_size, step)


def resample(
    values: NDArray[np.float32], axis: int, size: int, step: float, kernel: Kernel
) -> NDArray[np.float32]:
    """Resamples one axis onto `size` points, `step` apart and centred; 0 outside the field of view.

    When shrinking (`step` > 1) the kernel is widened by `step`, which keeps fine detail from aliasing.

    Args:
        values: Array of any shape.
        axis: The axis to resample.
        size: Points wanted.
        step: Distance between them in input pixels.
        kernel: `linear` or `cubic`.

    Returns:
        float32 array with `size` points along `axis`.
    """
    count = values.shape[axis]
    if size == count and step == 1.0:
        return values.astype(np.float32)
    index, weight = _taps(count, size, step, kernel)
    moved = np.moveaxis(values, axis, 0)
    out = np.zeros((size, *moved.shape[1:]), dtype=np.float32)
    # Tap by tap rather than as one matrix product: same bits whatever BLAS and its threads do.
    for tap in range(index.shape[1]):
        out += weight[:, tap].reshape(-1, *[1] * (moved.ndim - 1)) * moved[index[:, tap]]
    return np.moveaxis(out, 0, axis)


def _taps(count: int, size: int, step: float, kernel: Kernel) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Returns input indices and weights, both (size, taps); weights of a point inside sum to 1."""
    centre = (np.arange(size) - (size - 1) / 2) * step + (count - 1) / 2
    width = max(1.0, step)
    reach = _RADIUS[kernel] * width
    first = np.ceil(centre - reach).astype(np.intp)
    index = first[:, None] + np.arange(int(np.floor(2 * reach)) + 1)
    weight = kernel((index - centre[:, None]) / width)
    weight /= weight.sum(axis=1, keepdims=True)
    # The field of view ends half a pixel beyond the outer centres; within it the border pixel repeats.
    inside = np.abs(centre - (count - 1) / 2) <= count / 2 + 1e-6
    return np.clip(index, 0, count - 1), np.where(inside[:, None], weight, 0.0).astype(np.float32)
