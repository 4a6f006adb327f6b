"""Cross-entropy, over classes and per channel."""

from torch import Tensor
from torch.nn import functional as F

from medseg.losses.base import SegmentationLoss, one_hot, weighted_mean, weighted_mean_of_classes


class CELoss(SegmentationLoss):
    """Cross-entropy of the softmax; with one channel that of the sigmoid.

    ``L = sum_i w(t_i) * -log p_i(t_i) / sum_i w(t_i)`` over pixels i with class t_i, as
    `torch.nn.CrossEntropyLoss`. One channel with logit z is the same as two with logits (0, z).
    Used so by Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597, eq. 1.
    """

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """See `SegmentationLoss.forward`."""
        return cross_entropy(logits, target, self.weights)


class BCELoss(SegmentationLoss):
    """Binary cross-entropy of a sigmoid per channel, background included.

    ``L = sum_c w_c * mean_i -(g_ic log p_ic + (1 - g_ic) log(1 - p_ic)) / sum_c w_c`` with one-hot g; as
    `torch.nn.BCEWithLogitsLoss` on one-hot targets. With one channel the weights are those of the pixels'
    classes and the loss is that of `ce`.
    """

    activation = "sigmoid"

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """See `SegmentationLoss.forward`."""
        return binary_cross_entropy(logits, target, self.weights)


def cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Returns the loss of `CELoss` for logits (B, C, H, W), target (B, H, W) and weights (classes,)."""
    return weighted_mean(pixel_cross_entropy(logits, target), target, weights)


def binary_cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Returns the loss of `BCELoss` for logits (B, C, H, W), target (B, H, W) and weights (classes,)."""
    if logits.shape[1] == 1:
        return cross_entropy(logits, target, weights)
    per_pixel = F.binary_cross_entropy_with_logits(logits, one_hot(target, logits), reduction="none")
    return weighted_mean_of_classes(per_pixel.mean(dim=(0, 2, 3)), weights)


def pixel_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Returns -log p of each pixel's class, (B, H, W), without weights."""
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], target.to(logits.dtype), reduction="none")
    return F.cross_entropy(logits, target, reduction="none")
