"""From a network's probabilities to those of whole images: mirrored copies and sliding windows.

Both take and return a `Predict`: `windowed(mirrored(predict, flips), patch_size)`.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from medseg.data.augment.device import send
from medseg.training.evaluate import Predict

Size = tuple[int, int]
Floats = NDArray[np.float64]
Run = tuple[int, int, slice]

_AXES = {"horizontal": -1, "vertical": -2}
_SIGMA = 1 / 8


def mirrored(predict: Predict, flips: Sequence[str]) -> Predict:
    """Returns the mean prediction over an image and its mirrored copies, each turned back.

    Probabilities are averaged, as in nnU-Net 1 (Isensee et al., Nat Methods 2021); nnU-Net 2 averages logits.

    Args:
        predict: Predicts images as they are.
        flips: Axes along which the task may be mirrored: "horizontal" and/or "vertical". Both mean four copies,
            none means `predict` itself.

    Raises:
        ValueError: If an axis is unknown.
    """
    unknown = set(flips) - set(_AXES)
    if unknown:
        raise ValueError(f"flips must be 'horizontal' and/or 'vertical', got {sorted(unknown)}")
    axes = [axis for name, axis in _AXES.items() if name in flips]
    copies = [dims for count in range(1, len(axes) + 1) for dims in combinations(axes, count)]
    if not copies:
        return predict

    def mean(images: Tensor) -> Tensor:
        total = predict(images)
        for dims in copies:
            total = total + predict(images.flip(dims)).flip(dims)
        return total / (len(copies) + 1)

    return mean


def windowed(predict: Predict, patch_size: Size, overlap: float = 0.5, batch_size: int = 32) -> Predict:
    """Returns a prediction of images of any size by windows of one size.

    Windows overlap evenly and the last touches the border; where they overlap, probabilities are averaged with
    Gaussian weights of SD 1/8 of the side, on the device, in float32. Positions are nnU-Net's (Isensee et al., Nat
    Methods 2021). So are the weights, but for the centre: between the two middle pixels of an even side, not
    beside them. An image that is smaller than the window is centred in zeros.

    Args:
        predict: Predicts images of the window's size.
        patch_size: Rows and columns of a window.
        overlap: Share of a window that the next one covers again, at least; 0 up to but not 1.
        batch_size: Most windows that are predicted at once; those of all images of a batch go together.

    Returns:
        A function of images (B, C, H, W). For images of the window's size, B at most `batch_size`, it gives exactly
        what `predict` gives.

    Raises:
        ValueError: If the overlap is not in [0, 1), or a size is not positive.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be at least 0 and less than 1, got {overlap}")
    if min(*patch_size, batch_size) < 1:
        raise ValueError(
            f"patch_size and batch_size must be positive, got {tuple(patch_size)} and {batch_size}"
        )

    def whole(images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        short = [max(0, side - size) for side, size in zip(patch_size, (height, width), strict=True)]
        if not any(short):
            return _over_windows(predict, images, patch_size, overlap, batch_size)
        top, left = short[0] // 2, short[1] // 2
        images = F.pad(images, (left, short[1] - left, top, short[0] - top))
        found = _over_windows(predict, images, patch_size, overlap, batch_size)
        return found[..., top : top + height, left : left + width]

    return whole


def window_starts(size: int, side: int, overlap: float) -> list[int]:
    """Returns where along an axis windows start, evenly spaced from one border to the other.

    Args:
        size: Pixels of the image along the axis; at least `side`.
        side: Pixels of the window.
        overlap: Share of a window that the next one covers again, at least.
    """
    step = max(1.0, side * (1 - overlap))
    # 1 - 0.9 is a little less than 0.1: without the allowance there could be a window too many.
    last = math.ceil((size - side) / step - 1e-9)
    return [round(number * (size - side) / max(1, last)) for number in range(last + 1)]


def _over_windows(predict: Predict, images: Tensor, patch: Size, overlap: float, batch_size: int) -> Tensor:
    count, (height, width) = len(images), images.shape[-2:]
    rows, columns = window_starts(height, patch[0], overlap), window_starts(width, patch[1], overlap)
    places = [(row, column) for row in rows for column in columns]
    if len(places) == 1:
        found = [predict(part) for part in torch.split(images, batch_size)]
        return found[0] if len(found) == 1 else torch.cat(found)
    down, across = _gaussian(patch[0]), _gaussian(patch[1])
    weight = send(np.outer(down, across).astype(np.float32), images.device)
    sums = weight.new_zeros(())
    for runs in _batches(places, count, batch_size):
        parts = [_window(images, run, patch) for run in runs]
        probabilities = predict(torch.cat(parts))
        if not sums.ndim:
            sums = weight.new_zeros((count, probabilities.shape[1], height, width))
        for run, some in zip(runs, torch.split(probabilities, [len(part) for part in parts]), strict=True):
            _window(sums, run, patch).addcmul_(some, weight)
    # Places form a grid and weights a product: so does the weights' sum.
    total = np.outer(_total(rows, down, height), _total(columns, across, width))
    return sums.div_(send(total.astype(np.float32), images.device))


def _batches(places: Sequence[Size], count: int, batch_size: int) -> Iterator[list[Run]]:
    """Yields at most `batch_size` windows at a time: runs of images that are looked at in the same place."""
    total = len(places) * count
    for start in range(0, total, batch_size):
        stop = min(start + batch_size, total)
        yield [
            (*places[place], slice(max(start - place * count, 0), min(stop - place * count, count)))
            for place in range(start // count, (stop - 1) // count + 1)
        ]


def _window(images: Tensor, run: Run, patch: Size) -> Tensor:
    row, column, some = run
    return images[some, :, row : row + patch[0], column : column + patch[1]]


def _gaussian(side: int) -> Floats:
    """Returns the weights along one axis; the smallest, exp(-8), is far from 0."""
    distance = (np.arange(side) - (side - 1) / 2) / (_SIGMA * side)
    return np.asarray(np.exp(-0.5 * distance**2), dtype=np.float64)


def _total(starts: Sequence[int], weights: Floats, size: int) -> Floats:
    total = np.zeros(size)
    for start in starts:
        total[start : start + len(weights)] += weights
    return total
