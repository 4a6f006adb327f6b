"""Small parts that several networks share."""

import math
from typing import Literal

from torch import Tensor, nn

from medseg.errors import ModelError


def require_divisible(name: str, image: Tensor, divisor: int) -> None:
    """Refuses images whose sides cannot be halved as often as the network does.

    Args:
        name: What needs it, for the message, e.g. ``"unet with 4 poolings"``.
        image: (B, C, H, W).
        divisor: Number that H and W must be multiples of.

    Raises:
        ModelError: If a side is not a multiple; the message names the size that came.
    """
    height, width = image.shape[-2:]
    if height % divisor or width % divisor:
        raise ModelError(f"{name} needs image sides divisible by {divisor}, got {height} x {width}")


def double_convolution(
    in_channels: int,
    out_channels: int,
    *,
    bias: bool = True,
    stride: int = 1,
    padding_mode: Literal["zeros", "reflect"] = "zeros",
) -> nn.Sequential:
    """Makes twice (3x3 convolution with padding, batch norm, ReLU).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of both convolutions.
        bias: Of both convolutions.
        stride: Of the first convolution.
        padding_mode: What lies beyond the border.
    """
    layers: list[nn.Module] = []
    for channels, step in ((in_channels, stride), (out_channels, 1)):
        layers += [
            nn.Conv2d(
                channels, out_channels, 3, stride=step, padding=1, padding_mode=padding_mode, bias=bias
            ),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def he_normal_(module: nn.Module) -> None:
    """Draws the weights of all convolutions from N(0, 2 / N), N inputs per output; biases become 0.

    He et al. 2015, "Delving deep into rectifiers"; it is what Ronneberger et al. 2015 ask for.
    """
    for part in module.modules():
        if not isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            continue
        inputs = part.in_channels * math.prod(part.kernel_size) / part.groups
        if isinstance(part, nn.ConvTranspose2d):
            inputs /= math.prod(part.stride)
        nn.init.normal_(part.weight, std=math.sqrt(2 / inputs))
        if part.bias is not None:
            nn.init.zeros_(part.bias)
