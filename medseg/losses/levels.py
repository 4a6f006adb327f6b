"""Deep supervision: how much each level counts, and the target at its size."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def level_weights(sizes: Sequence[Sequence[int]]) -> list[float]:
    """Returns what share of the loss each level has, in proportion to the side of its map.

    Where each level has half the side of the one above, these are 1, 1/2, 1/4, ... over their sum, as in Isensee
    et al. 2021, "nnU-Net", https://doi.org/10.1038/s41592-020-01008-z. Maps of one size weigh alike, as in Zhou et
    al. 2018, "UNet++", https://arxiv.org/abs/1807.10165.

    Args:
        sizes: Rows and columns of each level.
    """
    sides = [math.sqrt(rows * columns) for rows, columns in sizes]
    return [side / sum(sides) for side in sides]


def resize_nearest(labels: Tensor, height: int, width: int) -> Tensor:
    """Picks the pixel under each new pixel's centre, as the mode ``nearest-exact`` of torch's `interpolate`.

    Args:
        labels: Of any type (B, H, W).
        height: New H.
        width: New W.

    Returns:
        Of the same type (B, height, width).
    """
    rows, columns = (
        (2 * torch.arange(new, device=labels.device) + 1) * old // (2 * new)
        for new, old in zip((height, width), labels.shape[1:], strict=True)
    )
    return labels.index_select(1, rows).index_select(2, columns)
