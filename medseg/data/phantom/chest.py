"""Generates chest X-rays in the COVID-19 Radiography Database's download layout."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseg.data.formats.covid_radiography import CLASSES
from medseg.data.phantom.lungs import Chest, draw_chest, lungs, warp
from medseg.data.phantom.texture import Field, blur, smooth_noise
from medseg.data.phantom.xray import add_devices, add_disease, paint_chest
from medseg.tasks import PhantomSpec

IMAGE_SIZE = 299
MASK_SIZE = 256
_SHARES = (0.4, 0.2, 0.25, 0.15)
_COLOUR_SHARE = 0.06
_SEVERAL = (0.72, 0.2, 0.08)


def write_chest(spec: PhantomSpec, folder: Path) -> None:
    """Writes ``COVID-19_Radiography_Dataset`` with images and masks, and ``groups.csv`` beside it.

    Some patients have two or three images, as follow-ups do: same anatomy, other day, other exposure.

    Raises:
        OSError: If the folder cannot be written.
    """
    root = folder / "COVID-19_Radiography_Dataset"
    for name in CLASSES:
        for part in ("images", "masks"):
            (root / name / part).mkdir(parents=True)
    rows: list[tuple[str, str]] = []
    counts = dict.fromkeys(CLASSES, 0)
    patient = 0
    while len(rows) < spec.patients:
        patient += 1
        rng = np.random.default_rng((spec.seed, patient))
        # Classes in turn by their share, so that few patients hold all of them.
        group = min(CLASSES, key=lambda name: (counts[name] + 0.5) / _SHARES[CLASSES.index(name)])
        several = int(rng.choice([1, 2, 3], p=_SEVERAL))
        chest = draw_chest(rng)
        for _ in range(min(several, spec.patients - len(rows))):
            counts[group] += 1
            stem = f"{group}-{counts[group]}"
            image, mask = render(rng, chest, group)
            _save(rng, image, mask, root / group, stem)
            rows.append((stem, f"P{patient:04d}"))
    with (folder / "groups.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("image", "patient"), *rows])


def render(rng: np.random.Generator, chest: Chest, group: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Renders one X-ray of a patient.

    Returns:
        Grey values (299, 299) and the lungs' mask (256, 256).
    """
    pose = replace(
        chest,
        turn=rng.normal(0, 0.07),
        zoom=chest.zoom * rng.normal(1, 0.03),
        shift=(rng.normal(0, 0.06), rng.normal(0, 0.06)),
        breath=rng.normal(0, 0.06),
        aeration=rng.uniform(0.45, 1.1),
    )
    u, v = warp(pose, *_grid(IMAGE_SIZE))
    density = paint_chest(rng, pose, u, v)
    density = add_disease(rng, pose, group, density, u, v)
    density = add_devices(rng, density, severe=group in ("COVID", "Lung_Opacity"))
    mask = lungs(pose, *warp(pose, *_grid(MASK_SIZE))) > 0
    return _expose(rng, density), mask


def _grid(size: int) -> tuple[Field, Field]:
    """Coordinates from -1 to 1, pixel centres, so that both sizes cover the same field of view."""
    line = (np.arange(size) + 0.5) / size * 2 - 1
    u, v = np.meshgrid(line, line)
    return u, v


def _expose(rng: np.random.Generator, density: Field) -> NDArray[np.uint8]:
    """Turns density into grey values: scatter, quantum noise, window, shading, collimator, sharpness."""
    scatter = blur(density, 25)
    veiled = density + rng.uniform(0.05, 0.3) * (scatter - density)
    low, high = np.quantile(veiled, (rng.uniform(0.0, 0.03), rng.uniform(0.96, 1.0)))
    grey = np.clip((veiled - low) / (high - low), 0, 1) ** np.exp(rng.normal(-0.05, 0.3))
    grey = grey * rng.uniform(0.72, 1.0) + rng.uniform(0.0, 0.16)
    grey = grey * (1 + 0.06 * smooth_noise(rng, grey.shape, 90))
    grain = smooth_noise(rng, grey.shape, rng.uniform(0.5, 0.9))
    grey = blur(grey, rng.uniform(0.4, 1.0)) + rng.uniform(0.004, 0.018) * grain
    if rng.random() < 0.3:
        border = int(rng.integers(3, 16))
        side = int(rng.integers(4))
        np.rot90(grey, side)[:border] = rng.uniform(0, 0.06)
    return np.clip(np.round(grey * 255), 0, 255).astype(np.uint8)


def _save(
    rng: np.random.Generator, image: NDArray[np.uint8], mask: NDArray[np.bool_], folder: Path, stem: str
) -> None:
    from PIL import Image

    picture = Image.fromarray(image)
    if rng.random() < _COLOUR_SHARE:
        picture = picture.convert("RGB")
    picture.save(folder / "images" / f"{stem}.png")
    channels = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)
    Image.fromarray(channels).save(folder / "masks" / f"{stem}.png")
