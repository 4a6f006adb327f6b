"""Host to device and rows in and out, without ever making the host wait for the device."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Rows = slice | NDArray[np.intp]


def send(values: NDArray[Any], device: torch.device) -> Tensor:
    """Copies a small array to the device; from pinned memory, so that the host goes on at once."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def get_rows(tensor: Tensor, rows: Rows) -> Tensor:
    """Returns some rows; a view if they are a slice."""
    return tensor[rows] if isinstance(rows, slice) else tensor.index_select(0, send(rows, tensor.device))


def one_run(rows: NDArray[np.intp]) -> Rows:
    """Returns ascending rows as a slice if they lie together, so that they need no copy."""
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows


def put_rows(tensor: Tensor, rows: Rows, values: Tensor) -> None:
    """Writes rows in place, converting to the tensor's own type; a view of them is there already."""
    on_cpu = tensor.device.type == "cpu"
    if isinstance(rows, slice):
        place = tensor[rows]
        if place.data_ptr() == values.data_ptr():
            return
        if on_cpu and values.is_floating_point() and not place.is_floating_point():
            # NumPy converts float to uint8 six times as fast.
            np.copyto(place.numpy(), values.numpy(), casting="unsafe")
        else:
            place.copy_(values)
    elif on_cpu:
        # Here index_copy_ takes twice as long.
        for row, value in zip(rows.tolist(), values, strict=True):
            tensor[row].copy_(value)
    else:
        tensor.index_copy_(0, send(rows, tensor.device), values.to(tensor.dtype))
