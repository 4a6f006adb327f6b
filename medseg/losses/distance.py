"""Exact signed Euclidean distance maps of masks, on the CPU by SciPy, on a GPU without waiting for it."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor


@torch.no_grad()
def signed_distance(masks: Tensor, valid: Tensor | None) -> Tensor:
    """Returns how far each pixel lies outside (> 0) or inside (<= 0) of a mask, in pixels.

    Outside it is the distance to the nearest pixel of the mask; inside minus that to the nearest pixel that is
    not, plus 1, so that the mask's outermost pixels are 0. Pixels that do not count are in neither, and 0.
    So are all where the mask is empty or full.

    Args:
        masks: Bool (B, C, H, W).
        valid: Bool (B, H, W), which pixels count; none: all.

    Returns:
        Float32 (B, C, H, W).
    """
    inside, outside = masks, ~masks
    if valid is not None:
        counts = valid.unsqueeze(1)
        inside, outside = inside & counts, outside & counts
    find = _by_scipy if masks.device.type == "cpu" else distance_to
    signed = torch.where(inside, 1 - find(outside), find(inside))
    some = inside.flatten(2).any(dim=2) & outside.flatten(2).any(dim=2)
    return torch.where((inside | outside) & some[..., None, None], signed, 0)


# Rows that are looked at in one go: few launches on a GPU, of ROWS times the memory of the maps.
ROWS = 16


def distance_to(sources: Tensor) -> Tensor:
    """Returns the Euclidean distance of each pixel to the nearest source, infinite where there is none.

    Exact and separable: the nearest source of each row first, then the best row (Saito, Toriwaki 1994,
    https://doi.org/10.1016/0031-3203(94)90133-3).

    Args:
        sources: Bool (..., H, W).

    Returns:
        Float32 (..., H, W).
    """
    height, width = sources.shape[-2:]
    columns = torch.arange(width, dtype=torch.float32, device=sources.device)
    left = torch.where(sources, columns, -torch.inf).cummax(dim=-1).values
    right = torch.where(sources, columns, torch.inf).flip(-1).cummin(dim=-1).values.flip(-1)
    squared = torch.minimum(columns - left, right - columns).square()
    rows = torch.arange(height, dtype=torch.float32, device=sources.device)
    best = torch.full_like(squared, torch.inf)
    for first in range(0, height, ROWS):
        apart = (rows - rows[first : first + ROWS, None]).square()  # (rows at a time, H)
        some = squared[..., first : first + ROWS, None, :] + apart.unsqueeze(-1)
        best = torch.minimum(best, some.amin(dim=-3))
    return best.sqrt()


def _by_scipy(sources: Tensor) -> Tensor:
    """Does what `distance_to` does."""
    found = np.full(sources.shape, np.inf, dtype=np.float32)
    for index in np.ndindex(*sources.shape[:-2]):
        mask = sources[index].numpy()
        if mask.any():
            found[index] = ndimage.distance_transform_edt(~mask)
    return torch.from_numpy(found)
