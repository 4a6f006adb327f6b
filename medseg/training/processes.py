"""The processes of one trial: who takes which samples, and what they tell each other.

`torchrun` and `accelerate launch` start them; a trial on its own is a single one. Sums over processes go by gloo on a
CPU and by NCCL on GPUs.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs, gather_object
from torch import Tensor

from medseg.errors import ConfigError
from medseg.losses.reduce import across_processes
from medseg.training.sync_norm import sum_over_processes

Item = TypeVar("Item")
# One process may predict for hours while the others wait; whoever started them notices if it died.
PATIENCE = timedelta(days=2)
# Kinds of processes among which a batch may be shared, in Accelerate's words.
PLAIN = ("NO", "MULTI_CPU", "MULTI_GPU")


def make_accelerator(precision: str, use_cpu: bool, unused: bool = False) -> Accelerator:
    """Returns a fresh Accelerator; a reused worker may have had one of another precision.

    Args:
        precision: Of the computation.
        use_cpu: Stay on the CPU although a GPU is there.
        unused: Some parameters may get no gradient in a step; of several processes none then waits for theirs.

    Raises:
        ConfigError: If the device cannot compute in this precision.
    """
    if precision == "fp16" and (use_cpu or not torch.cuda.is_available()):
        raise ConfigError("train.precision", "fp16 needs a GPU; use bf16 or fp32 on a CPU")
    AcceleratorState._reset_state(reset_partial_state=True)
    with _own_settings():
        made = Accelerator(
            mixed_precision="no" if precision == "fp32" else precision,
            cpu=use_cpu,
            gradient_accumulation_steps=1,
            kwargs_handlers=[
                InitProcessGroupKwargs(timeout=PATIENCE),
                DistributedDataParallelKwargs(find_unused_parameters=unused),
            ],
        )
    if made.distributed_type.value not in PLAIN:
        raise ConfigError(
            "processes",
            f"must be plain data-parallel ones ({', '.join(PLAIN)}), got {made.distributed_type.value}",
        )
    return made


@contextmanager
def _own_settings() -> Iterator[None]:
    """Hides what `accelerate config` left in the environment: a trial's numbers follow from its setting alone."""
    hidden = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith("ACCELERATE_") and name != "ACCELERATE_USE_CPU"
    }
    try:
        yield
    finally:
        os.environ.update(hidden)


class Processes:
    """One process among those of its trial.

    Args:
        accelerator: Of this process.
        batch_size: Effective batch.

    Raises:
        ConfigError: If the batch cannot be shared out evenly.
    """

    def __init__(self, accelerator: Accelerator, batch_size: int):
        self._accelerator = accelerator
        self.count: int = accelerator.num_processes
        self.rank: int = accelerator.process_index
        if batch_size % self.count:
            raise ConfigError(
                "train.batch_size", f"must be a multiple of the {self.count} processes, got {batch_size}"
            )
        self.own = batch_size // self.count
        # Every so-manieth: the last rows of a batch are those drawn for rare labels.
        self.rows = slice(self.rank, None, self.count)
        """Rows of the effective batch that this process takes."""

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def sharing(self) -> AbstractContextManager[None]:
        """Returns the context in which losses are those of the whole batch."""
        return across_processes(sum_over_processes) if self.count > 1 else nullcontext()

    def mean(self, values: Tensor) -> Tensor:
        """Returns the mean of each value over the processes."""
        if self.count == 1:
            return values
        mean: Tensor = self._accelerator.reduce(values, reduction="mean")
        return mean

    def any(self, *flags: bool) -> list[bool]:
        """Says which flags are set in any process; all must ask at the same time."""
        if self.count == 1:
            return list(flags)
        own = torch.tensor([float(flag) for flag in flags], device=self._accelerator.device)
        total: Tensor = self._accelerator.reduce(own, reduction="sum")
        return [count > 0 for count in total.tolist()]

    def share(self, items: Sequence[Item]) -> list[Item]:
        """Returns those of the items that this process works on."""
        return list(items[self.rank :: self.count])

    def gather(self, found: list[Any]) -> list[Any]:
        """Returns what all processes found, of the first one first; all must ask at the same time."""
        if self.count == 1:
            return found
        gathered: list[Any] = gather_object(found)
        return gathered
