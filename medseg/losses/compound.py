"""Sums of two losses; what both need is computed once."""

from pydantic import Field, model_validator
from torch import Tensor, sigmoid

from medseg.config import Config, search
from medseg.losses.base import SegmentationLoss
from medseg.losses.cross_entropy import binary_cross_entropy
from medseg.losses.dice import DiceConfig, soft_dice
from medseg.losses.focal import FocalConfig, focal
from medseg.losses.reduce import class_masks, mean_of_pixels, region_sums
from medseg.losses.soft import soft_terms


class CEDiceConfig(DiceConfig):
    """Options of cross-entropy plus Dice."""

    ce_weight: float = Field(1.0, ge=0, allow_inf_nan=False, description="Factor of the cross-entropy.")
    dice_weight: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="Factor of the Dice loss.",
        json_schema_extra=search(0.25, 4.0, log=True),
    )

    @model_validator(mode="after")
    def _something(self) -> "CEDiceConfig":
        require_one(self, "ce_weight", "dice_weight")
        return self


class CEDiceLoss(SegmentationLoss):
    """Cross-entropy plus soft Dice, both of the softmax (one channel: of the sigmoid).

    ``L = ce_weight * CE + dice_weight * Dice`` with `CELoss` and `DiceLoss`; `weights` apply to both.
    Isensee et al. 2021, "nnU-Net", https://doi.org/10.1038/s41592-020-01008-z (both factors 1).
    """

    paper = "Isensee et al. 2021, nnU-Net, https://doi.org/10.1038/s41592-020-01008-z"
    Config = CEDiceConfig
    config: CEDiceConfig
    exact_across_processes = True

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """See `SegmentationLoss.compute`."""
        sums, cross_entropy = soft_terms(logits, target, valid, self.config.squared)
        ce = mean_of_pixels(cross_entropy, target, self.weights, valid)
        dice = soft_dice(sums, valid, self.weights, self.config)
        return self.config.ce_weight * ce + self.config.dice_weight * dice


class BCEDiceConfig(DiceConfig):
    """Options of binary cross-entropy plus Dice."""

    bce_weight: float = Field(1.0, ge=0, allow_inf_nan=False, description="Factor of the cross-entropy.")
    dice_weight: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="Factor of the Dice loss.",
        json_schema_extra=search(0.25, 4.0, log=True),
    )

    @model_validator(mode="after")
    def _something(self) -> "BCEDiceConfig":
        require_one(self, "bce_weight", "dice_weight")
        return self


class BCEDiceLoss(SegmentationLoss):
    """Binary cross-entropy plus soft Dice, both of a sigmoid per channel.

    ``L = bce_weight * BCE + dice_weight * Dice`` with `BCELoss` and the formula of `DiceLoss` on sigmoids;
    `weights` apply to both. As nnU-Net's region-based training, Isensee et al. 2020,
    https://arxiv.org/abs/2011.00848.
    """

    paper = "Isensee et al. 2020, nnU-Net for brain tumor segmentation, https://arxiv.org/abs/2011.00848"
    Config = BCEDiceConfig
    config: BCEDiceConfig
    activation = "sigmoid"
    exact_across_processes = True

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """See `SegmentationLoss.compute`."""
        bce = binary_cross_entropy(logits, target, self.weights, valid)
        masks = class_masks(target, valid, logits.shape[1])
        sums = region_sums(sigmoid(logits), masks, valid, self.config.squared)
        dice = soft_dice(sums, valid, self.weights, self.config)
        return self.config.bce_weight * bce + self.config.dice_weight * dice


class DiceFocalConfig(FocalConfig, DiceConfig):
    """Options of Dice plus focal loss."""

    dice_weight: float = Field(1.0, ge=0, allow_inf_nan=False, description="Factor of the Dice loss.")
    focal_weight: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="Factor of the focal loss.",
        json_schema_extra=search(0.25, 4.0, log=True),
    )

    @model_validator(mode="after")
    def _something(self) -> "DiceFocalConfig":
        require_one(self, "dice_weight", "focal_weight")
        return self


class DiceFocalLoss(SegmentationLoss):
    """Soft Dice plus focal loss, both of the softmax (one channel: of the sigmoid).

    ``L = dice_weight * Dice + focal_weight * Focal`` with `DiceLoss` and `FocalLoss`; `weights` apply to both.
    Zhu et al. 2019, "AnatomyNet", https://arxiv.org/abs/1808.05238, which sums Dice over the classes; the mean,
    and both factors 1, as in MONAI's `DiceFocalLoss`.
    """

    paper = "Zhu et al. 2019, AnatomyNet, https://arxiv.org/abs/1808.05238"
    Config = DiceFocalConfig
    config: DiceFocalConfig
    exact_across_processes = True

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """See `SegmentationLoss.compute`."""
        sums, cross_entropy = soft_terms(logits, target, valid, self.config.squared)
        dice = soft_dice(sums, valid, self.weights, self.config)
        focused = focal(cross_entropy, target, valid, self.weights, self.config)
        return self.config.dice_weight * dice + self.config.focal_weight * focused


def require_one(config: Config, *factors: str) -> None:
    """Refuses a sum of losses of which nothing is left.

    Raises:
        ValueError: If all of these options are 0.
    """
    if not any(getattr(config, name) for name in factors):
        raise ValueError(f"{' and '.join(factors)} must not both be 0")
