"""U-Net."""

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from medseg.config import Config, search
from medseg.models.blocks import double_convolution, he_normal_, require_divisible


class UNetConfig(Config):
    """Options of the U-Net."""

    features: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = Field(
        (64, 128, 256, 512, 1024), description="Channels per level, full resolution first; any length."
    )
    conv_bias: bool = Field(True, description="Bias in the 3x3 convolutions, although batch norm follows.")
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="At the end of the two deepest contracting blocks; the paper names no rate.",
        json_schema_extra=search(0, 0.5),
    )
    padding_mode: Literal["zeros", "reflect"] = Field("zeros", description="What lies beyond the border.")
    up_channels: tuple[PositiveInt, ...] | None = Field(
        None, description="Channels out of each up-convolution, full resolution first; none halves them."
    )
    concat: Literal["skip_first", "up_first"] = Field(
        "skip_first", description="Order in which skip and up-convolution are concatenated."
    )

    @model_validator(mode="after")
    def _lengths(self) -> "UNetConfig":
        levels = len(self.features) - 1
        if self.up_channels is not None and len(self.up_channels) != levels:
            raise ValueError(
                f"up_channels needs {levels} numbers, one per up-convolution, for {levels + 1} features, "
                f"got {len(self.up_channels)}"
            )
        return self


class UNet(nn.Module):
    """U-Net with batch norm and same padding.

    Ronneberger, Fischer, Brox 2015, "U-Net: convolutional networks for biomedical image segmentation",
    https://arxiv.org/abs/1505.04597. As everyone since, 3x3 convolutions are padded (the paper's are not) and
    followed by batch norm; initial weights are the paper's. Layers at the default `features`::

        image ─ block 64 ──────────────── skip ──────────────── cat ─ block 64 ─ 1x1 ─ logits
                  └ pool ─ block 128 ──── skip ──── cat ─ block 128 ─ up 64 ┘
                             └ pool ─ ... ─ block 1024 ─ ... ─ up 128 ┘

    block n: twice (3x3 convolution to n channels, batch norm, ReLU); pool: 2x2 maximum; up n: transposed 2x2
    convolution, stride 2, to n channels. 31,042,564 parameters for one channel and four classes, 31,036,676
    with ``conv_bias=False``.

    Args:
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        config: Options.
    """

    Config = UNetConfig
    paper: ClassVar[str] = "Ronneberger, Fischer, Brox 2015, U-Net, https://arxiv.org/abs/1505.04597"
    narrow: ClassVar[dict[str, Any]] = {"features": [4, 8, 16]}

    def __init__(self, in_channels: int, out_channels: int, config: UNetConfig):
        super().__init__()
        features, levels = config.features, len(config.features) - 1
        ups = config.up_channels or features[:-1]
        self.config = config
        self.size_divisor = 2**levels
        self.contract = nn.ModuleList(
            self._block(below, here) for below, here in zip((in_channels, *features), features, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(config.dropout)
        # Deepest level first: the order in which they run.
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(features[level + 1], ups[level], 2, stride=2)
            for level in reversed(range(levels))
        )
        self.expand = nn.ModuleList(
            self._block(features[level] + ups[level], features[level]) for level in reversed(range(levels))
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
        require_divisible(f"unet with {len(self.up)} poolings", image, self.size_divisor)
        x, skips = image, []
        for level, block in enumerate(self.contract):
            x = block(x if level == 0 else self.pool(x))
            if level >= len(self.contract) - 2:
                x = self.dropout(x)
            skips.append(x)
        skips.pop()
        for up, block in zip(self.up, self.expand, strict=True):
            skip, x = skips.pop(), up(x)
            x = block(torch.cat((skip, x) if self.config.concat == "skip_first" else (x, skip), dim=1))
        logits: Tensor = self.head(x)
        return logits

    def _block(self, in_channels: int, out_channels: int) -> nn.Sequential:
        bias, mode = self.config.conv_bias, self.config.padding_mode
        return double_convolution(in_channels, out_channels, bias=bias, padding_mode=mode)
