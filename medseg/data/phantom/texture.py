"""Brushes that the phantoms are painted with: soft edges, smooth noise, scanner noise."""

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]


def edge(distance: Field, width: float) -> Field:
    """Returns 1 where a signed distance is well inside (negative), 0 outside, smooth over `width`."""
    return np.clip(0.5 - distance / width, 0.0, 1.0)


def bump(angle: Field, centre: float, width: float) -> Field:
    """Returns a bell of height 1 over angles in radians, periodic."""
    apart = np.angle(np.exp(1j * (angle - centre)))
    bell: Field = np.exp(-((apart / width) ** 2))
    return bell


def paint(canvas: Field, mask: Field, value: Field | float) -> Field:
    """Returns the canvas with `value` laid over it where the mask is 1."""
    return canvas + mask * (value - canvas)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> Field:
    """Returns Gaussian noise smoothed over `scale` pixels, periodic, with mean 0 and standard deviation 1."""
    from scipy.fft import irfftn, rfftn
    from scipy.ndimage import fourier_gaussian

    spectrum = fourier_gaussian(rfftn(rng.standard_normal(shape)), scale, n=shape[-1])
    noise: Field = irfftn(spectrum, s=shape)
    noise -= noise.mean()
    noise /= noise.std()
    return noise


def blur(image: Field, scale: float) -> Field:
    """Returns the image smoothed by a Gaussian of `scale` pixels."""
    from scipy.ndimage import gaussian_filter

    smoothed: Field = gaussian_filter(image, scale, mode="nearest")
    return smoothed


def rician(rng: np.random.Generator, image: Field, sigma: float) -> Field:
    """Returns the magnitude of the image with complex Gaussian noise (Gudbjartsson & Patz, MRM 1995)."""
    real = image + sigma * rng.standard_normal(image.shape)
    imaginary = sigma * rng.standard_normal(image.shape)
    return np.hypot(real, imaginary)


def harmonics(rng: np.random.Generator, angle: Field, strength: float) -> Field:
    """Returns a closed, wobbly outline as a factor around 1 over angles, of the orders 2 to 5."""
    factor = np.ones_like(angle)
    for order in range(2, 6):
        phase = rng.uniform(0, 2 * np.pi)
        factor += strength / order * rng.standard_normal() * np.cos(order * angle + phase)
    return factor
