"""Moves images and masks by one and the same sampling grid."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from medseg.data.augment_device import get_rows, portions, put_rows, send
from medseg.data.augment_draw import Draws, Floats

# Axes of a sample that is only mirrored, by 1 for x plus 2 for y. Two more groups are resampled.
_MIRRORED: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))
_RIGID, _BENT = 4, 5
_BITS = np.array([1, 2])


def move(images: Tensor, labels: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Bends, rotates, scales and mirrors. Samples that are only mirrored, or stay, are not resampled.

    Args:
        images: Floating point, (B, C, H, W).
        labels: Class indices, (B, H, W).
        draws: Of these B samples.

    Returns:
        New contiguous tensors: float32 images, whose border is continued where they are left, and labels of the
        same dtype, 0 where they are left.
    """
    moved = torch.empty(images.shape, dtype=torch.float32, device=images.device)
    masks = torch.empty(labels.shape, dtype=labels.dtype, device=labels.device)
    group = draws.mirror @ _BITS
    group[(draws.angle_rad != 0) | (draws.step != 1)] = _RIGID
    if draws.bend.size:
        group[draws.bend.any((1, 2, 3))] = _BENT
    for kind in range(_BENT + 1):
        for rows in portions(np.flatnonzero(group == kind), images):
            part = get_rows(images, rows), get_rows(labels, rows)
            if kind >= _RIGID:
                part = _resample(*part, draws.take(rows))
            elif _MIRRORED[kind]:
                part = part[0].flip(_MIRRORED[kind]), part[1].flip(_MIRRORED[kind])
            put_rows(moved, rows, part[0])
            put_rows(masks, rows, part[1])
    return moved, masks


def _resample(images: Tensor, labels: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    grid = sampling_grid(draws, images.shape[-2], images.shape[-1], images.device)
    moved = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    # Float32 holds every class index exactly.
    masks = F.grid_sample(
        labels[:, None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=False
    )
    # By way of int32: a CPU converts float to uint8 three times as slowly.
    return moved, masks[:, 0].to(torch.int32).to(labels.dtype)


def sampling_grid(draws: Draws, height: int, width: int, device: torch.device) -> Tensor:
    """Returns where each pixel comes from: bend, then scale and rotate, all about the centre.

    Returns:
        Float32 (B, H, W, 2), x before y, in normalised coordinates: -1 and 1 are the image's outer edges.
    """
    x, y = _centres(width, device), _centres(height, device)[:, None]
    if draws.bend.any():
        cells = draws.bend.shape[-1] - 3
        bend = send(draws.bend * np.float32(2 / cells), device)
        shift = _spline(height, cells, device) @ bend @ _spline(width, cells, device).T
        x, y = x + shift[:, 0], y + shift[:, 1]
    matrix = send(_matrices(draws, height / width), device)[..., None, None]
    # x and y apart in memory: three times as fast to write, and grid_sample reads it as fast.
    grid = torch.empty(len(draws), 2, height, width, device=device)
    for axis in range(2):
        torch.add(matrix[:, axis, 0] * x, matrix[:, axis, 1] * y, out=grid[:, axis])
    return grid.permute(0, 2, 3, 1)


def _matrices(draws: Draws, aspect: float) -> Floats:
    # Normalised coordinates span -1..1 on both axes: without the aspect ratio a rotation would shear.
    cos, sin = np.cos(draws.angle_rad) * draws.step, np.sin(draws.angle_rad) * draws.step
    mirror = np.where(draws.mirror, np.float32(-1), np.float32(1))
    matrices = np.array([[cos, -sin * aspect], [sin / aspect, cos]], dtype=np.float32)
    return np.moveaxis(matrices, -1, 0) * mirror[:, None, :]


@lru_cache(maxsize=16)
def _centres(size: int, device: torch.device) -> Tensor:
    return (2 * torch.arange(size, device=device, dtype=torch.float32) + 1) / size - 1


@lru_cache(maxsize=16)
def _spline(size: int, cells: int, device: torch.device) -> Tensor:
    """Returns the cubic B-spline weights of the control points for each pixel, (size, cells + 3); rows sum to 1."""
    place = (np.arange(size) + 0.5) * (cells / size)
    cell = np.minimum(place.astype(np.int64), cells - 1)
    t = place - cell
    weights = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    basis = np.zeros((size, cells + 3), dtype=np.float32)
    for offset, weight in enumerate(weights):
        basis[np.arange(size), cell + offset] = weight / 6
    return send(basis, device)
