"""U-Net with attention gates on its skip connections."""

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from medseg.config import Config, search
from medseg.models.blocks import double_convolution, he_normal_, require_divisible


class AttentionUNetConfig(Config):
    """Options of the attention U-Net."""

    features: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = Field(
        (64, 128, 256, 512, 1024), description="Channels per level, full resolution first; any length."
    )
    deep_supervision: Literal["merged", "losses"] | None = Field(
        "merged",
        description="Logits of every decoder level: enlarged and merged by a 1x1 convolution, as in the authors' "
        "code; or each with a loss of its own; none: of the last level alone.",
    )
    variant: Literal["oktay", "monai"] = Field(
        "oktay", description="The paper's layers, or those of MONAI's AttentionUnet; see the class."
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="At the end of the two deepest contracting blocks; the paper has none.",
        json_schema_extra=search(0, 0.5),
    )


class AttentionUNet(nn.Module):
    """U-Net with additive attention gates on its skips, in 2D.

    Oktay et al. 2018, "Attention U-Net: learning where to look for the pancreas",
    https://arxiv.org/abs/1804.03999. Layers at the default `features`::

        image ─ block 64 ─────────────────── skip ────────────────── cat ─ block 64 ─ head ───────┐
                  └ pool ─ block 128 ─────── gate ─────── cat ─ block 128 ─┴ x2       head ─ x2 ─ cat ─ 1x1 ─ logits
                             └ pool ─ block 256 ─ gate ─ cat ─ block 256 ─┴ x2        head ─ x4 ──┤
                                        └ pool ─ ... ─ block 1024 ─ ... x2            head ─ x8 ──┘

        gate: skip ─┬ every second pixel ─ 1x1 ─ + ─ ReLU ─ 1x1 to one channel ─ sigmoid ─ x2 ─ * ─ gated skip
                    │     what x2 enlarges ─ 1x1 ┘                                             │
                    └──────────────────────────────────────────────────────────────────────────┘

    block n: twice (3x3 convolution to n channels, batch norm, ReLU); pool: 2x2 maximum; x2, x4, x8: bilinear;
    head: 1x1 convolution to the logits, one per decoder level. A gate's inner channels are those of its skip; the
    full-resolution skip has no gate, as the paper gates no low-level features. Gates start nearly open, at about
    sigmoid(3), as the paper wants them to pass everything. For one channel and four classes 32,427,415 parameters,
    32,427,347 with ``deep_supervision="losses"``, 32,423,751 without.

    Gates are the paper's equations; the authors' code has two per skip, merged by a 1x1 convolution, reads the skip
    by 2x2 convolutions of stride 2, and transforms what a gate lets pass. Where the paper is
    silent, as on upsampling, this is their code in 2D, with the widths of the 2D U-Net: their 3D network has a
    quarter of these.

    ``variant="monai", deep_supervision=None`` is `monai.networks.nets.AttentionUnet`: blocks of stride 2 instead of
    pooling, 3x3 transposed convolutions, gates with batch norm and half the channels on all skips, at their own
    resolution, and after each concatenation one convolution, instance norm and PReLU; 31,739,380 parameters.

    Args:
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        config: Options.
    """

    Config = AttentionUNetConfig
    paper: ClassVar[str] = "Oktay et al. 2018, Attention U-Net, https://arxiv.org/abs/1804.03999"
    narrow: ClassVar[dict[str, Any]] = {"features": [4, 8, 16]}

    def __init__(self, in_channels: int, out_channels: int, config: AttentionUNetConfig):
        super().__init__()
        features, levels = config.features, len(config.features) - 1
        monai = config.variant == "monai"
        self.config = config
        self.size_divisor = 2**levels
        self.contract = nn.ModuleList(
            double_convolution(below, here, stride=2 if monai and level else 1)
            for level, (below, here) in enumerate(zip((in_channels, *features), features, strict=False))
        )
        self.pool = nn.Identity() if monai else nn.MaxPool2d(2)
        self.dropout = nn.Dropout(config.dropout)
        # Deepest level first: the order in which they run.
        order = [(features[level + 1], features[level]) for level in reversed(range(levels))]
        self.up = nn.ModuleList(
            _transposed(below, here) if monai else nn.Upsample(scale_factor=2, mode="bilinear")
            for below, here in order
        )
        gates = [
            AttentionGate(here, here, max(here // 2, 1), norm=True)
            if monai
            else AttentionGate(here, below, here, stride=2)
            for below, here in (order if monai else order[:-1])
        ]
        self.gate = nn.ModuleList(gates)
        self.expand = nn.ModuleList(
            _merging(here) if monai else double_convolution(here + below, here) for below, here in order
        )
        # Full resolution first: the order of the logits.
        supervised = features[:levels] if config.deep_supervision else features[:1]
        self.heads = nn.ModuleList(nn.Conv2d(n, out_channels, 1) for n in supervised)
        self.training_only = tuple(
            f"heads.{level}" for level in range(1, levels) if config.deep_supervision == "losses"
        )
        self.merge = (
            nn.Conv2d(levels * out_channels, out_channels, 1) if config.deep_supervision == "merged" else None
        )
        he_normal_(self)
        for gate in gates:
            gate.open_()

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Maps images to logits.

        Args:
            image: Float (B, in_channels, H, W), H and W divisible by `size_divisor`.

        Returns:
            Logits (B, out_channels, H, W). In training with ``deep_supervision="losses"`` a list of them: full
            resolution first, each next one of half the height and width.

        Raises:
            ModelError: If H or W is not divisible.
        """
        require_divisible(f"attention_unet with {len(self.up)} poolings", image, self.size_divisor)
        x, skips = image, []
        for level, block in enumerate(self.contract):
            x = block(x if level == 0 else self.pool(x))
            if level >= len(self.contract) - 2:
                x = self.dropout(x)
            skips.append(x)
        skips.pop()
        levels = []
        for step, (up, block) in enumerate(zip(self.up, self.expand, strict=True)):
            skip, enlarged = skips.pop(), up(x)
            if step < len(self.gate):
                skip = self.gate[step](skip, enlarged if self.config.variant == "monai" else x)
            x = block(torch.cat((skip, enlarged), dim=1))
            levels.append(x)
        return self._logits(levels[::-1])

    def _logits(self, levels: list[Tensor]) -> Tensor | list[Tensor]:
        if self.merge is None and not self.training:
            levels = levels[:1]
        logits = [head(x) for head, x in zip(self.heads, levels, strict=False)]
        if self.merge is None:
            return logits if len(logits) > 1 else logits[0]
        size = logits[0].shape[-2:]
        enlarged = (F.interpolate(each, size=size, mode="bilinear") for each in logits[1:])
        merged: Tensor = self.merge(torch.cat((logits[0], *enlarged), dim=1))
        return merged


class AttentionGate(nn.Module):
    """Additive attention: ``skip * sigmoid(psi(ReLU(W_x skip + W_g signal + b_g)) + b_psi)``, eq. 1 and 2.

    Args:
        skip_channels: Channels of the features that are gated.
        signal_channels: Channels of the gating signal.
        inner_channels: Channels in which both are added.
        stride: Size of the skip over that of the signal.
        norm: Batch norm after each of the three convolutions, which the paper does not have.
    """

    def __init__(
        self,
        skip_channels: int,
        signal_channels: int,
        inner_channels: int,
        stride: int = 1,
        norm: bool = False,
    ):
        super().__init__()
        self.stride = stride

        def linear(channels: int, out: int, bias: bool = True) -> nn.Sequential:
            after = [nn.BatchNorm2d(out)] if norm else []
            return nn.Sequential(nn.Conv2d(channels, out, 1, bias=bias), *after)

        self.signal = linear(signal_channels, inner_channels)
        self.skip = linear(skip_channels, inner_channels, bias=norm)
        self.psi = linear(inner_channels, 1)

    def open_(self) -> None:
        """Lets nearly everything pass."""
        nn.init.constant_(self.psi[-1].bias, 3.0)  # type: ignore[arg-type]

    def forward(self, skip: Tensor, signal: Tensor) -> Tensor:
        """Gates features.

        Args:
            skip: Float (B, skip_channels, H, W).
            signal: Float (B, signal_channels, H / stride, W / stride).

        Returns:
            Gated features (B, skip_channels, H, W).
        """
        picked = skip[..., :: self.stride, :: self.stride]
        attention = torch.sigmoid(self.psi(F.relu(self.skip(picked) + self.signal(signal))))
        if self.stride > 1:
            attention = F.interpolate(attention, size=skip.shape[-2:], mode="bilinear")
        return skip * attention


def _transposed(in_channels: int, out_channels: int) -> nn.Module:
    """Enlarges as MONAI does."""
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _merging(channels: int) -> nn.Module:
    """Brings concatenated features together as MONAI does."""
    return nn.Sequential(
        nn.Conv2d(2 * channels, channels, 3, padding=1), nn.InstanceNorm2d(channels), nn.PReLU()
    )
