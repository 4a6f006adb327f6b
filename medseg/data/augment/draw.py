"""All random numbers of one step's augmentation, drawn for the whole effective batch at once. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseg.data.augment.config import AugmentConfig

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Draws:
    """What happens to each of B samples with C channels: small arrays on the host, float32 unless said.

    A kind that is off for a sample holds its identity: 0, or 1 for factors, shares and exponents.

    Args:
        bend: Shifts of the control points along x and y, in shares of their spacing, (B, 2, n + 3, n + 3) for n
            cells, or (B, 2, 0, 0) where nothing bends.
        angle_rad: Rotation, (B,).
        step: Step of the sampling grid in pixels, (B,); below 1 enlarges.
        mirror: Whether x and y are mirrored, bool (B, 2).
        noise: SD of the noise, its sign that of the noise, (B, C).
        noise_start: Where in the noise bank a channel's noise starts, as a share of what is possible, (B, C).
        blur_px: SD of the blur along x and y, (B, C, 2).
        brightness: Factor of all values, (B, C).
        contrast: Factor about the mean, (B, C).
        low_resolution: Share of rows and columns that is kept, (B, C).
        gamma_inverted: Exponent for the negative, (B, C).
        gamma: Exponent, (B, C).
    """

    bend: Floats
    angle_rad: Floats
    step: Floats
    mirror: NDArray[np.bool_]
    noise: Floats
    noise_start: Floats
    blur_px: Floats
    brightness: Floats
    contrast: Floats
    low_resolution: Floats
    gamma_inverted: Floats
    gamma: Floats

    def __len__(self) -> int:
        return len(self.angle_rad)

    @property
    def channels(self) -> int:
        """Channels per sample."""
        return int(self.gamma.shape[1])

    def take(self, rows: slice | Sequence[int] | NDArray[np.integer]) -> "Draws":
        """Returns the draws of some samples, e.g. of those that one process holds."""
        index = rows if isinstance(rows, slice) else np.asarray(rows, dtype=np.int64)
        return Draws(**{name: values[index] for name, values in vars(self).items()})


def draw(
    strengths: AugmentConfig, flips: Sequence[str], batch_size: int, channels: int, rng: np.random.Generator
) -> Draws:
    """Draws what happens to each sample of the effective batch.

    Every process draws for all samples and takes its own, so that results depend on neither how many processes
    nor how many workers there are. How many numbers are consumed depends on the two sizes alone, the elastic shifts
    excepted, which come last: changing one strength leaves the other kinds' draws as they were.

    Args:
        strengths: How much of each kind.
        flips: Axes along which the task may be mirrored: "horizontal" and/or "vertical".
        batch_size: Samples in the effective batch.
        channels: Channels per sample.
        rng: The only source of randomness.

    Raises:
        ValueError: If an axis is unknown.
    """
    unknown = set(flips) - {"horizontal", "vertical"}
    if unknown:
        raise ValueError(f"flips must be 'horizontal' and/or 'vertical', got {sorted(unknown)}")
    s, samples, planes = strengths, (batch_size,), (batch_size, channels)
    allowed = [s.flip_p * (s.flip and axis in flips) for axis in ("horizontal", "vertical")]
    chances = (s.rotation_p, s.scale_p, s.noise_p, s.blur_p, s.brightness_p, s.contrast_p, s.low_resolution_p)
    rotated, scaled, noisy, blurred, brightened, stretched, coarse, inverted, curved, bent = _coins(
        rng, samples, *chances, s.gamma_inverted_p, s.gamma_p, s.elastic_p
    )
    angle_deg, step, noise = _uniform(
        rng, samples, (-s.rotation_deg, s.rotation_deg), (s.scale_low, s.scale_high), (0, s.noise)
    )
    start, blur_x, blur_y, brightness, contrast, share = _uniform(
        rng,
        planes,
        (0, 1),
        (s.blur_px / 2, s.blur_px),
        (s.blur_px / 2, s.blur_px),
        (1 - s.brightness, 1 + s.brightness),
        (1 - s.contrast, 1 + s.contrast),
        (s.low_resolution, 1),
    )
    below, above, below_inverted, above_inverted = _uniform(
        rng, planes, *[(s.gamma_low, 1), (1, s.gamma_high)] * 2
    )
    negative, dark, dark_inverted, blurred_channel, coarse_channel = _coins(
        rng, planes, 0.5, 0.5, 0.5, s.blur_channel_p, s.low_resolution_channel_p
    )
    return Draws(
        angle_rad=_where(rotated, np.deg2rad(angle_deg), 0),
        step=_where(scaled, step, 1),
        mirror=np.stack(_coins(rng, samples, *allowed), axis=1),
        noise=_where(noisy, noise, 0)[:, None] * _where(negative, np.float32(-1), 1),
        noise_start=start,
        blur_px=_where(
            (blurred[:, None] & blurred_channel)[..., None], np.stack([blur_x, blur_y], axis=2), 0
        ),
        brightness=_where(brightened[:, None], brightness, 1),
        contrast=_where(stretched[:, None], contrast, 1),
        low_resolution=_where(coarse[:, None] & coarse_channel, share, 1),
        gamma_inverted=_where(inverted[:, None], _where(dark_inverted, below_inverted, above_inverted), 1),
        gamma=_where(curved[:, None], _where(dark, below, above), 1),
        bend=_where(bent[:, None, None, None], _shifts(s, batch_size, rng), 0),
    )


def _coins(rng: np.random.Generator, shape: tuple[int, ...], *chances: float) -> list[NDArray[np.bool_]]:
    """Returns one bool array of this shape per chance."""
    heads = rng.random((len(chances), *shape), dtype=np.float32)
    return list(heads < np.reshape(chances, (-1, *[1] * len(shape))))


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], *ranges: tuple[float, float]) -> list[Floats]:
    """Returns one array of this shape per range."""
    low, high = np.array(ranges, dtype=np.float32).T.reshape(2, -1, *[1] * len(shape))
    return list(low + rng.random((len(ranges), *shape), dtype=np.float32) * (high - low))


def _shifts(s: AugmentConfig, batch_size: int, rng: np.random.Generator) -> Floats:
    controls = s.elastic_cells + 3 if s.elastic and s.elastic_p else 0
    (shifts,) = _uniform(rng, (batch_size, 2, controls, controls), (-s.elastic, s.elastic))
    return shifts


def _where(active: NDArray[np.bool_], values: Any, otherwise: Any) -> Floats:
    return np.where(active, values, np.asarray(otherwise, dtype=np.float32))
