"""How a model is laid out and run on a device. Rules that depend on the trial alone, so that runs can be repeated."""

import torch
from torch import nn

from medseg.training.config import TrainConfig

# Compiling a U-Net takes about a minute, which a GPU earns back in some thousand steps.
COMPILE_PAYS_AFTER = 5_000


def set_up_device(device: torch.device) -> None:
    """Lets cuDNN try which of its algorithms is fastest for each shape, as nnU-Net does; of no effect on a CPU.

    Its choice, and the order in which some of them add up, may differ from run to run: on a GPU two runs agree up
    to rounding, not bit by bit.
    """
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True


def memory_format(model: nn.Module, device: torch.device, precision: str = "fp32") -> torch.memory_format:
    """Returns channels_last, which is faster on CPUs (1.1 to 1.3 times here), except where it would crash or lose.

    It loses with instance norms in half precision on a CPU, where ours, of float32, does not apply.

    torch 2.13's CPU build writes past its buffers in the weight gradient of a strided 1x1 convolution of few
    channels in channels_last (15 -> 16 channels, batch 16, 64x64: segmentation fault).
    """
    if device.type != "cpu":
        return torch.channels_last
    slow = nn.InstanceNorm2d if precision != "fp32" else ()
    if any(_crashes_in_channels_last(part) or isinstance(part, slow) for part in model.modules()):
        return torch.contiguous_format
    return torch.channels_last


def _crashes_in_channels_last(part: nn.Module) -> bool:
    if not isinstance(part, nn.Conv2d):
        return False
    strided_1x1 = set(part.kernel_size) == {1} and max(part.stride) > 1
    return strided_1x1 and min(part.in_channels, part.out_channels) < 32


def compiles(config: TrainConfig, device: torch.device) -> bool:
    """Says whether training goes through torch.compile: as the setting says, or on a GPU if it pays back."""
    if config.compile != "auto":
        return config.compile == "on"
    return device.type == "cuda" and config.epochs * config.steps_per_epoch >= COMPILE_PAYS_AFTER


def why_compiled(config: TrainConfig, device: torch.device) -> str:
    """Returns what was decided about compiling, and by what, in words."""
    done = "compiled" if compiles(config, device) else "not compiled"
    if config.compile != "auto":
        return f"{done}: compile is {config.compile}"
    steps = config.epochs * config.steps_per_epoch
    if device.type != "cuda":
        return f"{done}: on a {device.type} it is off by default"
    side = "at least" if steps >= COMPILE_PAYS_AFTER else "fewer than"
    return f"{done}: {steps} steps are {side} the {COMPILE_PAYS_AFTER} after which it pays"
