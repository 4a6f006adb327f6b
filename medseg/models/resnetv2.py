"""The convolutional half of hybrid vision transformers: ResNet V2 with standardised weights and group norm."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WEIGHT_EPS = 1e-5
NORM_EPS = 1e-6
SHORTCUT_NORM_EPS = 1e-5


class StandardisedConv2d(nn.Conv2d):
    """A convolution without bias whose kernels have mean 0 and variance 1 whenever they are used.

    ``w_hat = (w - mean(w)) / sqrt(var(w) + 1e-5)`` per output channel, with the biased variance.
    Qiao et al. 2019, "Micro-batch training with batch-channel normalization and weight standardization",
    https://arxiv.org/abs/1903.10520.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel_size: Side of the kernel, odd; padding keeps the image size at stride 1.
        stride: Stride.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(
            in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
        )

    def standardised(self) -> Tensor:
        """Returns the kernels that are used: (out_channels, in_channels, k, k)."""
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        return (self.weight - mean) * torch.rsqrt(variance + WEIGHT_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, in_channels, H, W) to (B, out_channels, H / stride, W / stride), sides rounded up."""
        return F.conv2d(x, self.standardised(), None, self.stride, self.padding)


class Bottleneck(nn.Module):
    """1x1, 3x3 (strided) and 1x1 standardised convolutions, each with group norm, around a shortcut.

    Called "pre-activation" by those who use it, it is not: norm and ReLU follow the convolutions, and the sum
    goes through a last ReLU.

    Args:
        in_channels: Channels in.
        out_channels: Channels out, four times those in the middle.
        stride: Of the 3x3 convolution and of the shortcut.
        groups: Groups of the norms on the main path.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, groups: int):
        super().__init__()
        middle = out_channels // 4
        # Norms before their convolutions, as the authors list them: weights then move in order.
        self.norm1 = nn.GroupNorm(groups, middle, eps=NORM_EPS)
        self.conv1 = StandardisedConv2d(in_channels, middle, 1)
        self.norm2 = nn.GroupNorm(groups, middle, eps=NORM_EPS)
        self.conv2 = StandardisedConv2d(middle, middle, 3, stride)
        self.norm3 = nn.GroupNorm(groups, out_channels, eps=NORM_EPS)
        self.conv3 = StandardisedConv2d(middle, out_channels, 1)
        # torch 2.13's CPU build crashes on strided 1x1 convolutions of few channels in channels_last, hence the
        # stride is taken in `forward`, by reading every stride-th pixel.
        self.stride = stride
        self.shortcut_conv: StandardisedConv2d | None = None
        self.shortcut_norm: nn.GroupNorm | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut_conv = StandardisedConv2d(in_channels, out_channels, 1)
            self.shortcut_norm = nn.GroupNorm(out_channels, out_channels, eps=SHORTCUT_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, in_channels, H, W) to (B, out_channels, H / stride, W / stride), sides rounded up."""
        shortcut = x
        if self.shortcut_conv is not None and self.shortcut_norm is not None:
            shortcut = self.shortcut_norm(self.shortcut_conv(x[..., :: self.stride, :: self.stride]))
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        return F.relu(self.norm3(self.conv3(x)) + shortcut)


class ResNetV2(nn.Module):
    """Stem and three stages of bottlenecks: an image to its /16 map, and the maps on the way as skips.

    The backbone of R50+ViT-B/16 in Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929, in the form that
    TransUNet gave it. With width w, for an image of 224 x 224::

        image ─ 7x7, /2, norm, ReLU: w at 112 ─ max-pool 3x3, /2, not padded: 55 ─ stage 4w at 55
              ─ stage 8w, /2, at 28 ─ stage 16w, /2, at 14

    The pool without padding makes the first stage run on H/4 - 1 rows; its skip is padded with a row and a
    column of zeros at the end to H/4, what the next stage reads is not. Group norm has `groups` groups and eps
    1e-6; that of the shortcuts has one group per channel and eps 1e-5. 11,894,848 parameters for three channels,
    (3, 4, 9) blocks and width 64.

    Args:
        in_channels: Channels of the images.
        blocks: Bottlenecks per stage.
        width: Channels of the stem.
        groups: Groups of the norms; divides `width`.
    """

    def __init__(self, in_channels: int, blocks: Sequence[int], width: int, groups: int):
        super().__init__()
        self.stem_conv = StandardisedConv2d(in_channels, width, 7, stride=2)
        self.stem_norm = nn.GroupNorm(groups, width, eps=NORM_EPS)
        self.pool = nn.MaxPool2d(3, stride=2)
        self.stages = nn.ModuleList()
        channels = width
        for stage, count in enumerate(blocks):
            out_channels = width * 4 * 2**stage
            units = []
            for unit in range(count):
                stride = 2 if stage > 0 and unit == 0 else 1
                units.append(Bottleneck(channels, out_channels, stride, groups))
                channels = out_channels
            self.stages.append(nn.Sequential(*units))

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Maps images to features.

        Args:
            image: Float (B, in_channels, H, W), H and W divisible by 16.

        Returns:
            The map (B, 16w, H/16, W/16), and the skips, deepest first: (B, 8w, H/8, W/8), (B, 4w, H/4, W/4),
            (B, w, H/2, W/2).
        """
        height, width = image.shape[-2:]
        stem = F.relu(self.stem_norm(self.stem_conv(image)))
        quarter = self.stages[0](self.pool(stem))
        eighth = self.stages[1](quarter)
        lacking = (0, width // 4 - quarter.shape[-1], 0, height // 4 - quarter.shape[-2])
        return self.stages[2](eighth), [eighth, F.pad(quarter, lacking), stem]
