"""Paints the density that an X-ray of a chest adds up: tissue, bones, disease, devices."""

from collections.abc import Callable

import numpy as np

from medseg.data.phantom.lungs import Chest, diaphragm, lung, lungs
from medseg.data.phantom.texture import Field, blur, edge, smooth_noise

_SIDES = ((0, -1.0), (1, 1.0))


def paint_chest(rng: np.random.Generator, chest: Chest, u: Field, v: Field) -> Field:
    """Returns the density of a healthy chest at picture points given in the chest's coordinates."""
    floor = np.minimum(diaphragm(chest, -u, 0), diaphragm(chest, u, 1))
    density = _body(chest, u, v, floor)
    depth = lungs(chest, u, v)
    air = np.clip(depth / 0.035, 0, 1)
    deep = np.clip(depth / 0.3, 0, 1) ** 0.7
    density -= chest.aeration * (0.2 * air + 0.2 * deep * air)
    density += _mediastinum(chest, u, v, floor)
    density += _vessels(rng, chest, u, v) * air
    density += _bones(chest, u, v, floor)
    density += 0.012 * smooth_noise(rng, u.shape, 2.5) + 0.015 * smooth_noise(rng, u.shape, 12)
    return density


def _body(chest: Chest, u: Field, v: Field, floor: Field) -> Field:
    shoulder = np.clip((v + 1.0) / 0.5, 0, 1) ** 0.5
    half = (chest.half_width + 0.05 + chest.fat) * (0.94 + 0.06 * np.clip(v, 0, 1)) + 0.4 * (1 - shoulder)
    trunk = edge(np.abs(u) - half, 0.05)
    neck = edge(np.abs(u) - 0.22 - 1.3 * np.clip(v + 1.05, 0, None), 0.06) * (v < -0.6)
    # Arms and shoulders beside the trunk, with a dark gap at the armpit in some.
    arm = edge(np.hypot((np.abs(u) - half - 0.2) / 0.14, (v - 0.1) / 1.1) - 1, 0.4) * (chest.fat > 0.12)
    thickness = np.sqrt(np.clip(1 - (u / (half + 0.1)) ** 2, 0, 1))
    density = 0.05 + 0.5 * np.maximum(np.maximum(trunk * (0.55 + 0.45 * thickness), 0.8 * neck), 0.6 * arm)
    belly = edge(floor - v, 0.06) * trunk
    bubble = np.hypot((u - 0.4) / 0.16, (v - floor - 0.17) / 0.08) - 1
    return density + 0.15 * belly - 0.14 * edge(bubble, 0.3) * (chest.seed % 2)


def _mediastinum(chest: Chest, u: Field, v: Field, floor: Field) -> Field:
    centre_u, centre_v, wide, high = chest.heart
    heart = edge(np.hypot((u - centre_u) / wide, (v - centre_v) / high) - 1, 0.1)
    heart = heart * edge(v - floor - 0.04, 0.12)
    trunk = edge(np.abs(u - 0.01) - 0.12 - 0.03 * np.sin(5 * v), 0.09)
    arch = edge(np.hypot(u - 0.12, v - chest.top - 0.42) - 0.11, 0.06)
    discs = 0.5 + 0.5 * np.cos(2 * np.pi * v / 0.16)
    spine = edge(np.abs(u) - 0.085, 0.04) * (0.04 + 0.035 * discs)
    trachea = edge(np.abs(u + 0.01) - 0.035, 0.03) * edge(v - chest.top - 0.45, 0.1)
    fade = 1 - 0.5 * edge(floor - v, 0.2)
    return 0.17 * fade * np.maximum(heart, np.maximum(0.8 * trunk, 0.8 * arch)) + spine - 0.07 * trachea


def _vessels(rng: np.random.Generator, chest: Chest, u: Field, v: Field) -> Field:
    """Vessels branch from the hila outwards and grow finer; haze stands for what is too fine to see."""
    drawn = np.zeros_like(u)
    hilum_v = chest.top + 0.5 * (chest.base - chest.top)
    for side, sign in _SIDES:
        hilum_u = sign * (chest.gap[side] + 0.05)
        for angle in np.linspace(-1.25, 1.35, 13) + rng.normal(0, 0.08, 13):
            right, below = sign * (u - hilum_u), v - hilum_v
            along = right * np.cos(angle) + below * np.sin(angle)
            across = below * np.cos(angle) - right * np.sin(angle) + 0.12 * rng.normal() * along**2
            width = np.clip(0.022 * (1 - along / 0.65), 0.003, None)
            drawn = np.maximum(
                drawn, edge(np.abs(across) / width - 1, 1.0) * (along > 0) * np.exp(-along / 0.3)
            )
        hilum = np.exp(-(((u - hilum_u) / 0.09) ** 2) - ((v - hilum_v) / 0.16) ** 2)
        drawn = drawn + 0.9 * hilum
    return 0.08 * drawn + 0.018 * smooth_noise(rng, u.shape, 4)


def _bones(chest: Chest, u: Field, v: Field, floor: Field) -> Field:
    rng = np.random.default_rng(chest.seed + 1)
    bones = np.zeros_like(u)
    cage = chest.half_width + 0.06
    reach = np.clip(1 - (np.abs(u) / cage) ** 2, 0, 1)
    inside = np.abs(u) < cage
    seen = 0.085 * inside * (0.35 + 0.65 * edge(v - floor, 0.1))
    seen_back, seen_front = seen * (np.abs(u) > 0.06), 0.6 * seen * (np.abs(u) > 0.3)
    # Posterior ribs fall gently outwards from the spine; anterior ones rise, wider and fainter.
    back = v - chest.rib_slope * (1 - reach) ** 1.2 * 0.6 + 0.05 * reach
    front = v - 0.3 - chest.rib_slope * 1.1 * reach**0.8 * (np.abs(u) > 0.2)
    for number in range(11):
        height = chest.top - 0.06 + number * chest.rib_pitch
        strength = rng.uniform(0.75, 1.15)
        bones += strength * seen_back * _rib(back - height, 0.024)
        if number < 7:
            bones += strength * seen_front * _rib(front - height, 0.03)
    bones += 0.06 * edge(np.abs(np.abs(u) - cage) - 0.02, 0.03) * (v > chest.top + 0.3)
    tilt = rng.normal(0, 0.04)
    for _, sign in _SIDES:
        outward = sign * u
        line = chest.clavicle + sign * tilt - 0.16 * outward - 0.05 * np.sin(4 * outward)
        clavicle = edge(np.abs(v - line) - 0.024, 0.02) * (outward > 0.1) * (outward < 0.8)
        blade = v - chest.clavicle - 0.1 + 1.5 * (outward - 0.72)
        scapula = edge(np.abs(blade) - 0.09, 0.06) * (outward > 0.5) * (v < chest.clavicle + 0.7)
        bones += 0.11 * clavicle + 0.045 * scapula
    return bones


def _rib(distance: Field, half: float) -> Field:
    """A tube seen from the side: its rims are denser than its middle."""
    ratio = np.abs(distance) / half
    return np.clip(1.15 - ratio, 0, 0.3) / 0.3 * (0.65 + 0.35 * np.clip(ratio, 0, 1))


def add_disease(
    rng: np.random.Generator, chest: Chest, group: str, density: Field, u: Field, v: Field
) -> Field:
    """Adds what hides the lungs' borders: opacities by disease, effusions. The mask stays as it was."""
    return _DISEASES[group](rng, chest, density, u, v)


def _opacities(
    rng: np.random.Generator, chest: Chest, u: Field, v: Field, count: int, peripheral: float, size: float
) -> Field:
    haze = np.zeros_like(u)
    for _ in range(count):
        side, sign = _SIDES[int(rng.integers(2))]
        share = rng.uniform(0.55, 1.0) if rng.random() < peripheral else rng.uniform(0.1, 0.6)
        centre_u = sign * (chest.gap[side] + share * (chest.half_width - chest.gap[side]) * 0.95)
        centre_v = rng.uniform(chest.top + 0.35, chest.base - 0.05)
        radius_u, radius_v = size * rng.uniform(0.5, 1.3, 2)
        blob = np.exp(-(((u - centre_u) / radius_u) ** 2) - ((v - centre_v) / radius_v) ** 2)
        haze = np.maximum(haze, rng.uniform(0.4, 1.0) * blob)
    patchy = np.clip(1 + 0.35 * smooth_noise(rng, u.shape, 7) + 0.2 * smooth_noise(rng, u.shape, 2.5), 0.2, 2)
    return haze * patchy * np.clip(lungs(chest, u, v) / 0.04 + 0.6, 0, 1)


def _effusion(rng: np.random.Generator, chest: Chest, u: Field, v: Field) -> Field:
    side, sign = _SIDES[int(rng.integers(2))]
    depth = lung(chest, sign * u, v, side)
    # Fluid climbs the outer wall and takes the corner and the dome out of sight.
    level = chest.base - rng.uniform(0.25, 0.75) - 0.25 * np.clip(sign * u - 0.4, 0, 1)
    return edge(level - v, 0.16) * np.clip(depth / 0.04 + 0.7, 0, 1)


def _covid(rng: np.random.Generator, chest: Chest, density: Field, u: Field, v: Field) -> Field:
    haze = _opacities(rng, chest, u, v, int(rng.integers(4, 10)), peripheral=0.8, size=0.27)
    return density + rng.uniform(0.16, 0.4) * haze


def _lung_opacity(rng: np.random.Generator, chest: Chest, density: Field, u: Field, v: Field) -> Field:
    haze = _opacities(rng, chest, u, v, int(rng.integers(1, 5)), peripheral=0.6, size=0.36)
    fluid = _effusion(rng, chest, u, v) if rng.random() < 0.6 else np.zeros_like(u)
    return density + rng.uniform(0.2, 0.36) * haze + rng.uniform(0.24, 0.36) * fluid


def _normal(rng: np.random.Generator, chest: Chest, density: Field, u: Field, v: Field) -> Field:
    return density


def _viral(rng: np.random.Generator, chest: Chest, density: Field, u: Field, v: Field) -> Field:
    haze = _opacities(rng, chest, u, v, int(rng.integers(4, 8)), peripheral=0.1, size=0.17)
    return density + rng.uniform(0.1, 0.24) * haze


_DISEASES: dict[str, Callable[[np.random.Generator, Chest, Field, Field, Field], Field]] = {
    "COVID": _covid,
    "Lung_Opacity": _lung_opacity,
    "Normal": _normal,
    "Viral Pneumonia": _viral,
}


def add_devices(rng: np.random.Generator, density: Field, severe: bool) -> Field:
    """Adds leads, electrodes, tubes and a side marker; the sicker wear more of them."""
    wires = int(rng.integers(1, 5)) if rng.random() < (0.6 if severe else 0.15) else 0
    drawn = _strokes(rng, density.shape, wires)
    softened = np.maximum(blur(drawn, 0.6), 0.0)
    return density + 0.22 * softened + _marker(rng, density.shape) * 0.5


def _strokes(rng: np.random.Generator, shape: tuple[int, ...], wires: int) -> Field:
    from PIL import Image, ImageDraw

    picture = Image.new("L", (shape[1], shape[0]))
    pen = ImageDraw.Draw(picture)
    for _ in range(wires):
        points = np.cumsum(np.vstack([rng.uniform(0.1, 0.9, 2), rng.normal(0, 0.22, (3, 2))]), axis=0)
        share = np.linspace(0, 1, 40)[:, None]
        weights = (1 - share) ** 3, 3 * share * (1 - share) ** 2, 3 * share**2 * (1 - share), share**3
        curve = sum(weight * point for weight, point in zip(weights, points, strict=True)) * shape[0]
        pen.line(
            [tuple(point) for point in np.asarray(curve).tolist()], fill=200, width=int(rng.integers(1, 3))
        )
        x, y = points[0] * shape[0]
        pen.ellipse((x - 6, y - 5, x + 6, y + 5), outline=255, width=2)
        pen.rectangle((x - 2, y - 2, x + 2, y + 2), fill=255)
    return np.asarray(picture, dtype=np.float64) / 255


def _marker(rng: np.random.Generator, shape: tuple[int, ...]) -> Field:
    """An L in the patient's upper left corner, or nothing."""
    marker = np.zeros(shape)
    if rng.random() < 0.5:
        top, left = rng.integers(14, 60), shape[1] - rng.integers(24, 44)
        marker[top : top + 14, left : left + 3] = 1
        marker[top + 11 : top + 14, left : left + 9] = 1
    return marker
