"""The decoder of the TransUNet: the cascaded upsampler."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class CascadedDecoder(nn.Module):
    """A bridging convolution, then stages that double the size, take in a skip and convolve twice.

    All convolutions are 3x3 without bias, followed by batch norm and ReLU; doubling is bilinear with aligned
    corners. From Chen et al. 2021, https://arxiv.org/abs/2102.04306; there 7,387,200 parameters.

    Args:
        in_channels: Channels of the encoder's tokens.
        bridge_channels: Channels of the first convolution.
        channels: Channels of the stages, coarsest first.
        skips: Channels of the skips that are used, deepest first.
    """

    def __init__(self, in_channels: int, bridge_channels: int, channels: Sequence[int], skips: Sequence[int]):
        super().__init__()
        self.bridge = _convolution(in_channels, bridge_channels)
        self.stages = nn.ModuleList()
        self.skips, below = len(skips), bridge_channels
        for stage, here in enumerate(channels):
            joined = below + (skips[stage] if stage < self.skips else 0)
            self.stages.append(nn.Sequential(_convolution(joined, here), _convolution(here, here)))
            below = here
        self.enlarge = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Maps (B, in_channels, H/16, W/16) and skips at /8, /4, /2 to (B, channels[-1], H, W)."""
        x = self.bridge(x)
        for index, stage in enumerate(self.stages):
            x = self.enlarge(x)
            x = stage(torch.cat((x, skips[index]), dim=1) if index < self.skips else x)
        return x


def _convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
