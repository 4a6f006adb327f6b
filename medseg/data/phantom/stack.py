"""Renders a short-axis stack of slices: anatomy, then a scanner's shortcomings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseg.data.phantom.heart import Heart, Outlines, draw_heart, outlines
from medseg.data.phantom.texture import Field, blur, bump, edge, paint, rician, smooth_noise
from medseg.data.phantom.thorax import Thorax, draw_thorax, paint_thorax

_RV, _MYO, _LV = 1, 2, 3
_RING = np.linspace(-np.pi, np.pi, 361)
_SUBSLICES = (-0.4, -0.2, 0.0, 0.2, 0.4)


@dataclass(frozen=True)
class Stack:
    """A patient's acquisition.

    Args:
        heart: The heart.
        thorax: Its surroundings.
        shape: Slices, rows, columns.
        spacing_mm: Between slices, rows, columns.
        top_mm: Height of the first slice above the base.
        centre_mm: The heart's offset (x, y) from the middle of the picture.
        turn: Rotation of the heart, radians.
        tilt: Shift (x, y) of the axis per mm of height.
        shifts_mm: Misalignment (x, y) of each slice, from breath-holds of unequal depth.
        sigma: Noise, relative to blood.
        bias: Strength of the coil's shading.
        contrast: Intensities of LV blood, RV blood and muscle.
        scale: From relative to stored intensity.
    """

    heart: Heart
    thorax: Thorax
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    top_mm: float
    centre_mm: tuple[float, float]
    turn: float
    tilt: tuple[float, float]
    shifts_mm: NDArray[np.float64]
    sigma: float
    bias: float
    contrast: tuple[float, float, float]
    scale: float


@dataclass(frozen=True)
class Grain:
    """Texture of one slice: smooth noise per tissue, shared by the layers within its thickness."""

    fat: Field
    tissue: Field
    lv: Field
    rv: Field
    lv_strands: Field
    rv_strands: Field


def draw_stack(rng: np.random.Generator, group: str) -> Stack:
    """Draws a patient of a pathology group and how it was scanned."""
    heart = draw_heart(rng, group)
    pixel = round(float(rng.uniform(1.3, 1.7)), 4)
    gap = float(rng.choice([5.0, 7.0, 8.0, 10.0, 10.0, 10.0]))
    slices = int(np.clip(round((heart.length_mm * heart.size + 4) / gap), 5, 7))
    field = rng.uniform(150, 172, 2)
    rows, columns = (int(2 * round(side / pixel / 2)) for side in field)
    radius = heart.size * (heart.kind.radius_mm + heart.kind.wall_mm)
    shifts = rng.normal(0, 1.3, (slices, 2))
    return Stack(
        heart=heart,
        thorax=draw_thorax(rng, radius),
        shape=(slices, rows, columns),
        spacing_mm=(gap, pixel, pixel),
        top_mm=float(rng.uniform(-5, 5)),
        centre_mm=(rng.uniform(4, 18), rng.uniform(-8, 8)),
        turn=rng.normal(0, 0.25),
        tilt=(rng.uniform(-0.05, 0.12), rng.uniform(-0.08, 0.08)),
        shifts_mm=shifts,
        sigma=rng.uniform(0.02, 0.07),
        bias=rng.uniform(0.15, 0.45),
        contrast=(rng.uniform(0.85, 1.1), rng.uniform(0.7, 1.0), rng.uniform(0.26, 0.42)),
        scale=rng.uniform(150, 500),
    )


def render(
    rng: np.random.Generator, stack: Stack, surroundings: Sequence[Field], systole: float
) -> tuple[Field, NDArray[np.uint8]]:
    """Renders one phase: each slice is the mean over its thickness, its label that of its middle.

    Args:
        rng: Source of noise and texture.
        stack: The acquisition.
        surroundings: Each slice without the heart, from `paint_surroundings`.
        systole: 0 at end-diastole, 1 at end-systole.

    Returns:
        Intensities and class indices in ACDC's numbers, both (Z, Y, X).
    """
    slices, rows, columns = stack.shape
    image = np.empty(stack.shape)
    label = np.empty(stack.shape, dtype=np.uint8)
    gain = np.exp(stack.bias * smooth_noise(rng, (rows, columns), min(rows, columns) / 4))
    for number in range(slices):
        grain = _draw_grain(rng, (rows, columns), stack.spacing_mm[1])
        layers = [_layer(stack, grain, surroundings[number], number, part, systole) for part in _SUBSLICES]
        plain = np.mean([intensity for intensity, _ in layers], axis=0)
        label[number] = layers[len(layers) // 2][1]
        received = blur(plain, 0.5) * gain * rng.normal(1, 0.05)
        image[number] = rician(rng, received, stack.sigma)
    return np.clip(np.round(image * stack.scale), 0, 32767), label


def paint_surroundings(stack: Stack) -> list[Field]:
    """Paints every slice without its heart; it hardly moves between the phases."""
    painted = []
    reach = stack.heart.length_mm * stack.heart.size
    for number in range(stack.shape[0]):
        depth = number * stack.spacing_mm[0] - stack.top_mm
        x, y = _coordinates(stack, number)
        painted.append(
            paint_thorax(stack.thorax, x, y, float(np.clip(depth / reach, 0, 1)), stack.spacing_mm[1])
        )
    return painted


def _coordinates(stack: Stack, number: int) -> tuple[Field, Field]:
    """Distances right of and below the LV's centre in a slice."""
    _, rows, columns = stack.shape
    pixel = stack.spacing_mm[1]
    depth = number * stack.spacing_mm[0] - stack.top_mm
    away = np.add(stack.centre_mm, stack.shifts_mm[number]) + np.multiply(stack.tilt, depth)
    x = (np.arange(columns) - (columns - 1) / 2) * pixel - away[0]
    y = (np.arange(rows) - (rows - 1) / 2) * pixel - away[1]
    right, below = np.meshgrid(x, y)
    return right, below


def _draw_grain(rng: np.random.Generator, shape: tuple[int, int], pixel: float) -> Grain:
    def noise(scale_mm: float) -> Field:
        return smooth_noise(rng, shape, scale_mm / pixel)

    return Grain(noise(8), noise(2.5), noise(6), noise(6), noise(1.3), noise(1.3))


def _layer(
    stack: Stack, grain: Grain, canvas: Field, number: int, part: float, systole: float
) -> tuple[Field, NDArray[np.uint8]]:
    depth_mm = (number + part) * stack.spacing_mm[0] - stack.top_mm
    # The base descends towards the apex in systole, out of the plane that stays where it is.
    reach = stack.heart.length_mm * stack.heart.size
    descent = systole * 22 * stack.heart.kind.shortening
    t = (depth_mm - descent) / (reach - descent)
    x, y = _coordinates(stack, number)
    along = x * np.cos(stack.turn) + y * np.sin(stack.turn)
    across = y * np.cos(stack.turn) - x * np.sin(stack.turn)
    if t < 0:
        return _above_base(stack, grain, canvas, along, across), np.zeros(x.shape, dtype=np.uint8)
    return _heart_slice(stack, grain, canvas, along, across, t, systole)


def _heart_slice(
    stack: Stack, grain: Grain, canvas: Field, x: Field, y: Field, t: float, systole: float
) -> tuple[Field, NDArray[np.uint8]]:
    rho, angle, pixel = np.hypot(x, y), np.arctan2(y, x), stack.spacing_mm[1]
    ring = outlines(stack.heart, t, systole, _RING)
    lines = Outlines(*(np.interp(angle, _RING, line) for line in (ring.endo, ring.epi, ring.rv, ring.outer)))
    lv_blood, rv_blood, muscle = stack.contrast
    here = float(t < 1)
    # Fat fills the groove between the ventricles and gathers at the apex.
    fat_mm = np.clip(1.5 + 3 * t + 2.2 * grain.fat, 0.0, 9.0) + 7 * bump(angle, -2.3, 0.6)
    canvas = paint(canvas, edge(rho - lines.outer - fat_mm, 1.5 * pixel), stack.thorax.fat)
    tissue = muscle * (1 + 0.06 * grain.tissue)
    canvas = paint(canvas, here * edge(rho - lines.outer - 0.8, pixel), tissue)
    pool = _trabeculate(rv_blood * (1 + 0.07 * grain.rv), grain.rv_strands, muscle, rho - lines.rv)
    canvas = paint(canvas, edge(rho - lines.rv, pixel), pool)
    canvas = paint(canvas, here * edge(rho - lines.epi, pixel), tissue)
    pool = _trabeculate(lv_blood * (1 + 0.05 * grain.lv), grain.lv_strands, muscle, 1.6 * (rho - lines.endo))
    pool = _papillary(stack, pool, lines.endo, x, y, t, systole)
    canvas = paint(canvas, edge(rho - lines.endo, pixel), pool)
    label = np.zeros(x.shape, dtype=np.uint8)
    label[(rho < lines.rv) & (lines.rv > lines.epi + 0.5)] = _RV
    label[(rho < lines.epi) & (t < 1)] = _MYO
    label[rho < lines.endo] = _LV
    return canvas, label


def _trabeculate(pool: Field, strands: Field, muscle: float, inside_mm: Field) -> Field:
    """Lays muscle strands into the blood near a wall; readers count them as cavity."""
    near = np.exp(np.minimum(inside_mm, 0.0) / 5.0)
    return paint(pool, np.clip(strands - 1.6 + 1.5 * near, 0, 0.8), muscle)


def _papillary(stack: Stack, pool: Field, endo: Field, x: Field, y: Field, t: float, systole: float) -> Field:
    if not 0.18 < t < 0.75:
        return pool
    radius = float(np.median(endo))
    thick = stack.heart.size * (3.0 + 0.9 * systole) * (1 - abs(t - 0.45))
    for direction in (0.75, 2.35):
        turn = direction + 0.25 * np.sin(stack.heart.wobble_seed + direction)
        cx, cy = 0.68 * radius * np.cos(turn), 0.68 * radius * np.sin(turn)
        distance = np.hypot(x - cx, y - cy) - thick
        pool = paint(pool, edge(distance, 1.5 * stack.spacing_mm[1]), stack.contrast[2] * 1.1)
    return pool


def _above_base(stack: Stack, grain: Grain, canvas: Field, x: Field, y: Field) -> Field:
    """Paints the atria and the aortic root: bright as the ventricles, and not part of any label."""
    lv_blood, rv_blood, muscle = stack.contrast
    size, width = stack.heart.size, 1.5 * stack.spacing_mm[1]
    chambers = ((4.0, 6.0, 21.0, lv_blood), (-28.0, 2.0, 19.0, rv_blood), (-8.0, -17.0, 12.0, lv_blood))
    for grow in (7.0, 2.0, 0.0):
        for cx, cy, radius, blood in chambers:
            wavy = radius * (1 + 0.06 * grain.rv) + grow
            value = {7.0: stack.thorax.fat, 2.0: muscle}.get(grow, blood)
            distance = np.hypot(x - size * cx, y - size * cy) - size * wavy
            canvas = paint(canvas, edge(distance, width), value * (1 + 0.05 * grain.lv))
    return canvas
