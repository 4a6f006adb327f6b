"""Focal loss."""

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from medseg.losses.base import LossConfig, SegmentationLoss, weighted_mean
from medseg.losses.cross_entropy import pixel_cross_entropy


class FocalConfig(LossConfig):
    """Options of the focal loss."""

    gamma: float = Field(2.0, ge=0, allow_inf_nan=False, description="0 is cross-entropy.")
    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Factor on foreground, 1 - alpha on background; the paper's 0.25 is for detection.",
    )


class FocalLoss(SegmentationLoss):
    """Focal loss, of the softmax, with one channel of the sigmoid.

    ``L = sum_i w(t_i) a(t_i) (1 - p_i(t_i))^gamma * -log p_i(t_i) / sum_i w(t_i)`` over pixels i with class
    t_i, where a is `alpha` in the foreground and 1 - alpha in the background, or 1 throughout.
    Lin et al. 2017, "Focal loss for dense object detection", https://arxiv.org/abs/1708.02002, eq. 5.
    """

    Config = FocalConfig

    def __init__(
        self, out_channels: int, config: FocalConfig, class_frequencies: Sequence[float] | None = None
    ):
        super().__init__(out_channels, config, class_frequencies)
        self.config = config

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """See `SegmentationLoss.forward`."""
        # exp(gamma * log(1 - p)) keeps its gradient finite at p = 1, where (1 - p) ** gamma has none.
        modulation = torch.exp(self.config.gamma * _log_of_rest(logits, target))
        loss = modulation * pixel_cross_entropy(logits, target)
        if self.config.alpha is not None:
            loss = loss * torch.where(target > 0, self.config.alpha, 1 - self.config.alpha)
        return weighted_mean(loss, target, self.weights)


def _log_of_rest(logits: Tensor, target: Tensor) -> Tensor:
    """Returns log(1 - p) of each pixel's class, (B, H, W)."""
    if logits.shape[1] == 1:
        return -F.softplus(torch.where(target > 0, logits[:, 0], -logits[:, 0]))
    own = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, target.unsqueeze(1), True)
    others = logits.masked_fill(own, float("-inf"))
    return torch.logsumexp(others, dim=1) - torch.logsumexp(logits, dim=1)
