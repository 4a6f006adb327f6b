"""Checks of what comes out for which images."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from medseg.components import CONSTRUCTION_ERRORS, one_line
from medseg.errors import MedsegError
from medseg.models.outputs import OutputError
from medseg.training.conformance.subject import Size, Subject, evaluate, shown
from medseg.training.divisor import find_size_divisor, odd_multiples


def output_shape(subject: Subject) -> str | None:
    """Logits are float (B, out_channels, H, W), for one channel and for several; in training also a list of levels.

    Of levels the first has full resolution, and none is finer than the one before it.
    """
    images = subject.images()
    for channels in (1, subject.out_channels):
        model = subject.build(channels)
        problem = _wrong(evaluate(model, images), channels, images)
        if problem:
            return f"in evaluation {problem}"
        output = model.train()(images)
        levels = list(output) if isinstance(output, list | tuple) else [output]
        problem = _wrong_levels(levels, channels, images)
        if problem:
            return f"in training {problem}"
    return None


def sizes_that_divide(subject: Subject) -> str | None:
    """Images whose sides are odd multiples of the model's size divisor, and not square, are taken."""
    divisor, declared = find_size_divisor(
        subject.component, subject.in_channels, subject.out_channels, subject.image_size
    )
    if divisor is None:
        return "takes the multiples of no number, and declares no size_divisor"
    size = odd_multiples(subject.image_size, divisor)
    images = subject.images(1, size)
    try:
        problem = _wrong(evaluate(subject.build(image_size=size), images), subject.out_channels, images)
    except (MedsegError, *CONSTRUCTION_ERRORS) as error:
        problem = one_line(error)
    whose = "its" if declared else "what seems to be its"
    return (
        f"must take {shown(size)}, multiples of {whose} size_divisor {divisor}: {problem}"
        if problem
        else None
    )


def other_sizes(subject: Subject) -> str | None:
    """Images one pixel taller and wider are either handled or refused with a message that names their size."""
    size = (subject.image_size[0] + 1, subject.image_size[1] + 1)
    try:
        logits = evaluate(subject.build(image_size=size), subject.images(1, size))
    except OutputError as error:
        return one_line(error)
    except (MedsegError, *CONSTRUCTION_ERRORS) as error:
        if all(str(side) in str(error) for side in size):
            return None
        return f"refuses {shown(size)} without naming it: {one_line(error)}"
    got = _size(logits)
    return None if got == size else f"maps {shown(size)} to {shown(got)}"


def _wrong(logits: Any, channels: int, images: Tensor, size: Size | None = None) -> str | None:
    """Says what logits of a size (by default that of the images) should have been."""
    if not isinstance(logits, Tensor):
        return f"must return a tensor, got {type(logits).__name__}"
    expected = (len(images), channels, *(size or _size(images)))
    if tuple(logits.shape) != expected or not logits.is_floating_point():
        return f"must return float {expected}, got {logits.dtype} {tuple(logits.shape)}"
    return None


def _wrong_levels(levels: Sequence[Any], channels: int, images: Tensor) -> str | None:
    if not levels:
        return "must return at least one level of logits, got none"
    finest = _size(images)
    for number, level in enumerate(levels):
        own = _size(level) if number and isinstance(level, Tensor) and level.ndim == 4 else finest
        if own[0] > finest[0] or own[1] > finest[1]:
            return f"must return levels from fine to coarse, got {shown(own)} after {shown(finest)}"
        problem = _wrong(level, channels, images, own)
        if problem:
            return f"at level {number + 1} of {len(levels)} {problem}"
        finest = own
    return None


def _size(images: Tensor) -> Size:
    height, width = images.shape[-2:]
    return height, width
