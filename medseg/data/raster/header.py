"""What an image file says of itself before its pixels are read; shared by the readers of each file format."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]

_NOISE = 4e-15
"""Relative error of a few operations in float64."""


@dataclass(frozen=True)
class Header:
    """Grid and spacing of a file.

    Args:
        shape: Grid, slowest axis first: (Z, H, W) or (H, W). Files store X, Y, Z.
        spacing_mm: In the order of `shape`; ones where the format or the file carries none, 0 where the file states
            what cannot be a length (0, NaN, infinity).
        channels: Values per grid point: colours of a picture, the fourth axis of a volume.
        orientation: Where the axes point, e.g. ``"LPS"`` for X, Y, Z; empty where the file does not say.
    """

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    channels: int = 1
    orientation: str = ""


def lengths(values: Iterable[float]) -> tuple[float, ...]:
    """Returns voxel sizes without sign and noise, 0 for what cannot be a length."""
    return tuple(_as_meant(abs(float(v))) if math.isfinite(v) else 0.0 for v in values)


def _as_meant(length: float) -> float:
    """Takes away what storing and computing added: 1.37 is 1.37000000477 in float32, a norm is one bit off."""
    with np.errstate(over="ignore"):
        single = np.float32(length)
        plain = float(f"{length:.6g}")  # a float32 tells all numbers of six digits apart
        stored = math.isclose(length, float(single), rel_tol=_NOISE)
        if stored and np.float32(plain) == single:
            return plain
    # Halves of halves, such as 0.341796875, have more digits, but no noise.
    plain = float(f"{length:.12g}")
    if math.isclose(length, plain, rel_tol=_NOISE):
        return plain
    return float(str(single)) if stored else length


def first_axis_last(values: NDArray[Any], channels: bool) -> NDArray[Any]:
    """Turns (X, Y[, Z][, C]) into (C, [Z, ]Y, X).

    Args:
        values: As volumes are stored, the fastest axis first.
        channels: Whether the last axis holds channels.
    """
    values = values if channels else values[..., None]
    return values.transpose(*reversed(range(values.ndim)))


def orientation_of(affine: NDArray[np.float64]) -> str:
    """Returns where the axes of an affine to RAS+ point, e.g. ``"LPS"``; ``?`` or empty where it is singular."""
    import nibabel

    if not np.isfinite(affine).all():
        return ""
    try:
        return "".join(axis or "?" for axis in nibabel.aff2axcodes(affine))
    except (np.linalg.LinAlgError, ValueError):
        return ""
