"""Sums and means over pixels, classes and images, without what does not count, and over processes."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor


class _Context(threading.local):
    """What sums over processes in this thread; a ContextVar would break the graphs of torch.compile."""

    total: Callable[[Tensor], Tensor] | None = None


_CONTEXT = _Context()


@contextmanager
def across_processes(total: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within it, losses are those of a batch that is spread over processes, equally many images in each.

    Each process evaluates the loss of its own images. The mean over processes of what they get, and of the
    gradients, are those of one process with all images; where not, `SegmentationLoss.exact_across_processes` is
    false. All processes must evaluate the same losses in the same order. Holds for this thread; of several
    contexts the innermost counts.

    Args:
        total: Sums a float tensor over the processes, all of which call it alike. Its gradient must be the
            sum of theirs.
    """
    before, _CONTEXT.total = _CONTEXT.total, total
    try:
        yield
    finally:
        _CONTEXT.total = before


def over_processes(sums: Sequence[Tensor]) -> Sequence[Tensor]:
    """Returns float sums of one shape, each summed over the processes; what has no gradient gets none."""
    total = _CONTEXT.total
    if total is None:
        return sums
    found = total(torch.stack(tuple(sums))).unbind()
    return [each if own.requires_grad else each.detach() for own, each in zip(sums, found, strict=True)]


def mean_over_batch(sums: Tensor, count: Tensor) -> Tensor:
    """Returns sums over the batch divided by how much counts in it; 0 where nothing does.

    Over processes it is this process's share, ``sums / (mean of the counts)``, so that gradients need not be
    exchanged. Means over all pixels or images need none of this: all processes have equally many.

    Args:
        sums: Float of any shape, 0 where nothing counts; of this process.
        count: Scalar >= 0 without a gradient, of any type; of this process.
    """
    total = _CONTEXT.total
    if total is not None:
        count, processes = total(torch.stack((count.to(sums.dtype), sums.new_ones(())))).unbind()
        sums = sums * processes
    return sums / not_zero(count)


class RegionSums(NamedTuple):
    """Soft areas in pixels, each (images, C); the first axis is 1 where the batch is taken as one image."""

    overlap: Tensor
    predicted: Tensor
    reference: Tensor

    def pooled(self) -> "RegionSums":
        """Returns the sums over all images of the batch, (1, C)."""
        return RegionSums(*over_processes([each.sum(dim=0, keepdim=True) for each in self]))

    def foreground(self) -> "RegionSums":
        """Returns all but class 0; one channel has no class 0."""
        return RegionSums(*(each[:, 1:] for each in self)) if self.overlap.shape[1] > 1 else self


def activate(logits: Tensor) -> Tensor:
    """Returns the softmax over (B, C, H, W), with one channel the sigmoid."""
    return torch.sigmoid(logits) if logits.shape[1] == 1 else torch.softmax(logits, dim=1)


def class_masks(target: Tensor, valid: Tensor | None, channels: int) -> Tensor:
    """Returns for each channel where its class is, bool (B, C, H, W); false at pixels that do not count.

    With one channel that channel is class 1.
    """
    if valid is not None:
        target = target.masked_fill(~valid, -1)
    first = 1 if channels == 1 else 0
    numbers = torch.arange(first, first + channels, device=target.device)
    return target.unsqueeze(1) == numbers.view(1, -1, 1, 1)


def region_sums(
    probabilities: Tensor, masks: Tensor, valid: Tensor | None, squared: bool = False
) -> RegionSums:
    """Returns per image and class ``sum p g``, ``sum p`` (`squared`: ``sum p^2``) and ``sum g`` over the pixels.

    Args:
        probabilities: Float (B, C, H, W).
        masks: Bool (B, C, H, W), one-hot g, see `class_masks`.
        valid: Bool (B, H, W), which pixels count; none: all.
        squared: Square the probabilities in the second sum.
    """
    overlap = torch.where(masks, probabilities, 0).sum(dim=(2, 3))
    reference = masks.sum(dim=(2, 3), dtype=torch.int32).to(probabilities.dtype)
    if valid is not None:
        probabilities = torch.where(valid.unsqueeze(1), probabilities, 0)
    predicted = (probabilities.square() if squared else probabilities).sum(dim=(2, 3))
    return RegionSums(overlap, predicted, reference)


def mean_of_pixels(per_pixel: Tensor, target: Tensor, weights: Tensor | None, valid: Tensor | None) -> Tensor:
    """Averages a value per pixel (B, H, W), each pixel counting as much as its class's weight.

    0 where all pixels have weight 0 or do not count.
    """
    if valid is not None:
        per_pixel = torch.where(valid, per_pixel, 0)
    if weights is None:
        return per_pixel.mean() if valid is None else mean_over_batch(per_pixel.sum(), valid.sum())
    each = weights.to(per_pixel.dtype)[target]
    if valid is not None:
        each = each * valid
    return mean_over_batch((each * per_pixel).sum(), each.sum())


def mean_of_classes(per_class: Tensor, weights: Tensor | None) -> Tensor:
    """Averages values (..., C) over the classes, each counting as much as its weight."""
    if weights is None:
        return per_class.mean(dim=-1)
    each = weights.to(per_class.dtype)
    return (per_class * each).sum(dim=-1) / not_zero(each.sum(dim=-1))


def mean_of_images(per_image: Tensor, valid: Tensor | None) -> Tensor:
    """Averages values (images,) over the images that have pixels that count.

    Args:
        per_image: One value per image; or, with `valid` none, a single one for the whole batch.
        valid: Bool (images, H, W), which pixels count; none: all.
    """
    if valid is None:
        return per_image.mean()
    present = valid.flatten(1).any(dim=1)
    return mean_over_batch(torch.where(present, per_image, 0).sum(), present.sum())


def not_zero(total: Tensor) -> Tensor:
    """Returns a sum of numbers >= 0 that can be divided by: 1 instead of 0."""
    return torch.where(total > 0, total, 1)
