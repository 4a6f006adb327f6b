"""Host to device and rows in and out, without ever making the host wait for the device."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# What a CPU resamples at once, 4 images of 256x224: twice as fast as 16, whose grids leave the cache.
_CPU_PIXELS = 2**18


def portions(rows: NDArray[np.intp], tensor: Tensor) -> Iterator[NDArray[np.intp]]:
    """Yields the rows of (N, ..., H, W) that are resampled at once, on a GPU all of them."""
    size = max(1, len(rows))
    if tensor.device.type == "cpu":
        size = max(1, _CPU_PIXELS // (tensor.shape[-2] * tensor.shape[-1]))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def send(values: NDArray[Any], device: torch.device) -> Tensor:
    """Copies a small array to the device; from pinned memory, so that the host goes on at once."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def get_rows(tensor: Tensor, rows: NDArray[np.intp]) -> Tensor:
    """Returns some rows, in ascending order; a view if they lie together."""
    if int(rows[-1]) - int(rows[0]) + 1 == len(rows):
        return tensor[int(rows[0]) : int(rows[-1]) + 1]
    return tensor.index_select(0, send(rows, tensor.device))


def put_rows(tensor: Tensor, rows: NDArray[np.intp], values: Tensor) -> None:
    """Writes rows in place, unless the values are a view of them already."""
    place = tensor[int(rows[0]) : int(rows[-1]) + 1]
    if place.data_ptr() == values.data_ptr():
        return
    if len(place) == len(rows):
        place.copy_(values)
    elif tensor.device.type == "cpu":
        # Here index_copy_ takes two (float32) to ten (uint8) times as long.
        for row, value in zip(rows.tolist(), values, strict=True):
            tensor[row].copy_(value)
    else:
        tensor.index_copy_(0, send(rows, tensor.device), values.to(tensor.dtype))
