"""Cross-entropy: over classes, per channel, and of the hardest pixels."""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from medseg.config import search
from medseg.losses.base import LossConfig, SegmentationLoss
from medseg.losses.reduce import class_masks, mean_of_classes, mean_of_pixels, mean_over_batch
from medseg.losses.soft import pixel_cross_entropy


class CELoss(SegmentationLoss):
    """Cross-entropy of the softmax; with one channel that of the sigmoid.

    ``L = sum_i w(t_i) * -log p_i(t_i) / sum_i w(t_i)`` over pixels i with class t_i, as
    `torch.nn.CrossEntropyLoss`. One channel with logit z is the same as two with logits (0, z).
    Used so by Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597, eq. 1, whose weights also favour
    narrow gaps between cells.
    """

    paper = "Ronneberger, Fischer, Brox 2015, U-Net, https://arxiv.org/abs/1505.04597"
    exact_across_processes = True

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """See `SegmentationLoss.compute`."""
        return mean_of_pixels(pixel_cross_entropy(logits, target), target, self.weights, valid)


class BCELoss(SegmentationLoss):
    """Binary cross-entropy of a sigmoid per channel, background included.

    ``L = sum_c w_c * mean_i -(g_ic log p_ic + (1 - g_ic) log(1 - p_ic)) / sum_c w_c`` with one-hot g; as
    `torch.nn.BCEWithLogitsLoss` on one-hot targets. With one channel the weights are those of the pixels'
    classes and the loss is that of `ce`. Per channel as in nnU-Net's region-based training, Isensee et al.
    2020, https://arxiv.org/abs/2011.00848.
    """

    paper = "Isensee et al. 2020, nnU-Net for brain tumor segmentation, https://arxiv.org/abs/2011.00848"
    activation = "sigmoid"
    exact_across_processes = True

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """See `SegmentationLoss.compute`."""
        return binary_cross_entropy(logits, target, self.weights, valid)


class TopKConfig(LossConfig):
    """Options of the cross-entropy of the hardest pixels."""

    fraction: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Share of the batch's pixels that count; 1 is cross-entropy.",
        json_schema_extra=search(0.05, 0.5, log=True),
    )


class TopKCELoss(SegmentationLoss):
    """Cross-entropy of the hardest pixels of the batch.

    ``L = sum_{i in K} w(t_i) l_i / sum_{i in K} w(t_i)`` with l_i = -log p_i(t_i) and K the `fraction` of all
    pixels, rounded down but at least one, with the largest ``w(t_i) l_i``. Wu, Shen, van den Hengel 2016,
    "Bridging category-level and instance-level semantic image segmentation" (online bootstrapping),
    https://arxiv.org/abs/1605.06885; over the batch and with 10% as nnU-Net's TopK10 trainers.

    Over processes, each picks the `fraction` of its own pixels: the order of all would have to be known.
    """

    paper = "Wu, Shen, van den Hengel 2016, Online bootstrapping, https://arxiv.org/abs/1605.06885"
    Config = TopKConfig
    config: TopKConfig

    @property
    def exact_across_processes(self) -> bool:
        """Whether all pixels are picked."""
        return self.config.fraction == 1

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """See `SegmentationLoss.compute`."""
        losses = pixel_cross_entropy(logits, target).flatten()
        weights = None if self.weights is None else self.weights.to(losses.dtype)[target.flatten()]
        order = (losses if weights is None else weights * losses).detach()
        if valid is not None:
            order = torch.where(valid.flatten(), order, -1)
        most = max(self._share(losses.numel()), 1)
        picked = order.topk(most, sorted=valid is not None).indices
        # How many count is known on the device only: of the most there can be, the first that many are kept.
        counts = torch.ones_like(picked, dtype=losses.dtype)
        if valid is not None:
            total = valid.sum()
            kept = torch.minimum(self._share(total).clamp_min(1), total)
            counts = (torch.arange(len(picked), device=picked.device) < kept).to(losses.dtype)
        if weights is not None:
            counts = counts * weights[picked]
        found, count = (counts * losses[picked]).sum(), counts.sum()
        if weights is None and valid is None:
            return found / count  # The same count in all processes.
        return mean_over_batch(found, count)

    def _share(self, pixels: Any) -> Any:
        # In whole numbers, so that the host and the device round alike.
        return pixels * round(self.config.fraction * 1_000_000) // 1_000_000


def binary_cross_entropy(
    logits: Tensor, target: Tensor, weights: Tensor | None, valid: Tensor | None
) -> Tensor:
    """Returns the loss of `BCELoss` for logits (B, C, H, W), target (B, H, W) and weights (classes,)."""
    if logits.shape[1] == 1:
        return mean_of_pixels(pixel_cross_entropy(logits, target), target, weights, valid)
    hot = class_masks(target, valid, logits.shape[1]).to(logits.dtype)
    each = F.binary_cross_entropy_with_logits(logits, hot, reduction="none")
    if valid is None:
        return mean_of_classes(each.mean(dim=(0, 2, 3)), weights)
    sums = torch.where(valid.unsqueeze(1), each, 0).sum(dim=(0, 2, 3))
    return mean_of_classes(mean_over_batch(sums, valid.sum()), weights)
