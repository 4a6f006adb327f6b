"""Brings batches of prepared slices onto the device, without a step ever waiting for the disk.

On a CPU the memory map is the page cache is the data: a batch is one gather. On a GPU the training slices live there
if they fit into a share of its free memory; else a thread gathers the next batches into pinned memory and sends them
ahead. All three give the same numbers.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medseg.data.prepared import Prepared

Batch = tuple[Tensor, Tensor]
Kind = Literal["mapped", "resident", "streamed"]

RESIDENT_SHARE = 0.25
AHEAD = 3
CHUNK = 256


class Feed:
    """Gives each step's slices as tensors on the device.

    Args:
        prepared: The arrays.
        slices: The slices that training may ask for.
        choose: Returns the slices of a step; a pure function, asked ahead of time.
        device: Where batches go.
        kind: How; by default what fits the device.
    """

    def __init__(
        self,
        prepared: Prepared,
        slices: NDArray[np.int64],
        choose: Callable[[int], NDArray[np.int64]],
        device: torch.device,
        kind: Kind | None = None,
    ):
        self.prepared, self.device, self.choose = prepared, device, choose
        self.kind = kind or _suitable(prepared, len(slices), device)
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: dict[int, Future[Batch]] = {}
        if self.kind == "resident":
            ordered = np.sort(slices)
            self._place = np.full(len(prepared.labels), -1, dtype=np.int64)
            self._place[ordered] = np.arange(len(ordered))
            self._images, self._labels = self._resident(ordered)

    def batch(self, step: int) -> Batch:
        """Returns images, float16 (B, C, H, W), and class indices, uint8 (B, H, W), on the device.

        Args:
            step: From 0; steps are usually asked for in order.
        """
        if self.kind == "resident":
            chosen = torch.from_numpy(self._place[self.choose(step)])
            index = self._send(chosen)
            return self._images[index], self._labels[index]
        if self.kind == "streamed":
            return self._streamed(step)
        images, labels = self._gather(self.choose(step))
        return self._send(images), self._send(labels)

    def close(self) -> None:
        """Stops reading ahead and frees what lives on the device."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        self._ahead.clear()
        if self.kind == "resident":
            del self._images, self._labels

    def _resident(self, ordered: NDArray[np.int64]) -> Batch:
        """Copies the slices a few at a time, so that the host never holds all of them."""
        images, labels = self._gather(ordered[:1])
        images = torch.empty((len(ordered), *images.shape[1:]), dtype=images.dtype, device=self.device)
        labels = torch.empty((len(ordered), *labels.shape[1:]), dtype=labels.dtype, device=self.device)
        for start in range(0, len(ordered), CHUNK):
            part = slice(start, start + CHUNK)
            for whole, some in zip((images, labels), self._gather(ordered[part]), strict=True):
                whole[part].copy_(some)
        return images, labels

    def _streamed(self, step: int) -> Batch:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed")
        for passed in [key for key in self._ahead if not step <= key < step + AHEAD]:
            self._ahead.pop(passed).cancel()
        for coming in range(step, step + AHEAD):
            if coming not in self._ahead:
                self._ahead[coming] = self._pool.submit(self._pinned, coming)
        images, labels = self._ahead.pop(step).result()
        return self._send(images), self._send(labels)

    def _pinned(self, step: int) -> Batch:
        images, labels = self._gather(self.choose(step))
        if self.device.type != "cuda":
            return images, labels
        return images.pin_memory(), labels.pin_memory()

    def _gather(self, chosen: NDArray[np.int64]) -> Batch:
        return torch.from_numpy(self.prepared.images[chosen]), torch.from_numpy(self.prepared.labels[chosen])

    def _send(self, tensor: Tensor) -> Tensor:
        if self.device.type == "cuda" and not tensor.is_pinned():
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


def _suitable(prepared: Prepared, count: int, device: torch.device) -> Kind:
    if device.type != "cuda":
        return "mapped"
    free, _ = torch.cuda.mem_get_info(device)
    per_slice = prepared.images[:1].nbytes + prepared.labels[:1].nbytes
    return "resident" if count * per_slice <= RESIDENT_SHARE * free else "streamed"
