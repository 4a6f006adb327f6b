"""nnU-Net's two 2D networks: plain convolutions, and a residual encoder."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from medseg.config import Config, search
from medseg.errors import ModelError
from medseg.models.blocks import require_divisible

_SLOPE = 0.01  # of the leaky ReLU below 0


class NNUNetConfig(Config):
    """Options that both networks have."""

    features: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = Field(
        (32, 64, 128, 256, 512, 512), description="Channels per stage, full resolution first; any length."
    )
    conv_bias: bool = Field(True, description="Bias in the convolutions, although instance norm follows.")
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Of whole channels, between convolution and norm; nnU-Net has none.",
        json_schema_extra=search(0, 0.5),
    )
    deep_supervision: bool = Field(
        True,
        description="In training, logits of every decoder stage but the coarsest, whose weight is 0 in nnU-Net.",
    )


class PlainUNetConfig(NNUNetConfig):
    """Options of the plain network."""

    convs: PositiveInt = Field(2, description="3x3 convolutions per encoder stage.")
    decoder_convs: PositiveInt = Field(2, description="3x3 convolutions per decoder stage.")


class ResidualEncoderUNetConfig(NNUNetConfig):
    """Options of the network with a residual encoder."""

    blocks: tuple[PositiveInt, ...] | None = Field(
        None, description="Residual blocks per encoder stage; none: nnU-Net's 1, 3, 4, and 6 from there on."
    )
    decoder_convs: PositiveInt = Field(1, description="3x3 convolutions per decoder stage.")

    @model_validator(mode="after")
    def _lengths(self) -> "ResidualEncoderUNetConfig":
        stages = len(self.features)
        if self.blocks is not None and len(self.blocks) != stages:
            raise ValueError(
                f"blocks needs {stages} numbers, one per stage, for {stages} features, got {len(self.blocks)}"
            )
        return self


class _NNUNet(nn.Module):
    """Encoder stages, the decoder and heads that both networks share, and the forward pass."""

    def __init__(
        self, out_channels: int, encode: Sequence[nn.Module], decoder_convs: int, config: NNUNetConfig
    ):
        super().__init__()
        features, levels = config.features, len(config.features) - 1
        self.size_divisor = 2**levels
        self.encode = nn.ModuleList(encode)
        # Deepest level first: the order in which they run.
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(features[level + 1], features[level], 2, stride=2, bias=config.conv_bias)
            for level in reversed(range(levels))
        )
        self.decode = nn.ModuleList(
            _stack(2 * features[level], features[level], decoder_convs, 1, config)
            for level in reversed(range(levels))
        )
        # Full resolution first: the order of the logits.
        supervised = max(levels - 1, 1) if config.deep_supervision else 1
        self.heads = nn.ModuleList(nn.Conv2d(n, out_channels, 1) for n in features[:supervised])
        self.training_only = tuple(f"heads.{level}" for level in range(1, supervised))
        _initialise(self)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Maps images to logits.

        Args:
            image: Float (B, in_channels, H, W), H and W divisible by `size_divisor` and not both equal to it.

        Returns:
            Logits (B, out_channels, H, W). In training with deep supervision a list of them: full resolution
            first, each next one of half the height and width.

        Raises:
            ModelError: If H or W is not divisible, or one pixel would be left to be normalised.
        """
        self._require_size(image)
        x, skips = image, []
        for stage in self.encode:
            x = stage(x)
            skips.append(x)
        skips.pop()
        logits = []
        for up, stage in zip(self.up, self.decode, strict=True):
            level = len(skips) - 1
            x = stage(torch.cat((up(x), skips.pop()), dim=1))
            if level == 0 or (self.training and level < len(self.heads)):
                logits.append(self.heads[level](x))
        logits.reverse()
        return logits if len(logits) > 1 else logits[0]

    def _require_size(self, image: Tensor) -> None:
        name, side = f"nnunet with {len(self.encode)} stages", self.size_divisor
        require_divisible(name, image, side)
        if image.shape[-2] == image.shape[-1] == side:
            raise ModelError(
                f"{name} needs images larger than {side} x {side}, got {side} x {side}: "
                "instance norm would see one pixel"
            )


class PlainUNet(_NNUNet):
    """nnU-Net's plain convolutional U-Net in 2D.

    Isensee et al. 2021, "nnU-Net: a self-configuring method for deep learning-based biomedical image
    segmentation", https://doi.org/10.1038/s41592-020-01008-z. Layers at the default `features`, those of ACDC::

        image ─ stage 32 ───────────────── skip ───────────────── cat ─ stage 32 ─ 1x1 ─ logits
                  └ stage 64, /2 ───────── skip ───── cat ─ stage 64 ─┴ up 32          └ 1x1 at 1/2
                      └ stage 128, /2 ─ skip ─ cat ─ stage 128 ─┴ up 64                  └ 1x1 at 1/4
                          └ stage 256, /2 ─ cat ─ stage 256 ─┴ up 128                      └ 1x1 at 1/8
                              └ stage 512, /2 ─ cat ─ stage 512 ─┴ up 256
                                  └ stage 512, /2 ──┴ up 512

    stage n: twice (3x3 convolution to n channels, instance norm, leaky ReLU), the first of stride 2 where /2;
    up n: transposed 2x2 convolution, stride 2, to n channels, concatenated before the skip. Weights start as
    in nnU-Net. For one channel and four classes 20,617,220 parameters, and 20,619,024 with the three heads at
    lower resolutions, which only training uses.

    Args:
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        config: Options.
    """

    Config = PlainUNetConfig
    paper: ClassVar[str] = "Isensee et al. 2021, nnU-Net, https://doi.org/10.1038/s41592-020-01008-z"
    narrow: ClassVar[dict[str, Any]] = {"features": [4, 8, 16]}

    def __init__(self, in_channels: int, out_channels: int, config: PlainUNetConfig):
        inputs = (in_channels, *config.features)
        encode = [
            _stack(below, here, config.convs, 1 if level == 0 else 2, config)
            for level, (below, here) in enumerate(zip(inputs, config.features, strict=False))
        ]
        super().__init__(out_channels, encode, config.decoder_convs, config)


class ResidualEncoderUNet(_NNUNet):
    """nnU-Net's U-Net with a residual encoder (ResEnc) in 2D.

    Isensee et al. 2024, "nnU-Net revisited: a call for rigorous validation in 3D medical image segmentation",
    https://arxiv.org/abs/2404.09556. The network of `PlainUNet` but for its encoder and one convolution per
    decoder stage::

        image ─ stem 32 ─ 1 block 32 ─ 3 blocks 64, /2 ─ 4 blocks 128, /2 ─┐
                            6 blocks 512, /2 ─ 6 blocks 512, /2 ─ 6 blocks 256, /2

        block n: x ─ 3x3 conv n ─ norm ─ leaky ReLU ─ 3x3 conv n ─ norm ─ + ─ leaky ReLU
                 └ mean of 2x2 where /2 ─ 1x1 conv n ─ norm where channels change ┘

    The stem is a 3x3 convolution, instance norm, leaky ReLU; a stage's first block has its stride. Weights start
    as in nnU-Net, so each block starts as its shortcut. For one channel and four classes 71,814,724 parameters,
    and 71,816,528 with the three heads at lower resolutions, which training alone uses.

    Args:
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        config: Options.
    """

    Config = ResidualEncoderUNetConfig
    paper: ClassVar[str] = "Isensee et al. 2024, nnU-Net revisited, https://arxiv.org/abs/2404.09556"
    narrow: ClassVar[dict[str, Any]] = {"features": [4, 8, 16], "blocks": [1, 2, 1]}

    def __init__(self, in_channels: int, out_channels: int, config: ResidualEncoderUNetConfig):
        features = config.features
        blocks = config.blocks or ((1, 3, 4) + (6,) * len(features))[: len(features)]
        encode: list[nn.Module] = []
        below = features[0]
        for level, (here, count) in enumerate(zip(features, blocks, strict=True)):
            first = _ResidualBlock(below, here, 1 if level == 0 else 2, config)
            rest = (_ResidualBlock(here, here, 1, config) for _ in range(count - 1))
            stem = [_stack(in_channels, features[0], 1, 1, config)] if level == 0 else []
            encode.append(nn.Sequential(*stem, first, *rest))
            below = here
        super().__init__(out_channels, encode, config.decoder_convs, config)


class _ResidualBlock(nn.Module):
    """Block of ResNet-D, He et al. 2019, https://arxiv.org/abs/1812.01187."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, config: NNUNetConfig):
        super().__init__()
        self.residual = nn.Sequential(
            _stack(in_channels, out_channels, 1, stride, config),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=config.conv_bias),
            nn.InstanceNorm2d(out_channels, affine=True),
        )
        shortcut: list[nn.Module] = [nn.AvgPool2d(stride)] if stride > 1 else []
        if in_channels != out_channels:
            shortcut += [
                nn.Conv2d(in_channels, out_channels, 1, bias=False),
                nn.InstanceNorm2d(out_channels, affine=True),
            ]
        self.shortcut = nn.Sequential(*shortcut)
        self.activation = nn.LeakyReLU(_SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.residual(x) + self.shortcut(x))
        return out


def _stack(
    in_channels: int, out_channels: int, count: int, stride: int, config: NNUNetConfig
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(count):
        channels, step = (in_channels, stride) if index == 0 else (out_channels, 1)
        layers += [
            nn.Conv2d(channels, out_channels, 3, stride=step, padding=1, bias=config.conv_bias),
            nn.Dropout2d(config.dropout),
            nn.InstanceNorm2d(out_channels, affine=True),
            nn.LeakyReLU(_SLOPE, inplace=True),
        ]
    return nn.Sequential(*layers)


def _initialise(network: nn.Module) -> None:
    """Draws weights as nnU-Net does, which for transposed convolutions divides by outputs, not inputs."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(part.weight, a=_SLOPE)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, _ResidualBlock):
            for tensor in part.residual[-1].parameters():
                nn.init.zeros_(tensor)
