"""What losses of soft areas have in common, in few passes over the memory: the softmax is computed once."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from medseg.losses.reduce import RegionSums, class_masks, region_sums

# Elements of logits that are worked on at a time on a CPU, so that they stay in its cache.
CACHED = 2**18


class SoftTerms(NamedTuple):
    """Areas per image and class, and -log p of each pixel's class (B, H, W)."""

    sums: RegionSums
    cross_entropy: Tensor


def soft_sums(logits: Tensor, target: Tensor, valid: Tensor | None, squared: bool = False) -> RegionSums:
    """Returns the `region_sums` of the softmax, with one channel of the sigmoid.

    Args:
        logits: Float (B, C, H, W).
        target: Class indices (B, H, W).
        valid: Bool (B, H, W), which pixels count; none: all.
        squared: Square the probabilities in `RegionSums.predicted`.
    """
    if logits.shape[1] == 1:
        return region_sums(torch.sigmoid(logits), class_masks(target, valid, 1), valid, squared)
    *sums, _ = _SoftTerms.apply(logits, target, valid, squared, False)  # type: ignore[no-untyped-call]
    return RegionSums(*sums)


def soft_terms(logits: Tensor, target: Tensor, valid: Tensor | None, squared: bool = False) -> SoftTerms:
    """Returns `soft_sums` and `pixel_cross_entropy`; the latter is only right at pixels that count."""
    if logits.shape[1] == 1:
        return SoftTerms(soft_sums(logits, target, valid, squared), pixel_cross_entropy(logits, target))
    terms = _SoftTerms.apply(logits, target, valid, squared, True)  # type: ignore[no-untyped-call]
    *sums, cross_entropy = terms
    return SoftTerms(RegionSums(*sums), cross_entropy)


def pixel_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Returns -log p of each pixel's class, (B, H, W), without weights."""
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], target.to(logits.dtype), reduction="none")
    return F.cross_entropy(logits, target, reduction="none")


class _SoftTerms(torch.autograd.Function):
    """Forward and backward by hand: autograd's own would read and write twice as many images.

    With p the softmax, u the gradient with respect to it and k that with respect to a pixel's cross-entropy,
    the gradient is ``p (u - sum_c u_c p_c + k) - k g`` with one-hot g.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, valid: Tensor | None, squared: bool, cross_entropy: bool
    ) -> tuple[Tensor, ...]:
        saved: list[Tensor | None] = []
        results = []
        for z, t, v in _parts(logits, target, valid):
            if cross_entropy:
                log_p = torch.log_softmax(z, dim=1)
                p, per_pixel = log_p.exp(), F.nll_loss(log_p, t, reduction="none")
                per_pixel = per_pixel if v is None else torch.where(v, per_pixel, 0)
            else:
                p, per_pixel = torch.softmax(z, dim=1), z.new_zeros(0)
            masks = class_masks(t, v, z.shape[1])
            results.append((*region_sums(p, masks, v, squared), per_pixel))
            saved += [p, masks, v]
        ctx.save_for_backward(*saved)
        ctx.squared, ctx.cross_entropy = squared, cross_entropy
        overlap, predicted, reference, per_pixel = map(torch.cat, zip(*results, strict=True))
        ctx.mark_non_differentiable(reference)
        return overlap, predicted, reference, per_pixel

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        by_overlap, by_predicted, _, by_pixel = gradients
        saved = ctx.saved_tensors
        result = saved[0].new_empty(len(by_overlap), *saved[0].shape[1:])
        first = 0
        for p, masks, v in zip(saved[::3], saved[1::3], saved[2::3], strict=True):
            part = slice(first, first + len(p))
            first = part.stop
            u = by_predicted[part, :, None, None]
            u = 2 * u * p if ctx.squared else u
            u = torch.where(masks, u + by_overlap[part, :, None, None], u)
            if v is not None:
                u.masked_fill_(~v.unsqueeze(1), 0)
            if not ctx.cross_entropy:
                torch.ops.aten._softmax_backward_data.out(u, p, 1, p.dtype, grad_input=result[part])
                continue
            z = torch.ops.aten._softmax_backward_data(u, p, 1, p.dtype)
            k = by_pixel[part] if v is None else torch.where(v, by_pixel[part], 0)
            k = k.unsqueeze(1)
            z.addcmul_(p, k)
            torch.where(masks, z - k, z, out=result[part])
        return result, None, None, None, None


def _parts(
    logits: Tensor, target: Tensor, valid: Tensor | None
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Yields a few images at a time on a CPU, all at once elsewhere."""
    images = max(len(logits), 1)
    if logits.device.type == "cpu":
        images = max(CACHED * images // max(logits.numel(), 1), 1)
    masks = [None] * len(torch.split(target, images)) if valid is None else torch.split(valid, images)
    yield from zip(torch.split(logits, images), torch.split(target, images), masks, strict=True)
