"""A heart in short-axis view: what is drawn per patient, and its outlines at a height and phase.

Lengths in mm. In the heart's own frame the LV is at the origin, the RV towards -x, anterior towards -y. Height
`t` runs from 0 at the base to 1 at the apex of the epicardium.
"""

from dataclasses import dataclass

import numpy as np

from medseg.data.phantom.texture import Field, bump, harmonics

GROUPS = ("NOR", "DCM", "HCM", "MINF", "RV")


@dataclass(frozen=True)
class Pathology:
    """What a pathology group does to the geometry (Bernard et al. 2018, section II-A).

    Args:
        radius_mm: LV cavity at the base, end-diastole.
        wall_mm: LV wall.
        shortening: Share of the LV radius lost until end-systole.
        rv_width_mm: Reach of the RV beyond the LV wall.
        rv_shortening: Share of that lost until end-systole.
        septal: Thickening of the septum.
        flattening: Dent of the septum towards the LV.
        scar: Thinning and stillness of an infarcted sector.
    """

    radius_mm: float
    wall_mm: float
    shortening: float
    rv_width_mm: float = 28.0
    rv_shortening: float = 0.34
    septal: float = 0.1
    flattening: float = 0.0
    scar: float = 0.0


PATHOLOGIES = {
    "NOR": Pathology(23.0, 7.5, 0.34),
    "DCM": Pathology(31.0, 6.5, 0.11, rv_width_mm=26.0, rv_shortening=0.2),
    "HCM": Pathology(20.0, 12.0, 0.47, septal=0.45, rv_width_mm=25.0),
    "MINF": Pathology(27.0, 7.0, 0.20, scar=0.5),
    "RV": Pathology(20.5, 7.0, 0.30, rv_width_mm=40.0, rv_shortening=0.16, flattening=0.24),
}


@dataclass(frozen=True)
class Heart:
    """One patient's heart.

    Args:
        kind: Its pathology.
        length_mm: From base to apex at end-diastole.
        size: Overall factor of the body.
        rv_end: Height at which the RV ends.
        rv_angle: Direction of the RV's middle, radians.
        scar_angle: Middle of the infarcted sector, radians.
        wobble_seed: Seed of the outlines' irregularity.
    """

    kind: Pathology
    length_mm: float
    size: float
    rv_end: float
    rv_angle: float
    scar_angle: float
    wobble_seed: int


@dataclass(frozen=True)
class Outlines:
    """Radii around the LV's centre, for every direction asked for.

    Args:
        endo: LV cavity.
        epi: LV wall's outside.
        rv: RV cavity's outside; equal to `epi` where there is no RV.
        outer: Outside of the RV's free wall, or of the LV where there is none.
    """

    endo: Field
    epi: Field
    rv: Field
    outer: Field


def draw_heart(rng: np.random.Generator, group: str) -> Heart:
    """Draws a patient of a pathology group."""
    base = PATHOLOGIES[group]
    kind = Pathology(
        radius_mm=base.radius_mm * rng.normal(1, 0.06),
        wall_mm=base.wall_mm * rng.normal(1, 0.08),
        shortening=float(np.clip(base.shortening * rng.normal(1, 0.12), 0.05, 0.6)),
        rv_width_mm=base.rv_width_mm * rng.normal(1, 0.1),
        rv_shortening=float(np.clip(base.rv_shortening * rng.normal(1, 0.15), 0.05, 0.5)),
        septal=base.septal * rng.uniform(0.6, 1.4),
        flattening=base.flattening * rng.uniform(0.6, 1.3),
        scar=base.scar * rng.uniform(0.7, 1.2),
    )
    return Heart(
        kind=kind,
        length_mm=rng.normal(84, 5) + (8 if group == "DCM" else 0),
        size=float(np.clip(rng.normal(1, 0.07), 0.86, 1.14)),
        rv_end=rng.uniform(0.68, 0.84),
        rv_angle=np.pi + rng.normal(0.25, 0.12),
        scar_angle=rng.uniform(-1.3, 1.3),
        wobble_seed=int(rng.integers(2**31)),
    )


def outlines(heart: Heart, t: float, systole: float, angle: Field) -> Outlines:
    """Returns the outlines at a height and phase.

    Args:
        heart: The patient's heart.
        t: Height, 0 at the base, 1 at the apex.
        systole: 0 at end-diastole, 1 at end-systole.
        angle: Directions from the LV's centre, radians.
    """
    kind, rng = heart.kind, np.random.default_rng(heart.wobble_seed)
    scar = kind.scar * bump(angle, heart.scar_angle, 0.75)
    septum = bump(angle, np.pi, 0.8)
    wobble = harmonics(rng, angle, 0.05)
    cavity_wobble = harmonics(rng, angle, 0.05)

    diastolic = kind.radius_mm * _taper(t / 0.93) * wobble * (1 - kind.flattening * septum)
    wall = kind.wall_mm * (1 + kind.septal * septum - scar) * (1 - 0.25 * t)
    wall = wall * _taper(t) ** 0.5
    shrink = 1 - systole * kind.shortening * (1 - 1.4 * scar)
    endo = diastolic * shrink * cavity_wobble**systole
    # The wall keeps its volume while the heart shortens, so it thickens as the cavity shrinks.
    gain = 1 + 0.12 * systole
    epi = np.sqrt(endo**2 + gain * ((diastolic + wall) ** 2 - diastolic**2))

    spread = np.angle(np.exp(1j * (angle - heart.rv_angle)))
    half = 1.32 - 0.35 * t
    crescent = np.cos(np.clip(spread / half, -1, 1) * np.pi / 2) ** 0.6
    skew = 1 + 0.22 * (1 - t) * np.sin(spread)
    width = kind.rv_width_mm * (1 - systole * kind.rv_shortening) * _taper(t / heart.rv_end)
    rv = epi + width * crescent * skew * harmonics(rng, angle, 0.05)
    free_wall = 3.0 * (crescent > 0) * (width > 0)
    return Outlines(*(heart.size * radius for radius in (endo, epi, rv, rv + free_wall)))


def _taper(t: float) -> float:
    """Profile of an ellipsoid cut off at the base: 1 near t = 0, 0 from t = 1 on."""
    return float(max(0.0, 1 - max(t, 0.0) ** 2.4) ** 0.6)
