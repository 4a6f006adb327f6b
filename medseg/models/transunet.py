"""TransUNet."""

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveInt, ValidationInfo, field_validator, model_validator
from torch import Tensor, nn

from medseg.config import Config, search
from medseg.errors import ModelError
from medseg.models.blocks import require_divisible
from medseg.models.cascaded_decoder import CascadedDecoder
from medseg.models.pretrained import POSITION_GRID, MatchReport, known_sha256, load_pretrained
from medseg.models.resnetv2 import ResNetV2
from medseg.models.vit import Encoder, resample_grid

STRIDE = 16

PRESETS: dict[str, dict[str, Any]] = {
    "r50_vit_b16": {},
    "small": {
        "resnet_blocks": (2, 2, 2),
        "resnet_width": 32,
        "norm_groups": 16,
        "depth": 4,
        "width": 192,
        "heads": 3,
        "mlp_width": 768,
        "bridge_channels": 128,
        "decoder_channels": (64, 32, 16, 16),
    },
}


class TransUNetConfig(Config):
    """Options of the TransUNet; the defaults are the paper's R50-ViT-B/16."""

    # Shorthand for the options below, which say it all: a preset and its options in full are one identity.
    preset: Literal["r50_vit_b16", "small"] = Field(
        "r50_vit_b16",
        exclude=True,
        description="Values of the options that are not given; small: for laptops.",
    )
    resnet_blocks: tuple[PositiveInt, PositiveInt, PositiveInt] = Field(
        (3, 4, 9), description="Bottlenecks per ResNet stage."
    )
    resnet_width: PositiveInt = Field(
        64, description="Channels of the stem; the stages have 4, 8, 16 times as many."
    )
    norm_groups: PositiveInt = Field(32, description="Groups of the ResNet's norms; divides resnet_width.")
    depth: PositiveInt = Field(
        12, description="Transformer blocks.", json_schema_extra=search(choices=[4, 8, 12])
    )
    width: PositiveInt = Field(768, description="Channels of the tokens.")
    heads: PositiveInt = Field(12, description="Attention heads; divides width.")
    mlp_width: PositiveInt = Field(3072, description="Channels within the transformer's MLPs.")
    dropout: float = Field(
        0.1, ge=0, lt=1, description="After embedding and in the MLPs.", json_schema_extra=search(0.0, 0.3)
    )
    attention_dropout: float = Field(
        0.0, ge=0, lt=1, description="Of attention weights and outputs.", json_schema_extra=search(0.0, 0.3)
    )
    bridge_channels: PositiveInt = Field(
        512, description="Channels of the convolution between encoder and decoder."
    )
    decoder_channels: Annotated[tuple[PositiveInt, ...], Field(min_length=4, max_length=4)] = Field(
        (256, 128, 64, 16), description="Channels of the decoder's four stages, coarsest first."
    )
    skips: int = Field(
        3,
        ge=0,
        le=3,
        description="Skips used, deepest first.",
        json_schema_extra=search(choices=[0, 1, 2, 3]),
    )
    pretrained: str | None = Field(
        None,
        description="File of weights for the encoder, in the folder MEDSEG_WEIGHTS or by its absolute path.",
    )
    pretrained_sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="Its content; filled in where the file is at hand."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        preset = given.get("preset", "r50_vit_b16")
        return {**PRESETS.get(preset if isinstance(preset, str) else "", {}), **given}

    @model_validator(mode="after")
    def _divisible(self) -> "TransUNetConfig":
        for part, whole in (("heads", "width"), ("norm_groups", "resnet_width")):
            if getattr(self, whole) % getattr(self, part):
                raise ValueError(
                    f"{part} must divide {whole}, got {part} {getattr(self, part)} "
                    f"and {whole} {getattr(self, whole)}"
                )
        return self

    @field_validator("pretrained_sha256")
    @classmethod
    def _content(cls, given: str | None, info: ValidationInfo) -> str | None:
        pretrained = info.data.get("pretrained")
        if pretrained is None:
            if given is not None and "pretrained" in info.data:
                raise ValueError("pretrained_sha256 needs pretrained, the file that it belongs to")
            return None
        return given or known_sha256(pretrained)


class TransUNet(nn.Module):
    """A ResNet, a vision transformer on its /16 map, and a decoder with skips.

    Chen et al. 2021, "TransUNet: transformers make strong encoders for medical image segmentation",
    https://arxiv.org/abs/2102.04306. Layers at the defaults, for an image of 224 x 224::

        image ─ stem ─ stage 1 ─ stage 2 ─ stage 3 ─ 1x1 ─ + positions ─ 12 blocks ─ norm
         224   64@112   256@56   512@28    1024@14       196 tokens of 768             │
                 │        │        └─────────────────────────┐            3x3, BN, ReLU: 512@14
                 │        └───────────────────────┐          │                         │
                 └─────────────────────┐          │          │                         │
        logits ─ 3x3 ─ 16@224 ─ x2 ─ 64@112 ─ x2 ─ 128@56 ─ x2 ─ 256@28 ─ x2 ──────────┘

    stem, stages: `ResNetV2`. block: pre-LN attention of 12 heads, MLP of 3072 (`Encoder`). n@s: n channels on
    s x s; in the decoder twice (3x3 convolution, batch norm, ReLU) of the enlarged map and the skip; x2: bilinear
    with aligned corners.

    =================== ============ ==================================================
    part                parameters   (1 channel, 4 classes)
    =================== ============ ==================================================
    ResNet              11,894,848   three input channels: an image of one is repeated
    position embeddings    150,528   at 224; 196,608 at 256
    patch embedding        787,200
    encoder             85,056,000
    decoder              7,387,200
    head                       580
    all                105,276,356   at 224; 105,322,436 at 256
    =================== ============ ==================================================

    29.2 GMACs at 224. ``preset: small`` is for laptops: 3,344,164 parameters, 1.7 GMACs.

    As in the authors' code: an image of one channel is repeated to three, so that ImageNet weights fit (other
    numbers of channels get a stem of their own); weights start at torch's defaults, the MLPs' Xavier uniform
    with biases from N(0, 1e-6), position embeddings at 0. Unlike there, images need not be square, and position
    embeddings are interpolated to images of another size than the task's.

    Args:
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        config: Options.
        image_size: Rows and columns that the position embeddings are made for, each divisible by 16.

    Raises:
        ModelError: If `image_size` is not divisible by 16, or the pretrained weights are missing or don't fit.
    """

    Config = TransUNetConfig
    paper = "Chen et al. 2021, TransUNet, https://arxiv.org/abs/2102.04306"
    narrow: ClassVar[dict[str, Any]] = {
        "resnet_blocks": [1, 1, 1],
        "resnet_width": 4,
        "norm_groups": 2,
        "depth": 2,
        "width": 16,
        "heads": 2,
        "mlp_width": 32,
        "bridge_channels": 8,
        "decoder_channels": [8, 8, 4, 4],
        "pretrained": None,
    }
    size_divisor = STRIDE

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        config: TransUNetConfig,
        image_size: tuple[int, int] = (224, 224),
    ):
        super().__init__()
        rows, columns = image_size
        if rows % STRIDE or columns % STRIDE:
            raise ModelError(f"transunet needs image sides divisible by {STRIDE}, got {rows} x {columns}")
        self.grid = (rows // STRIDE, columns // STRIDE)
        # Saved beside the weights: as many positions may lie on another grid.
        self.register_buffer(POSITION_GRID, torch.tensor(self.grid))
        self.position_embedding = nn.Parameter(torch.zeros(1, self.grid[0] * self.grid[1], config.width))
        stem_channels = 3 if in_channels == 1 else in_channels
        self.repeats = stem_channels // in_channels
        self.resnet = ResNetV2(stem_channels, config.resnet_blocks, config.resnet_width, config.norm_groups)
        self.patch_embedding = nn.Conv2d(config.resnet_width * 16, config.width, 1)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder(
            config.depth,
            config.width,
            config.heads,
            config.mlp_width,
            config.dropout,
            config.attention_dropout,
        )
        skips = [config.resnet_width * times for times in (8, 4, 1)][: config.skips]
        self.decoder = CascadedDecoder(config.width, config.bridge_channels, config.decoder_channels, skips)
        self.head = nn.Conv2d(config.decoder_channels[-1], out_channels, 3, padding=1)
        self.pretrained: MatchReport | None = None
        if config.pretrained is not None:
            self.pretrained = load_pretrained(
                self, config.pretrained, config.pretrained_sha256, self.grid, config.heads
            )

    def forward(self, image: Tensor) -> Tensor:
        """Maps images to logits.

        Args:
            image: Float (B, in_channels, H, W), H and W divisible by 16.

        Returns:
            Logits (B, out_channels, H, W).

        Raises:
            ModelError: If H or W is not divisible.
        """
        require_divisible("transunet", image, STRIDE)
        features, skips = self.resnet(image.repeat(1, self.repeats, 1, 1))
        x = self.patch_embedding(features)
        grid = (x.shape[-2], x.shape[-1])
        tokens = x.flatten(2).transpose(1, 2) + resample_grid(self.position_embedding, self.grid, grid)
        tokens = self.encoder(self.dropout(tokens))
        logits: Tensor = self.head(self.decoder(tokens.transpose(1, 2).unflatten(2, grid), skips))
        return logits
