"""One forward pass for its own sake: what it costs in multiplications."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from medseg.components import CONSTRUCTION_ERRORS
from medseg.config import Component
from medseg.errors import MedsegError
from medseg.models import build_model


@dataclass(frozen=True)
class DryRun:
    """A model that has taken one image.

    Args:
        model: The model; without weights where `device` is ``"meta"``.
        macs: Multiply-accumulates of convolutions, linear layers and attention for one image, in evaluation.
        output: What it returned in evaluation.
        device: ``"meta"``, which computes shapes only, or ``"cpu"`` for a model that cannot do without numbers.
    """

    model: nn.Module
    macs: int
    output: Tensor
    device: str


def dry_run(
    component: Component,
    in_channels: int,
    out_channels: int,
    image_size: Sequence[int],
    devices: Sequence[str] = ("meta", "cpu"),
) -> DryRun:
    """Builds a model and gives it one image of zeros, on the first device where that works.

    Leaves the global random state as it was.

    Args:
        component: Name and options.
        in_channels: Channels of the image.
        out_channels: Channels of the logits.
        image_size: Rows and columns.
        devices: Devices to try.

    Raises:
        MedsegError: If the model cannot be built, or refuses the image.
        Exception: Whatever else the model raises, of `CONSTRUCTION_ERRORS`.
    """
    *earlier, last = devices
    for device in earlier:
        try:
            return _on(device, component, in_channels, out_channels, image_size)
        except (MedsegError, *CONSTRUCTION_ERRORS):
            continue
    return _on(last, component, in_channels, out_channels, image_size)


def _on(
    device: str, component: Component, in_channels: int, out_channels: int, image_size: Sequence[int]
) -> DryRun:
    counter = FlopCounterMode(display=False)
    with torch.random.fork_rng(devices=[]), torch.device(device):
        model = build_model(component, in_channels, out_channels, image_size).eval()
        image = torch.zeros(1, in_channels, int(image_size[0]), int(image_size[1]))
        with torch.no_grad(), _unfused_attention(), counter:
            output = model(image)
    return DryRun(model, counter.get_total_flops() // 2, output, device)


@contextmanager
def _unfused_attention() -> Iterator[None]:
    """Spells attention out in matrix products; torch counts nothing for the CPU's fused kernels."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
