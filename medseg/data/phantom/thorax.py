"""What surrounds the heart in a short-axis slice: lungs, chest wall, liver, stomach, aorta.

Lengths in mm. Intensities relative to blood, as in balanced steady-state free precession.
"""

from dataclasses import dataclass

import numpy as np

from medseg.data.phantom.texture import Field, edge, paint, smooth_noise


@dataclass(frozen=True)
class Thorax:
    """One patient's surroundings of the heart.

    Args:
        wall_mm: Distance of the chest wall from the heart, at the base.
        wall_angle: Direction of the chest wall, radians.
        fat: Intensity of fat.
        fat_mm: Thickness of the layer below the skin.
        liver: Intensity of the liver, near that of muscle.
        floor_mm: Depth of the diaphragm below the heart, at the base.
        slope: Slope of the diaphragm.
        aorta_mm: Centre (x, y) and radius of the descending aorta.
        stomach_mm: Centre (x, y) and radius of the stomach.
        seed: Seed of vessels and texture.
    """

    wall_mm: float
    wall_angle: float
    fat: float
    fat_mm: float
    liver: float
    floor_mm: float
    slope: float
    aorta_mm: tuple[float, float, float]
    stomach_mm: tuple[float, float, float]
    seed: int


def draw_thorax(rng: np.random.Generator, radius_mm: float) -> Thorax:
    """Draws the surroundings of a heart of a given radius."""
    return Thorax(
        wall_mm=radius_mm + rng.uniform(26, 40),
        wall_angle=np.pi + rng.uniform(0.2, 0.9),
        fat=rng.uniform(0.95, 1.35),
        fat_mm=rng.uniform(8, 22),
        liver=rng.uniform(0.28, 0.46),
        floor_mm=radius_mm + rng.uniform(2, 10),
        slope=rng.uniform(-0.15, 0.25),
        aorta_mm=(rng.uniform(-12, 22), radius_mm + rng.uniform(14, 24), rng.uniform(9, 13)),
        stomach_mm=(rng.uniform(22, 46), radius_mm + rng.uniform(14, 30), rng.uniform(12, 20)),
        seed=int(rng.integers(2**31)),
    )


def paint_thorax(thorax: Thorax, x: Field, y: Field, height: float, pixel_mm: float) -> Field:
    """Paints a slice without its heart.

    Args:
        thorax: The patient.
        x: Distance to the right of the heart's centre, per pixel.
        y: Distance below the heart's centre, per pixel.
        height: 0 at the base of the heart, 1 at its apex.
        pixel_mm: Size of a pixel.

    Returns:
        Intensities, the shape of `x`.
    """
    rng = np.random.default_rng(thorax.seed)
    canvas = _lung(rng, x, y, height, pixel_mm)
    # Towards the apex diaphragm and chest wall come nearer and cover more of the picture.
    floor = thorax.floor_mm - 26 * height + thorax.slope * x + 0.0035 * (x - 10) ** 2
    below = edge(floor - y, pixel_mm)
    organ = thorax.liver * (1 + 0.07 * smooth_noise(rng, x.shape, 3 / pixel_mm))
    canvas = paint(canvas, below, organ)
    canvas = paint(canvas, below * _vessels(rng, x, y, 14, (1.5, 4.0), pixel_mm), 0.75)
    canvas = _stomach(thorax, rng, canvas, x, y + 18 * height, pixel_mm)
    canvas = _aorta(thorax, canvas, x, y, pixel_mm)
    return _chest_wall(thorax, rng, canvas, x, y, height, pixel_mm)


def _lung(rng: np.random.Generator, x: Field, y: Field, height: float, pixel_mm: float) -> Field:
    canvas = 0.07 + 0.015 * smooth_noise(rng, x.shape, 4 / pixel_mm)
    drift = 12 * height
    return paint(canvas, _vessels(rng, x + drift, y + drift, 70, (0.8, 2.6), pixel_mm), 0.7)


def _vessels(
    rng: np.random.Generator, x: Field, y: Field, count: int, radii_mm: tuple[float, float], pixel_mm: float
) -> Field:
    mask = np.zeros_like(x)
    for _ in range(count):
        cx, cy = rng.uniform(-90, 90, 2)
        radius, squeeze, turn = rng.uniform(*radii_mm), rng.uniform(0.4, 1.0), rng.uniform(0, np.pi)
        strength = rng.uniform(0.4, 1.0)
        # Only the pixels near the vessel are worth a look.
        near = np.ix_(*(np.abs(axis) < 3 * radius + 2 * pixel_mm for axis in (y[:, 0] - cy, x[0] - cx)))
        right, below = x[near] - cx, y[near] - cy
        along = right * np.cos(turn) + below * np.sin(turn)
        across = below * np.cos(turn) - right * np.sin(turn)
        distance = np.hypot(along * squeeze, across) - radius
        mask[near] = np.maximum(mask[near], edge(distance, 1.5 * pixel_mm) * strength)
    return mask


def _stomach(
    thorax: Thorax, rng: np.random.Generator, canvas: Field, x: Field, y: Field, pixel_mm: float
) -> Field:
    cx, cy, radius = thorax.stomach_mm
    wavy = radius * (1 + 0.16 * smooth_noise(rng, x.shape, 10 / pixel_mm))
    distance = np.hypot((x - cx) / 1.4, y - cy) - wavy
    inside = 0.7 + 0.3 * smooth_noise(rng, x.shape, 2.5 / pixel_mm)
    canvas = paint(canvas, edge(distance - 3.5, 1.5 * pixel_mm), 0.3)
    return paint(canvas, edge(distance, 1.5 * pixel_mm), np.clip(inside, 0.1, 1.3))


def _aorta(thorax: Thorax, canvas: Field, x: Field, y: Field, pixel_mm: float) -> Field:
    cx, cy, radius = thorax.aorta_mm
    distance = np.hypot(x - cx, y - cy) - radius
    canvas = paint(canvas, edge(distance - 2.2, pixel_mm), 0.22)
    return paint(canvas, edge(distance, pixel_mm), 0.9)


def _chest_wall(
    thorax: Thorax,
    rng: np.random.Generator,
    canvas: Field,
    x: Field,
    y: Field,
    height: float,
    pixel_mm: float,
) -> Field:
    away = x * np.cos(thorax.wall_angle) + y * np.sin(thorax.wall_angle)
    aside = y * np.cos(thorax.wall_angle) - x * np.sin(thorax.wall_angle)
    uneven = 2.5 * smooth_noise(rng, x.shape, 9 / pixel_mm)
    depth = away + 0.0045 * aside**2 - (thorax.wall_mm - 22 * height) + uneven
    muscle = 0.28 * (1 + 0.15 * smooth_noise(rng, x.shape, 2 / pixel_mm))
    canvas = paint(canvas, edge(-depth, 1.5 * pixel_mm), muscle)
    spacing = 21.0
    ribs = np.hypot(depth - 5.5, (aside + 6) % spacing - spacing / 2) - 4.5
    canvas = paint(canvas, edge(ribs, 1.5 * pixel_mm), 0.62)
    fat = thorax.fat * (1 + 0.06 * smooth_noise(rng, x.shape, 5 / pixel_mm))
    canvas = paint(canvas, edge(10 - depth, 1.5 * pixel_mm), fat)
    return paint(canvas, edge(10 + thorax.fat_mm - depth, pixel_mm), 0.02)
