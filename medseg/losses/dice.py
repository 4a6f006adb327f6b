"""Soft Dice."""

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor

from medseg.losses.base import LossConfig, SegmentationLoss, one_hot, weighted_mean_of_classes


class DiceConfig(LossConfig):
    """Options of soft Dice."""

    batch: bool = Field(True, description="One Dice over the whole batch; false: one per image, averaged.")
    include_background: bool = Field(False, description="Count class 0 too; one channel has no class 0.")
    squared: bool = Field(False, description="Squares in the denominator, as in the V-Net paper.")
    smooth: float = Field(
        1e-5, gt=0, allow_inf_nan=False, description="Added above and below, so that empty on empty is 1."
    )


class DiceLoss(SegmentationLoss):
    """Soft Dice loss.

    ``L = 1 - mean_c (2 sum_i p_ic g_ic + s) / (sum_i p_ic^q + sum_i g_ic^q + s)`` with one-hot g, q = 1, or 2
    if `squared`, and smoothing s. Sums run over all pixels of the batch, or of each image if not `batch`; the
    mean over classes leaves out the background unless `include_background`, and is weighted by `weights`
    (of no effect with one channel). Milletari, Navab, Ahmadi 2016, "V-Net", https://arxiv.org/abs/1606.04797
    (squared, per image); over the batch and without squares as nnU-Net's 2D setting, Isensee et al. 2021.
    """

    Config = DiceConfig

    def __init__(
        self, out_channels: int, config: DiceConfig, class_frequencies: Sequence[float] | None = None
    ):
        super().__init__(out_channels, config, class_frequencies)
        self.config = config

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """See `SegmentationLoss.forward`."""
        one_channel = logits.shape[1] == 1
        probabilities = torch.sigmoid(logits) if one_channel else torch.softmax(logits, dim=1)
        return soft_dice(probabilities, target, self.weights, self.config)


def soft_dice(probabilities: Tensor, target: Tensor, weights: Tensor | None, config: DiceConfig) -> Tensor:
    """Returns the loss of `DiceLoss`.

    Args:
        probabilities: Float (B, C, H, W).
        target: Class indices (B, H, W).
        weights: One per class, background first, or none.
        config: Options; its `weights` are not read.
    """
    p, g = probabilities, one_hot(target, probabilities)
    if p.shape[1] == 1:
        weights = None
    elif not config.include_background:
        p, g = p[:, 1:], g[:, 1:]
        weights = None if weights is None else weights[1:]
    pixels = (0, 2, 3) if config.batch else (2, 3)
    overlap = (p * g).sum(dim=pixels)
    size = (p.square() if config.squared else p).sum(dim=pixels) + g.sum(dim=pixels)
    dice = (2 * overlap + config.smooth) / (size + config.smooth)
    return weighted_mean_of_classes(1 - dice, weights)
