"""Cross-entropy plus soft Dice."""

from collections.abc import Sequence

import torch
from pydantic import Field, model_validator
from torch import Tensor

from medseg.losses.base import SegmentationLoss
from medseg.losses.cross_entropy import binary_cross_entropy, cross_entropy
from medseg.losses.dice import DiceConfig, soft_dice


class CEDiceConfig(DiceConfig):
    """Options of cross-entropy plus Dice."""

    ce_weight: float = Field(1.0, ge=0, allow_inf_nan=False, description="Factor of the cross-entropy.")
    dice_weight: float = Field(1.0, ge=0, allow_inf_nan=False, description="Factor of the Dice loss.")

    @model_validator(mode="after")
    def _something(self) -> "CEDiceConfig":
        if self.ce_weight == self.dice_weight == 0:
            raise ValueError("ce_weight and dice_weight must not both be 0")
        return self


class CEDiceLoss(SegmentationLoss):
    """Cross-entropy plus soft Dice, both of the softmax (one channel: of the sigmoid).

    ``L = ce_weight * CE + dice_weight * Dice`` with `CELoss` and `DiceLoss`; `weights` apply to both.
    Isensee et al. 2021, "nnU-Net", https://doi.org/10.1038/s41592-020-01008-z (both factors 1).
    """

    Config = CEDiceConfig

    def __init__(
        self, out_channels: int, config: CEDiceConfig, class_frequencies: Sequence[float] | None = None
    ):
        super().__init__(out_channels, config, class_frequencies)
        self.config = config

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """See `SegmentationLoss.forward`."""
        one_channel = logits.shape[1] == 1
        probabilities = torch.sigmoid(logits) if one_channel else torch.softmax(logits, dim=1)
        dice = soft_dice(probabilities, target, self.weights, self.config)
        return self.config.ce_weight * cross_entropy(logits, target, self.weights) + (
            self.config.dice_weight * dice
        )


class BCEDiceConfig(DiceConfig):
    """Options of binary cross-entropy plus Dice."""

    bce_weight: float = Field(1.0, ge=0, allow_inf_nan=False, description="Factor of the cross-entropy.")
    dice_weight: float = Field(1.0, ge=0, allow_inf_nan=False, description="Factor of the Dice loss.")

    @model_validator(mode="after")
    def _something(self) -> "BCEDiceConfig":
        if self.bce_weight == self.dice_weight == 0:
            raise ValueError("bce_weight and dice_weight must not both be 0")
        return self


class BCEDiceLoss(SegmentationLoss):
    """Binary cross-entropy plus soft Dice, both of a sigmoid per channel.

    ``L = bce_weight * BCE + dice_weight * Dice`` with `BCELoss` and the formula of `DiceLoss` on sigmoids;
    `weights` apply to both. As nnU-Net's region-based training, Isensee et al. 2020,
    https://arxiv.org/abs/2011.00848.
    """

    Config = BCEDiceConfig
    activation = "sigmoid"

    def __init__(
        self, out_channels: int, config: BCEDiceConfig, class_frequencies: Sequence[float] | None = None
    ):
        super().__init__(out_channels, config, class_frequencies)
        self.config = config

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """See `SegmentationLoss.forward`."""
        dice = soft_dice(torch.sigmoid(logits), target, self.weights, self.config)
        return self.config.bce_weight * binary_cross_entropy(logits, target, self.weights) + (
            self.config.dice_weight * dice
        )
