"""Focal loss."""

import torch
from pydantic import Field
from torch import Tensor

from medseg.config import search
from medseg.losses.base import LossConfig, SegmentationLoss
from medseg.losses.reduce import mean_of_pixels
from medseg.losses.soft import pixel_cross_entropy


class FocalConfig(LossConfig):
    """Options of the focal loss."""

    gamma: float = Field(
        2.0,
        ge=0,
        allow_inf_nan=False,
        description="0 is cross-entropy.",
        json_schema_extra=search(0.5, 5.0),
    )
    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Factor on foreground, 1 - alpha on background; the paper's 0.25 is for detection.",
        json_schema_extra=search(choices=[None, 0.25, 0.5, 0.75]),
    )


class FocalLoss(SegmentationLoss):
    """Focal loss, of the softmax, with one channel of the sigmoid.

    ``L = sum_i w(t_i) a(t_i) (1 - p_i(t_i))^gamma * -log p_i(t_i) / sum_i w(t_i)`` over pixels i with class
    t_i, where a is `alpha` in the foreground and 1 - alpha in the background, or 1 throughout.
    Lin et al. 2017, "Focal loss for dense object detection", https://arxiv.org/abs/1708.02002, eq. 5.
    """

    paper = "Lin et al. 2017, Focal loss for dense object detection, https://arxiv.org/abs/1708.02002"
    Config = FocalConfig
    config: FocalConfig
    exact_across_processes = True

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """See `SegmentationLoss.compute`."""
        return focal(pixel_cross_entropy(logits, target), target, valid, self.weights, self.config)


def focal(
    cross_entropy: Tensor, target: Tensor, valid: Tensor | None, weights: Tensor | None, config: FocalConfig
) -> Tensor:
    """Returns the loss of `FocalLoss`.

    Args:
        cross_entropy: -log p of each pixel's class, (B, H, W).
        target: Class indices (B, H, W).
        valid: Bool (B, H, W), which pixels count; none: all.
        weights: One per class, background first, or none.
        config: Options; its `weights` are not read.
    """
    # 1 - p, kept above 0, where a power below 1 has no gradient.
    rest = (-torch.expm1(-cross_entropy)).clamp_min(torch.finfo(cross_entropy.dtype).tiny)
    loss = rest.pow(config.gamma) * cross_entropy
    if config.alpha is not None:
        loss = loss * torch.where(target > 0, config.alpha, 1 - config.alpha)
    return mean_of_pixels(loss, target, weights, valid)
