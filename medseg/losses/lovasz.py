"""Lovász loss: the Jaccard index, made convex."""

import torch
from pydantic import Field
from torch import Tensor

from medseg.config import search
from medseg.losses.base import LossConfig, SegmentationLoss
from medseg.losses.reduce import class_masks, mean_of_images, not_zero


class LovaszConfig(LossConfig):
    """Options of the Lovász loss."""

    per_image: bool = Field(
        False,
        description="One Jaccard index per image, averaged; false: one over the whole batch.",
        json_schema_extra=search(choices=[False, True]),
    )


class LovaszLoss(SegmentationLoss):
    """Lovász extension of the Jaccard loss.

    ``L = mean_c sum_k m_(k) (J_c(k) - J_c(k-1))`` over the pixels in the order of their errors, the largest
    first, with J_c(k) = 1 - |G_c minus the first k| / |G_c or the first k| the Jaccard loss if just these k
    were wrong. Errors are m_i = |g_ic - p_ic| of the softmax (Lovász-softmax), averaged over the classes that
    are present, weighted by `weights`; with one channel and logit z, m_i = max(0, 1 - z_i (2 g_i - 1)), the
    Lovász hinge of the foreground, where `weights` have no effect. Berman, Triki, Blaschko 2018, "The
    Lovász-softmax loss", https://arxiv.org/abs/1705.08790; their code's hinge is per image by default, their
    softmax over the batch.

    Over processes, that of the batch is the mean of those of each process's images: the order of all pixels
    would have to be known.
    """

    paper = "Berman, Triki, Blaschko 2018, The Lovász-softmax loss, https://arxiv.org/abs/1705.08790"
    Config = LovaszConfig
    config: LovaszConfig

    @property
    def exact_across_processes(self) -> bool:
        """Whether images are taken one by one."""
        return self.config.per_image

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """See `SegmentationLoss.compute`."""
        channels = logits.shape[1]
        masks = class_masks(target, valid, channels)
        if channels == 1:
            errors = 1 + torch.where(masks, -logits, logits)
        else:
            probabilities = torch.softmax(logits, dim=1)
            errors = torch.where(masks, 1 - probabilities, probabilities)
        if valid is not None:
            # Below all that cost something, so that they come after them and change no index.
            errors = torch.where(valid.unsqueeze(1), errors, -1)
        errors, masks = self._regions(errors), self._regions(masks)
        losses = lovasz(errors, masks)
        images = valid if self.config.per_image else None
        if channels == 1:
            return mean_of_images(losses[:, 0], images)
        each = masks.any(dim=2).to(losses.dtype)
        if self.weights is not None:
            each = each * self.weights.to(losses.dtype)
        return mean_of_images((each * losses).sum(dim=1) / not_zero(each.sum(dim=1)), images)

    def _regions(self, values: Tensor) -> Tensor:
        """Returns (B, C, H, W) as (images, C, pixels)."""
        flat = values.flatten(2)
        return flat if self.config.per_image else flat.transpose(0, 1).flatten(1).unsqueeze(0)


def lovasz(errors: Tensor, reference: Tensor) -> Tensor:
    """Returns the Lovász extension of the Jaccard loss.

    Args:
        errors: Float (..., pixels); those below 0 cost nothing.
        reference: Bool (..., pixels), the pixels of the class.

    Returns:
        Float (...).
    """
    sorted_errors, order = errors.sort(dim=-1, descending=True)
    with torch.no_grad():
        found = reference.gather(-1, order).cumsum(dim=-1, dtype=torch.int32)
        total = found[..., -1:]
        ranks = torch.arange(1, errors.shape[-1] + 1, dtype=torch.int32, device=errors.device)
        jaccard = 1 - (total - found).to(errors.dtype) / (total + ranks - found).to(errors.dtype)
        steps = jaccard.diff(dim=-1, prepend=torch.zeros_like(jaccard[..., :1]))
    return (sorted_errors.relu() * steps).sum(dim=-1)
