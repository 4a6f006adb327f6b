"""Tversky loss, and its focal variant."""

import torch
from pydantic import Field, model_validator
from torch import Tensor

from medseg.config import search
from medseg.losses.base import SegmentationLoss
from medseg.losses.dice import OverlapConfig, overlap_terms
from medseg.losses.reduce import mean_of_classes, mean_of_images
from medseg.losses.soft import soft_sums


class TverskyConfig(OverlapConfig):
    """Options of the Tversky loss."""

    alpha: float = Field(
        0.3,
        ge=0,
        allow_inf_nan=False,
        description="Cost of a false positive.",
        json_schema_extra=search(0.1, 0.9),
    )
    beta: float = Field(
        0.7,
        ge=0,
        allow_inf_nan=False,
        description="Cost of a false negative.",
        json_schema_extra=search(0.1, 0.9),
    )

    @model_validator(mode="after")
    def _something(self) -> "TverskyConfig":
        if self.alpha == self.beta == 0:
            raise ValueError("alpha and beta must not both be 0")
        return self


class FocalTverskyConfig(TverskyConfig):
    """Options of the focal Tversky loss."""

    gamma: float = Field(
        4 / 3,
        gt=0,
        allow_inf_nan=False,
        description="The exponent is 1/gamma: above 1 favours classes that are segmented badly.",
        json_schema_extra=search(1.0, 3.0),
    )


class TverskyLoss(SegmentationLoss):
    """Tversky loss: Dice with a price of its own for false positives and false negatives.

    ``L = 1 - mean_c (TP_c + s) / (TP_c + alpha FP_c + beta FN_c + s)`` with TP = sum p g, FP = sum p (1 - g),
    FN = sum (1 - p) g and smoothing s; sums and mean over classes are those of `DiceLoss`, which is
    alpha = beta = 0.5 (with half the smoothing). Salehi, Erdogmus, Gholipour 2017, "Tversky loss function for
    image segmentation using 3D fully convolutional deep networks", https://arxiv.org/abs/1706.05721, whose best
    setting is 0.3 and 0.7.
    """

    paper = "Salehi, Erdogmus, Gholipour 2017, Tversky loss function, https://arxiv.org/abs/1706.05721"
    Config = TverskyConfig
    config: TverskyConfig
    exact_across_processes = True

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """See `SegmentationLoss.compute`."""
        distances, weights = _one_minus_tversky(logits, target, valid, self.weights, self.config)
        return mean_of_images(mean_of_classes(distances, weights), None if self.config.batch else valid)


class FocalTverskyLoss(SegmentationLoss):
    """Focal Tversky loss.

    ``L = mean_c (1 - T_c)^(1/gamma)`` with the index T_c of `TverskyLoss`: the form of the paper's equation and
    of its authors' code (exponent 0.75), not ``1 - T^(1/gamma)``, which its figure shows. The paper sums over
    classes, and its alpha is for false negatives; here it stays Salehi's: false positives.
    Abraham, Khan 2019, "A novel focal Tversky loss function with improved attention U-Net for lesion
    segmentation", https://arxiv.org/abs/1810.07842.
    """

    paper = "Abraham, Khan 2019, A novel focal Tversky loss function, https://arxiv.org/abs/1810.07842"
    Config = FocalTverskyConfig
    config: FocalTverskyConfig
    exact_across_processes = True

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """See `SegmentationLoss.compute`."""
        distances, weights = _one_minus_tversky(logits, target, valid, self.weights, self.config)
        focused = _power(distances, 1 / self.config.gamma)
        return mean_of_images(mean_of_classes(focused, weights), None if self.config.batch else valid)


def _one_minus_tversky(
    logits: Tensor, target: Tensor, valid: Tensor | None, weights: Tensor | None, config: TverskyConfig
) -> tuple[Tensor, Tensor | None]:
    """Returns 1 - T per image and class, and the weights of these classes."""
    sums, weights = overlap_terms(soft_sums(logits, target, valid), weights, config)
    overlap, predicted, reference = sums
    # Not 1 - T: the difference of two numbers near 1 has no digits left where a power would need them.
    wrong = config.alpha * (predicted - overlap) + config.beta * (reference - overlap)
    return wrong / (overlap + wrong + config.smooth), weights


def _power(values: Tensor, exponent: float, least: float = 1e-6) -> Tensor:
    """Returns ``values ** exponent``, below `least` continued by a line to 0, whose slope is finite."""
    steep = values.clamp_min(least).pow(exponent)
    return torch.where(values > least, steep, values.clamp_min(0) * least ** (exponent - 1))
