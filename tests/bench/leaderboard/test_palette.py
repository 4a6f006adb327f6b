"""Colours that can be read, in both themes, on paper and by the colour-blind."""

from dataclasses import asdict
from itertools import combinations

import numpy as np
import pytest

from bench.leaderboard.palette import DARK, LIGHT, PALETTES, Palette, as_variables

# Machado, Oliveira, Fernandes (2009), severity 1: protanopia, deuteranopia, tritanopia; on linear RGB.
BLINDNESS = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour: str) -> np.ndarray:
    """Returns linear RGB, 0..1."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    """Returns the ratio of WCAG 2, from 1 to 21."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(matrix) @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES.keys())
class TestPalette:
    def test_text_and_marks_stand_out(self, palette: Palette) -> None:
        for role, least in {"ink": 7, "soft": 4.5, "accent": 4.5, "second": 4.5, "muted": 3}.items():
            assert contrast(getattr(palette, role), palette.paper) >= least, role

    def test_text_on_a_filled_square_is_legible(self, palette: Palette) -> None:
        assert contrast(palette.paper, palette.accent) >= 4.5

    def test_the_grid_stays_in_the_background(self, palette: Palette) -> None:
        assert 1.2 < contrast(palette.faint, palette.paper) < 2

    @pytest.mark.parametrize("kind", BLINDNESS)
    def test_accent_second_and_grey_differ_for_the_colour_blind(self, palette: Palette, kind: str) -> None:
        seen = [
            lab(np.array(BLINDNESS[kind]) @ linear(c))
            for c in (palette.accent, palette.second, palette.muted)
        ]
        for first, second in combinations(seen, 2):
            # 2.3 is a just noticeable difference.
            assert np.linalg.norm(first - second) > 20

    def test_no_colour_comes_twice(self, palette: Palette) -> None:
        assert len(set(asdict(palette).values())) == len(asdict(palette))


def test_drawings_in_light_colours_become_variables() -> None:
    assert (
        as_variables(f"fill: {LIGHT.ink}; stroke: {LIGHT.accent}")
        == "fill: var(--ink); stroke: var(--accent)"
    )
    assert f"--paper: {DARK.paper};" in DARK.css()
