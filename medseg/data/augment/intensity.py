"""Changes what the images look like: noise, blur, brightness, contrast, low resolution and gamma.

Every kind changes planes in place, float32 (N, H, W): one channel of one sample each, with the draws of each.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from medseg.data.augment.device import get_rows, one_run, put_rows, send
from medseg.data.augment.draw import Draws, Floats

# 2^20 values, 4 MiB: small enough to stay in a CPU's cache. A 256x224 image starts at one of 991,233 places, with
# either sign: two images share noise only where their windows overlap, shifted against each other.
BANK_SIZE = 2**20
_BANK_SEED = 20170510
_LEAST = 1e-6

Kind = Callable[[Tensor, Floats], None]


def change(images: Tensor, draws: Draws) -> None:
    """Changes images in place, in nnU-Net's order; a channel is touched by the kinds that its draws switch on.

    Args:
        images: Float32, contiguous, (B, C, H, W).
        draws: Of these B samples.
    """
    planes = images.view(-1, *images.shape[-2:])
    noise = np.stack([draws.noise, draws.noise_start], axis=-1)
    kinds: tuple[tuple[Kind, Floats, Any], ...] = (
        (add_noise, noise, draws.noise != 0),
        (blur, draws.blur_px, draws.blur_px.any(-1)),
        (brighten, draws.brightness, draws.brightness != 1),
        (stretch, draws.contrast, draws.contrast != 1),
        (lower_resolution, draws.low_resolution, draws.low_resolution != 1),
        (bend_negative, draws.gamma_inverted, draws.gamma_inverted != 1),
        (bend_gamma, draws.gamma, draws.gamma != 1),
    )
    for kind, values, active in kinds:
        if active.any():
            rows = one_run(np.flatnonzero(active))
            part = get_rows(planes, rows)
            kind(part, values[active])
            put_rows(planes, rows, part)


def add_noise(planes: Tensor, values: Floats) -> None:
    """Adds Gaussian noise: a window of a fixed bank, times the SD and its sign.

    Args:
        planes: (N, H, W).
        values: Signed SD, and start of the window as a share of what is possible, (N, 2).
    """
    pixels = planes.shape[-2] * planes.shape[-1]
    bank = noise_bank(max(BANK_SIZE, 4 * pixels), planes.device)
    for plane, (sd, start) in zip(planes, values.tolist(), strict=True):
        begin = int(start * (len(bank) - pixels))
        plane.add_(bank[begin : begin + pixels].view(plane.shape), alpha=sd)


@lru_cache(maxsize=4)
def noise_bank(size: int, device: torch.device) -> Tensor:
    """Returns standard normal values, the same in every process; using them is 20 times as fast as randn."""
    return torch.randn(size, generator=torch.Generator().manual_seed(_BANK_SEED)).to(device)


def blur(planes: Tensor, sd_px: Floats) -> None:
    """Blurs with Gaussians of SD (N, 2) along x and y, cut off at 3 SD; the border is continued."""
    for axis, dim in enumerate((-1, -2)):
        taps = _taps(sd_px[:, axis])
        _convolve(planes, send(taps, planes.device)[..., None, None], dim, taps.shape[1] - 1)


def _taps(sd_px: Floats) -> Floats:
    """Returns one half of each kernel with its centre, (N, reach + 1)."""
    # Float64, and 0 beyond a row's own reach: a row's weights are the same whichever rows it comes with.
    sd = sd_px[:, None].astype(np.float64)
    distance = np.arange(np.ceil(3 * sd.max()) + 1)
    taps = np.exp(-0.5 * (distance / sd) ** 2) * (distance <= np.ceil(3 * sd))
    taps /= 2 * taps.sum(1, keepdims=True) - taps[:, :1]
    return np.asarray(taps, dtype=np.float32)


def _convolve(planes: Tensor, taps: Tensor, dim: int, reach: int) -> None:
    size = planes.shape[dim]
    padded = F.pad(planes, (reach, reach, 0, 0) if dim == -1 else (0, 0, reach, reach), mode="replicate")
    planes *= taps[:, 0]
    pair = torch.empty_like(planes)
    for d in range(1, reach + 1):
        torch.add(padded.narrow(dim, reach - d, size), padded.narrow(dim, reach + d, size), out=pair)
        planes.addcmul_(pair, taps[:, d])


def brighten(planes: Tensor, factor: Floats) -> None:
    """Multiplies by factors (N,)."""
    planes *= _column(factor, planes)


def stretch(planes: Tensor, factor: Floats) -> None:
    """Scales about the mean by factors (N,), clipped to the old range."""
    mean, low, high = _mean(planes), _low(planes), _high(planes)
    planes.sub_(mean).mul_(_column(factor, planes)).add_(mean)
    torch.maximum(planes, low, out=planes)
    torch.minimum(planes, high, out=planes)


def lower_resolution(planes: Tensor, share: Floats) -> None:
    """Keeps a share (N,) of rows and columns, by nearest neighbour, and interpolates back linearly."""
    height, width = planes.shape[-2:]
    for plane, kept in zip(planes, share.tolist(), strict=True):
        size = [max(1, round(pixels * kept)) for pixels in (height, width)]
        coarse = F.interpolate(plane[None, None], size, mode="nearest-exact")
        plane.copy_(F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)[0, 0])


def bend_gamma(planes: Tensor, exponent: Floats) -> None:
    """Raises planes, scaled to 0..1, to exponents (N,), and restores each plane's mean and SD."""
    low = _low(planes)
    span = (_high(planes) - low).clamp_min(_LEAST)
    planes.sub_(low).mul_(1 / span)
    mean, sd = _mean_and_sd(planes)
    _power(planes, exponent)
    bent_mean, bent_sd = _mean_and_sd(planes)
    factor = span * sd / bent_sd.clamp_min(_LEAST)
    planes.mul_(factor).add_(low + span * mean - factor * bent_mean)


def _power(planes: Tensor, exponent: Floats) -> None:
    if planes.device.type != "cpu":
        planes.pow_(_column(exponent, planes))
        return
    # NumPy's logarithms are four times as fast as torch's, and pow is slower still.
    values = planes.numpy()
    with np.errstate(divide="ignore"):
        np.log2(values, out=values)
    values *= exponent[:, None, None]
    np.exp2(values, out=values)


def bend_negative(planes: Tensor, exponent: Floats) -> None:
    """Does the same to the negative, which is then turned back."""
    planes.neg_()
    bend_gamma(planes, exponent)
    planes.neg_()


def _column(values: Floats, planes: Tensor) -> Tensor:
    return send(values, planes.device)[:, None, None]


# Along rows, then over the rows: so the order of the sums depends on neither the number of planes nor of threads.
def _mean(planes: Tensor) -> Tensor:
    return planes.mean(-1, keepdim=True).mean(-2, keepdim=True)


def _mean_and_sd(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Returns both of values in 0..1, where the difference of the squares is safe to within 0.3% of the SD."""
    mean = _mean(planes)
    squares = torch.linalg.vector_norm(planes, dim=-1, keepdim=True).square_().mean(-2, keepdim=True)
    return mean, (squares / planes.shape[-1] - mean.square()).clamp_min(0).sqrt()


def _low(planes: Tensor) -> Tensor:
    return planes.amin((-2, -1), keepdim=True)


def _high(planes: Tensor) -> Tensor:
    return planes.amax((-2, -1), keepdim=True)
