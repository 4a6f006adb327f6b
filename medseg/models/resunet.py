"""Deep residual U-Net."""

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from medseg.config import Config, search
from medseg.models.blocks import he_normal_, require_divisible


class ResUNetConfig(Config):
    """Options of the deep residual U-Net."""

    features: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = Field(
        (64, 128, 256, 512), description="Channels per level, full resolution first, the bridge last."
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="After the bridge; the paper has none.",
        json_schema_extra=search(0, 0.5),
    )
    upsample: Literal["nearest", "bilinear", "transposed"] = Field(
        "nearest",
        description="Enlarging; transposed is a 2x2 convolution that keeps the channels, the others learn nothing.",
    )
    shortcut: Literal["1x1", "3x3"] = Field(
        "1x1",
        description="Convolution of the shortcuts; 3x3 as in a widespread port, where the first has no batch norm.",
    )


class ResUNet(nn.Module):
    """Deep residual U-Net of pre-activation units.

    Zhang, Liu, Wang 2018, "Road extraction by deep residual U-Net", https://arxiv.org/abs/1711.10684.
    Layers at the default `features`::

        image ─ unit 64 ─────────── skip ─────────── cat ─ unit 64 ─ 1x1 ─ logits
                  └ unit 128, /2 ── skip ── cat ─ unit 128 ─ x2 ┘
                      └ unit 256, /2 ─ ... ─ unit 256 ─ x2 ┘
                          └ unit 512, /2 (bridge) ─ x2 ┘

    unit n: batch norm, ReLU, 3x3 convolution to n channels (stride 2 where /2), batch norm, ReLU, 3x3
    convolution, plus the shortcut: 1x1 convolution of the same stride, batch norm. The first unit starts with
    its convolution. x2: parameter-free upsampling. 8,222,724 parameters for one channel and four classes.

    ``shortcut="3x3", upsample="transposed"`` is the network that github.com/rishikksh20/ResUnet and its many copies
    took for the paper's: 13,040,900 parameters.

    Args:
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        config: Options.
    """

    Config = ResUNetConfig
    paper: ClassVar[str] = "Zhang, Liu, Wang 2018, Deep residual U-Net, https://arxiv.org/abs/1711.10684"
    narrow: ClassVar[dict[str, Any]] = {"features": [4, 8, 16]}

    def __init__(self, in_channels: int, out_channels: int, config: ResUNetConfig):
        super().__init__()
        features, levels = config.features, len(config.features) - 1
        self.size_divisor = 2**levels
        self.encode = nn.ModuleList(
            _Unit(below, here, config.shortcut, stride=1 if level == 0 else 2, first=level == 0)
            for level, (below, here) in enumerate(zip((in_channels, *features), features, strict=False))
        )
        self.dropout = nn.Dropout(config.dropout)
        # Deepest level first: the order in which they run.
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(below, below, 2, stride=2)
            if config.upsample == "transposed"
            else nn.Upsample(scale_factor=2, mode=config.upsample)
            for below in reversed(features[1:])
        )
        self.decode = nn.ModuleList(
            _Unit(features[level + 1] + features[level], features[level], config.shortcut)
            for level in reversed(range(levels))
        )
        self.head = nn.Conv2d(features[0], out_channels, 1)
        he_normal_(self)

    def forward(self, image: Tensor) -> Tensor:
        """Maps images to logits.

        Args:
            image: Float (B, in_channels, H, W), H and W divisible by `size_divisor`.

        Returns:
            Logits (B, out_channels, H, W).

        Raises:
            ModelError: If H or W is not divisible.
        """
        require_divisible(f"resunet with {len(self.decode)} strided units", image, self.size_divisor)
        x, skips = image, []
        for unit in self.encode:
            x = unit(x)
            skips.append(x)
        x = self.dropout(skips.pop())
        for enlarge, unit in zip(self.enlarge, self.decode, strict=True):
            x = unit(torch.cat((enlarge(x), skips.pop()), dim=1))
        logits: Tensor = self.head(x)
        return logits


class _Unit(nn.Module):
    def __init__(
        self, in_channels: int, out_channels: int, shortcut: str, stride: int = 1, first: bool = False
    ):
        super().__init__()
        before = [] if first else [nn.BatchNorm2d(in_channels), nn.ReLU(inplace=True)]
        self.residual = nn.Sequential(
            *before,
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        # A strided 1x1 convolution reads every stride-th pixel. Said this way it may run in channels_last, where
        # torch 2.13's CPU build crashes on strided 1x1 convolutions of few channels.
        wide = shortcut == "3x3"
        self.pick = 1 if wide else stride
        convolution = (
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)
            if wide
            else nn.Conv2d(in_channels, out_channels, 1)
        )
        norm = [] if wide and first else [nn.BatchNorm2d(out_channels)]
        self.shortcut = nn.Sequential(convolution, *norm)

    def forward(self, x: Tensor) -> Tensor:
        picked = x[..., :: self.pick, :: self.pick]
        out: Tensor = self.residual(x) + self.shortcut(picked)
        return out
