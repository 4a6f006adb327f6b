"""Moves images and masks by one and the same sampling grid."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from medseg.data.augment.device import Rows, get_rows, put_rows, send
from medseg.data.augment.draw import Draws, Floats

# Axes of a sample that is only mirrored, by 1 for x plus 2 for y. Two more groups are resampled.
_MIRRORED: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))
_RIGID, _BENT = 4, 5
_BITS = np.array([1, 2])


@dataclass(frozen=True)
class Motion:
    """How some samples move; those that are only mirrored, or stay, are not resampled.

    Args:
        rows: The N samples.
        mirror: Axes along which they are mirrored, if that is all.
        matrix: Else rotation, scale and mirror in normalised coordinates, (N, 2, 2).
        bend: Shifts of control points as in `Draws`, (N, 2, n + 3, n + 3), where they bend too.
    """

    rows: Rows
    mirror: tuple[int, ...] = ()
    matrix: Floats | None = None
    bend: Floats | None = None


def motions(draws: Draws, height: int, width: int, one_by_one: bool) -> Iterator[Motion]:
    """Yields how samples move: those that move in the same way together, or each by itself, in order.

    Args:
        draws: Of all samples.
        height: Rows of the images.
        width: Columns of the images.
        one_by_one: Each sample by itself.
    """
    group = draws.mirror @ _BITS
    group[(draws.angle_rad != 0) | (draws.step != 1)] = _RIGID
    if draws.bend.size:
        group[draws.bend.any((1, 2, 3))] = _BENT
    matrices = _matrices(draws, height / width)
    if one_by_one:
        places: Iterator[tuple[int, Rows]] = (
            (kind, slice(row, row + 1)) for row, kind in enumerate(group.tolist())
        )
    else:
        places = ((kind, np.flatnonzero(group == kind)) for kind in np.unique(group).tolist())
    for kind, rows in places:
        if kind < _RIGID:
            yield Motion(rows, mirror=_MIRRORED[kind])
        else:
            yield Motion(rows, matrix=matrices[rows], bend=draws.bend[rows] if kind == _BENT else None)


def move(images: Tensor, labels: Tensor, motion: Motion, moved: Tensor, masks: Tensor) -> None:
    """Moves some samples from one tensor into another.

    Args:
        images: Floating point, (B, C, H, W).
        labels: Class indices, (B, H, W).
        motion: Which samples, and how.
        moved: Float32, (B, C, H, W); the images' border is continued where they are left.
        masks: Class indices, (B, H, W); 0 where the labels are left.
    """
    part, mask = get_rows(images, motion.rows), get_rows(labels, motion.rows)
    if motion.matrix is not None:
        grid = _grid(motion.matrix, motion.bend, part.shape[-2], part.shape[-1], part.device)
        # The copy brings the images into a CPU's cache in order: without it all takes 1.6 times as long.
        part = part.to(torch.float32, copy=True)
        part = F.grid_sample(part, grid, mode="bilinear", padding_mode="border", align_corners=False)
        # Float32 holds every class index exactly.
        mask = mask[:, None].float()
        mask = F.grid_sample(mask, grid, mode="nearest", padding_mode="zeros", align_corners=False)[:, 0]
    elif motion.mirror:
        # Half precision is mirrored five times as slowly.
        part, mask = part.float().flip(motion.mirror), mask.flip(motion.mirror)
    put_rows(moved, motion.rows, part)
    put_rows(masks, motion.rows, mask)


def sampling_grid(draws: Draws, height: int, width: int, device: torch.device) -> Tensor:
    """Returns where each pixel comes from: bend, then scale and rotate, all about the centre.

    Returns:
        Float32 (B, H, W, 2), x before y, in normalised coordinates: -1 and 1 are the image's outer edges.
    """
    bend = draws.bend if draws.bend.any() else None
    return _grid(_matrices(draws, height / width), bend, height, width, device)


def _grid(matrix: Floats, bend: Floats | None, height: int, width: int, device: torch.device) -> Tensor:
    x, y = _centres(width, device), _centres(height, device)[:, None]
    if bend is not None:
        cells = bend.shape[-1] - 3
        control = send(bend * np.float32(2 / cells), device)
        shift = _spline(height, cells, device) @ control @ _spline(width, cells, device).T
        x, y = x + shift[:, 0], y + shift[:, 1]
    factors = send(matrix, device)[..., None, None]
    # x and y apart in memory: three times as fast to write, and grid_sample reads it as fast.
    grid = torch.empty(len(matrix), 2, height, width, device=device)
    for axis in range(2):
        torch.add(factors[:, axis, 0] * x, factors[:, axis, 1] * y, out=grid[:, axis])
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
