"""Soft Dice, and generalised Dice."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from medseg.config import search
from medseg.losses.base import LossConfig, SegmentationLoss
from medseg.losses.reduce import RegionSums, mean_of_classes, mean_of_images
from medseg.losses.soft import soft_sums


class OverlapConfig(LossConfig):
    """Options of losses that compare areas."""

    batch: bool = Field(
        True,
        description="One value over the whole batch; false: one per image, averaged.",
        json_schema_extra=search(choices=[True, False]),
    )
    include_background: bool = Field(False, description="Count class 0 too; one channel has no class 0.")
    smooth: float = Field(
        1e-5, gt=0, allow_inf_nan=False, description="Added above and below, so that empty on empty is 1."
    )


class DiceConfig(OverlapConfig):
    """Options of soft Dice."""

    squared: bool = Field(
        False,
        description="Squares in the denominator, as in the V-Net paper.",
        json_schema_extra=search(choices=[False, True]),
    )


class DiceLoss(SegmentationLoss):
    """Soft Dice loss.

    ``L = 1 - mean_c (2 sum_i p_ic g_ic + s) / (sum_i p_ic^q + sum_i g_ic^q + s)`` with one-hot g, q = 1, or 2
    if `squared`, and smoothing s. Sums run over all pixels of the batch, or of each image if not `batch`; the
    mean over classes leaves out the background unless `include_background`, and is weighted by `weights`
    (of no effect with one channel). Milletari, Navab, Ahmadi 2016, "V-Net", https://arxiv.org/abs/1606.04797
    (squared, per image); over the batch and without squares as nnU-Net's 2D setting, Isensee et al. 2021.
    """

    paper = "Milletari, Navab, Ahmadi 2016, V-Net, https://arxiv.org/abs/1606.04797"
    Config = DiceConfig
    config: DiceConfig
    exact_across_processes = True

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """See `SegmentationLoss.compute`."""
        sums = soft_sums(logits, target, valid, self.config.squared)
        return soft_dice(sums, valid, self.weights, self.config)


class GeneralisedDiceConfig(OverlapConfig):
    """Options of generalised Dice."""

    batch: bool = Field(
        False,
        description="One value over the whole batch; false: one per image, averaged.",
        json_schema_extra=search(choices=[False, True]),
    )
    include_background: bool = Field(
        True, description="Count class 0 too; with one channel that is the rest of the image."
    )
    weighting: Literal["square", "simple", "uniform"] = Field(
        "square",
        description="A class of volume V weighs 1/V^2, 1/V, or as much as any other.",
        json_schema_extra=search(choices=["square", "simple", "uniform"]),
    )


class GeneralisedDiceLoss(SegmentationLoss):
    """Generalised Dice loss: one Dice over all classes, small classes weigh as much as large ones.

    ``L = 1 - (2 sum_c v_c sum_i p_ic g_ic + s) / (sum_c v_c sum_i (p_ic + g_ic) + s)`` with one-hot g,
    v_c = (V_min / V_c)^2, the reference volume V_c = sum_i g_ic and V_min the smallest that is not 0: the
    paper's 1/V_c^2 up to a common factor, which leaves the smoothing s at the scale of a pixel. An absent class
    weighs as much as the smallest present one, as in MONAI. `weights` multiply v_c. One channel is taken as
    two classes, the rest being background. Sudre et al. 2017, "Generalised Dice overlap as a deep learning loss
    function for highly unbalanced segmentations", https://arxiv.org/abs/1707.03237.
    """

    paper = "Sudre et al. 2017, Generalised Dice overlap, https://arxiv.org/abs/1707.03237"
    Config = GeneralisedDiceConfig
    config: GeneralisedDiceConfig
    exact_across_processes = True

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """See `SegmentationLoss.compute`."""
        sums = soft_sums(logits, target, valid)
        return generalised_dice(sums, target, valid, self.weights, self.config)


def overlap_terms(
    sums: RegionSums, weights: Tensor | None, config: OverlapConfig
) -> tuple[RegionSums, Tensor | None]:
    """Returns the sums of the classes and images that a config asks for, and the weights of those classes."""
    if sums.overlap.shape[1] == 1:
        weights = None
    elif not config.include_background:
        sums, weights = sums.foreground(), None if weights is None else weights[1:]
    return sums.pooled() if config.batch else sums, weights


def soft_dice(sums: RegionSums, valid: Tensor | None, weights: Tensor | None, config: DiceConfig) -> Tensor:
    """Returns the loss of `DiceLoss`.

    Args:
        sums: Areas per image and class, `predicted` of squares if the config says so.
        valid: Bool (B, H, W), which pixels count; none: all.
        weights: One per class, background first, or none.
        config: Options; its `weights` are not read.
    """
    sums, weights = overlap_terms(sums, weights, config)
    dice = (2 * sums.overlap + config.smooth) / (sums.predicted + sums.reference + config.smooth)
    return mean_of_images(mean_of_classes(1 - dice, weights), None if config.batch else valid)


def generalised_dice(
    sums: RegionSums,
    target: Tensor,
    valid: Tensor | None,
    weights: Tensor | None,
    config: GeneralisedDiceConfig,
) -> Tensor:
    """Returns the loss of `GeneralisedDiceLoss`.

    Args:
        sums: Areas per image and class.
        target: Class indices (B, H, W); its size is read.
        valid: Bool (B, H, W), which pixels count; none: all.
        weights: One per class, background first, or none.
        config: Options; its `weights` are not read.
    """
    if sums.overlap.shape[1] == 1 and config.include_background:
        pixels = target[0].numel() if valid is None else valid.sum(dim=(1, 2)).unsqueeze(1)
        sums = _with_background(sums, pixels)
    sums, weights = overlap_terms(sums, weights, config)
    each = _volume_weights(sums.reference, {"square": 2, "simple": 1, "uniform": 0}[config.weighting])
    if weights is not None:
        each = each * weights.to(each.dtype)
    overlap = (each * sums.overlap).sum(dim=1)
    size = (each * (sums.predicted + sums.reference)).sum(dim=1)
    loss = 1 - (2 * overlap + config.smooth) / (size + config.smooth)
    return mean_of_images(loss, None if config.batch else valid)


def _with_background(sums: RegionSums, pixels: int | Tensor) -> RegionSums:
    """Returns the sums of background and foreground, (images, 2), from those of the foreground."""
    overlap, predicted, reference = sums
    background = RegionSums(pixels - predicted - reference + overlap, pixels - predicted, pixels - reference)
    return RegionSums(*(torch.cat(pair, dim=1) for pair in zip(background, sums, strict=True)))


def _volume_weights(volumes: Tensor, power: int) -> Tensor:
    present = volumes > 0
    smallest = torch.where(present, volumes, torch.inf).amin(dim=1, keepdim=True)
    return torch.where(present, (smallest / volumes).pow(power), 1)
