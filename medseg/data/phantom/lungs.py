"""A chest's anatomy as seen from the front: what is drawn per patient, and where the lungs are.

Coordinates run from -1 to 1, `u` to the right of the picture (the patient's left), `v` downwards.
"""

from dataclasses import dataclass

import numpy as np

from medseg.data.phantom.texture import Field


@dataclass(frozen=True)
class Chest:
    """One patient's chest, and how it stands in front of the detector.

    Args:
        half_width: Outer reach of the lungs.
        top: Height of the lungs' tips.
        base: Height of the diaphragm at its lowest, the outer corners.
        dome: Rise of the diaphragm above the corners, right and left.
        gap: Half width of the mediastinum, right and left.
        heart: Centre (u, v) and half axes of the heart.
        rib_pitch: Distance between ribs.
        rib_slope: Slope of the posterior ribs.
        clavicle: Height of the clavicles' inner ends.
        fat: Thickness of the soft tissue.
        seed: Seed of the anatomy's irregularity.
        turn: Rotation, radians.
        zoom: Size on the picture.
        shift: Offset (u, v).
        breath: Depth of inspiration, added to `base`.
        aeration: How much darker than tissue the lungs are, relative to the usual.
    """

    half_width: float
    top: float
    base: float
    dome: tuple[float, float]
    gap: tuple[float, float]
    heart: tuple[float, float, float, float]
    rib_pitch: float
    rib_slope: float
    clavicle: float
    fat: float
    seed: int
    turn: float = 0.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    breath: float = 0.0
    aeration: float = 1.0


def draw_chest(rng: np.random.Generator) -> Chest:
    """Draws a patient."""
    top, base = rng.uniform(-0.94, -0.76), rng.uniform(0.6, 0.9)
    reach = rng.uniform(0.22, 0.46)
    return Chest(
        half_width=rng.uniform(0.7, 0.88),
        top=top,
        base=base,
        dome=(rng.uniform(0.22, 0.4), rng.uniform(0.16, 0.34)),
        gap=(rng.uniform(0.08, 0.15), rng.uniform(0.1, 0.2)),
        heart=(rng.uniform(0.06, 0.16), base - rng.uniform(0.34, 0.44), reach, rng.uniform(0.3, 0.4)),
        rib_pitch=rng.uniform(0.165, 0.21),
        rib_slope=rng.uniform(0.25, 0.5),
        clavicle=top + rng.uniform(0.1, 0.26),
        fat=rng.uniform(0.06, 0.2),
        seed=int(rng.integers(2**31)),
        zoom=rng.normal(1, 0.05),
    )


def warp(chest: Chest, u: Field, v: Field) -> tuple[Field, Field]:
    """Brings picture coordinates into the chest's own: pose, then a gentle irregular bend."""
    x, y = (u - chest.shift[0]) / chest.zoom, (v - chest.shift[1]) / chest.zoom
    cos, sin = np.cos(chest.turn), np.sin(chest.turn)
    x, y = x * cos + y * sin, y * cos - x * sin
    rng = np.random.default_rng(chest.seed)
    bend_x, bend_y = np.zeros_like(x), np.zeros_like(y)
    # Waves, not pixel noise: image and mask have different sizes and must bend alike.
    for _ in range(6):
        wave, phase = rng.uniform(-5, 5, 2), rng.uniform(0, 2 * np.pi, 2)
        across, along = rng.normal(0, 0.009, 2)
        bend_x += across * np.cos(wave[0] * x + wave[1] * y + phase[0])
        bend_y += along * np.cos(wave[0] * x + wave[1] * y + phase[1])
    return x + bend_x, y + bend_y


def lungs(chest: Chest, u: Field, v: Field) -> Field:
    """Returns a signed depth: positive inside a lung, about the distance to its border.

    The part of a lung behind heart and diaphragm's slope counts as lung, as readers draw it.
    """
    return np.maximum(lung(chest, -u, v, side=0), lung(chest, u, v, side=1))


def lung(chest: Chest, outward: Field, v: Field, side: int) -> Field:
    """Returns the signed depth of one lung.

    Args:
        chest: The patient.
        outward: Distance from the midline towards that lung.
        v: Height.
        side: 0 for the right lung (left in the picture), 1 for the left.
    """
    base = chest.base + chest.breath
    height = np.clip((v - chest.top) / (base - chest.top), 0, 1)
    # Both borders leave the tip sideways, which rounds it.
    tip = 0.42 * chest.half_width
    lateral = tip + (chest.half_width - tip) * (1 - (1 - height) ** 2.8) ** 0.55
    notch = 0.05 * side * np.exp(-(((height - 0.72) / 0.2) ** 2))
    medial = chest.gap[side] + notch + 0.03 * height
    medial = medial + (tip - medial) * (1 - (1 - (1 - height) ** 7) ** 0.55)
    floor = diaphragm(chest, outward, side)
    return np.minimum(np.minimum(lateral - outward, outward - medial), np.minimum(floor - v, v - chest.top))


def diaphragm(chest: Chest, outward: Field, side: int) -> Field:
    """Returns the height of one half of the diaphragm, a dome that falls steeply to the outer corner."""
    middle = 0.42 * chest.half_width
    place = np.clip((outward - middle) / (chest.half_width - middle), -1.2, 1.05)
    fall = np.where(place > 0, np.abs(place) ** 2.2, 0.35 * np.abs(place) ** 2)
    return chest.base + chest.breath - chest.dome[side] * (1 - fall)
