"""U-Net++: a U-Net with nested, dense skip pathways."""

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from medseg.config import Config, search
from medseg.models.blocks import he_normal_, require_divisible


class UNetPlusPlusConfig(Config):
    """Options of the U-Net++."""

    features: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = Field(
        (32, 64, 128, 256, 512), description="Channels per level, full resolution first; any length."
    )
    deep_supervision: bool = Field(
        True, description="Logits of every full-resolution node; false: of the last one alone."
    )
    inference: Literal["accurate", "fast"] = Field(
        "accurate",
        description="With deep supervision, in evaluation: mean of all logits, or those of the last node.",
    )
    norm: Literal["batch", "none"] = Field(
        "batch", description="After each 3x3 convolution; the authors' first code has none."
    )
    activation: Literal["relu", "elu"] = Field("relu", description="The authors' first code has ELU.")
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="After each 3x3 convolution's activation; 0.5 in the authors' first code.",
        json_schema_extra=search(0, 0.5),
    )
    up_channels: tuple[PositiveInt, ...] | None = Field(
        None,
        description="Channels out of the up-convolutions to each level, full resolution first; none halves.",
    )

    @model_validator(mode="after")
    def _lengths(self) -> "UNetPlusPlusConfig":
        levels = len(self.features) - 1
        if self.up_channels is not None and len(self.up_channels) != levels:
            raise ValueError(
                f"up_channels needs {levels} numbers, one per level with up-convolutions, for {levels + 1} "
                f"features, got {len(self.up_channels)}"
            )
        return self


class UNetPlusPlus(nn.Module):
    """U-Net++.

    Zhou, Rahman Siddiquee, Tajbakhsh, Liang 2018, "UNet++: a nested U-Net architecture for medical image
    segmentation", https://arxiv.org/abs/1807.10165. Layers at the default `features`; node X(i,j) is at level i::

        image ─ X(0,0) ─── X(0,1) ─── X(0,2) ─── X(0,3) ─── X(0,4)    32 channels
                  └ pool   up ┘       up ┘       up ┘       up ┘      each of X(0,1..4): 1x1 ─ logits
                  X(1,0) ─── X(1,1) ─── X(1,2) ─── X(1,3)             64
                    └ pool   up ┘       up ┘       up ┘
                    X(2,0) ─── X(2,1) ─── X(2,2)                      128
                      └ pool   up ┘       up ┘
                      X(3,0) ─── X(3,1)                               256
                        └ pool   up ┘
                        X(4,0)                                        512

        X(i,j) = block of cat(X(i,0), .., X(i,j-1), up X(i+1,j-1))

    block n: twice (3x3 convolution to n channels, batch norm, ReLU); pool: 2x2 maximum; up: transposed 2x2
    convolution, stride 2, to the channels of its target. 9,049,392 parameters for one channel and four classes,
    9,048,996 without deep supervision.

    In training all logits have full resolution, the deepest node's first, and weigh alike in the loss. In evaluation
    they are averaged, the paper's accurate mode (it averages probabilities), unless `inference` is "fast". As in the
    authors' later code and in `unet`, batch norm follows the convolutions. Their first code is
    ``norm="none", activation="elu", dropout=0.5, deep_supervision=False``: 9,041,601 parameters for one channel and
    one label, as it states.

    Args:
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        config: Options.
    """

    Config = UNetPlusPlusConfig
    paper: ClassVar[str] = "Zhou et al. 2018, UNet++, https://arxiv.org/abs/1807.10165"
    narrow: ClassVar[dict[str, Any]] = {"features": [4, 8, 16]}

    def __init__(self, in_channels: int, out_channels: int, config: UNetPlusPlusConfig):
        super().__init__()
        features, depth = config.features, len(config.features) - 1
        ups = config.up_channels or features[:-1]
        self.config = config
        self.size_divisor = 2**depth
        self.pool = nn.MaxPool2d(2)
        self.node, self.up = nn.ModuleDict(), nn.ModuleDict()
        inputs = (in_channels, *features)
        # One diagonal after the other, from its deepest node up: the order in which they run.
        for diagonal in range(depth + 1):
            self.node[f"{diagonal}_0"] = _block(inputs[diagonal], features[diagonal], config)
            for level in reversed(range(diagonal)):
                column = diagonal - level
                name = f"{level}_{column}"
                self.up[name] = nn.ConvTranspose2d(features[level + 1], ups[level], 2, stride=2)
                self.node[name] = _block(column * features[level] + ups[level], features[level], config)
        # Deepest node first: the order of the logits.
        heads = depth if config.deep_supervision else 1
        self.heads = nn.ModuleList(nn.Conv2d(features[0], out_channels, 1) for _ in range(heads))
        unused = range(1, heads) if config.inference == "fast" else range(0)
        self.training_only = tuple(f"heads.{node}" for node in unused)
        he_normal_(self)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Maps images to logits.

        Args:
            image: Float (B, in_channels, H, W), H and W divisible by `size_divisor`.

        Returns:
            Logits (B, out_channels, H, W). In training with deep supervision a list of them, from X(0,4) to X(0,1),
            all of full resolution.

        Raises:
            ModelError: If H or W is not divisible.
        """
        depth = len(self.config.features) - 1
        require_divisible(f"unetplusplus with {depth} poolings", image, self.size_divisor)
        rows: list[list[Tensor]] = []
        for diagonal in range(depth + 1):
            below = image if diagonal == 0 else self.pool(rows[-1][0])
            rows.append([self.node[f"{diagonal}_0"](below)])
            for level in reversed(range(diagonal)):
                name = f"{level}_{diagonal - level}"
                enlarged = self.up[name](rows[level + 1][-1])
                rows[level].append(self.node[name](torch.cat((*rows[level], enlarged), dim=1)))
        return self._logits(rows[0][:0:-1])

    def _logits(self, nodes: list[Tensor]) -> Tensor | list[Tensor]:
        if self.config.inference == "fast" and not self.training:
            nodes = nodes[:1]
        logits = [head(x) for head, x in zip(self.heads, nodes, strict=False)]
        if self.training and len(logits) > 1:
            return logits
        return torch.stack(logits).mean(dim=0) if len(logits) > 1 else logits[0]


def _block(in_channels: int, out_channels: int, config: UNetPlusPlusConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [
            nn.Conv2d(channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels) if config.norm == "batch" else nn.Identity(),
            nn.ReLU(inplace=True) if config.activation == "relu" else nn.ELU(),
            nn.Dropout(config.dropout),
        ]
    return nn.Sequential(*layers)
