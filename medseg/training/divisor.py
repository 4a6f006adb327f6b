"""What the sides of a model's images must be multiples of: as it declares, or as is found out by trying."""

import torch

from medseg.components import CONSTRUCTION_ERRORS
from medseg.config import Component
from medseg.errors import MedsegError
from medseg.training.dry_run import dry_run

Size = tuple[int, int]
# Halvings of images, and of patches and windows of 3 and 7 pixels.
CANDIDATES = tuple(sorted(base * 2**power for base in (1, 3, 7) for power in range(8)))


def find_size_divisor(
    component: Component, in_channels: int, out_channels: int, near: Size
) -> tuple[int | None, bool]:
    """Returns the number that both sides of a model's images must be multiples of.

    A model says so by an attribute `size_divisor`. One that does not is tried with odd multiples of 1, 2, 3 and
    so on, since even multiples would pass for a larger divisor's.

    Args:
        component: The model.
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        near: Rows and columns of a size that it takes; larger ones next to it are tried.

    Returns:
        The divisor, 1 where any size will do, none where the sizes that fit follow no such rule; and whether the
        model says so itself.

    Raises:
        MedsegError: If the model cannot be built, or refuses the given size.
        Exception: Whatever else it raises there, of `CONSTRUCTION_ERRORS`.
    """
    run = dry_run(component, in_channels, out_channels, near)
    declared = getattr(run.model, "size_divisor", None)
    if isinstance(declared, int) and declared > 0:
        return declared, True
    for divisor in CANDIDATES:
        size = odd_multiples(near, divisor)
        try:
            output = dry_run(component, in_channels, out_channels, size, [run.device]).output
        except (MedsegError, *CONSTRUCTION_ERRORS):
            continue
        if isinstance(output, torch.Tensor) and output.shape[2:] == size:
            return divisor, False
    return None, False


def odd_multiples(size: Size, divisor: int) -> Size:
    """Returns the next sizes from `size` up that are odd multiples of a divisor, and not square."""
    height, width = (divisor * (-(-side // divisor) // 2 * 2 + 1) for side in size)
    return height, width if width != height else width + 2 * divisor
