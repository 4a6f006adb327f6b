"""Batch augmentation on the device: image and mask move by one and the same sampling grid."""

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Strengths(Protocol):
    """What `augment` reads; `medseg.training.config.AugmentConfig` has it."""

    @property
    def rotation_deg(self) -> float: ...
    @property
    def scale(self) -> float: ...
    @property
    def flip(self) -> bool: ...
    @property
    def brightness(self) -> float: ...
    @property
    def contrast(self) -> float: ...
    @property
    def gamma(self) -> float: ...
    @property
    def noise(self) -> float: ...


def augment(
    images: Tensor, labels: Tensor, strengths: Strengths, flips: tuple[str, ...], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Augments one batch.

    Args:
        images: Float, shape (B, C, H, W), normalised to about zero mean and unit SD.
        labels: Integer class indices, shape (B, H, W).
        strengths: How much of each kind.
        flips: Axes along which the task may be mirrored: "horizontal" and/or "vertical".
        generator: The only source of randomness, on the CPU; the same state gives the same batch on any device.

    Returns:
        Images and labels of the same shapes and dtypes. Labels hold no class that was not there.
    """
    grid = sampling_grid(images.shape, strengths, flips, generator).to(images.device)
    if grid.numel():
        images = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
        moved = F.grid_sample(
            labels[:, None].to(images.dtype), grid, mode="nearest", padding_mode="zeros", align_corners=False
        )
        labels = moved[:, 0].to(labels.dtype)
    return intensity(images, strengths, generator), labels


def sampling_grid(
    shape: torch.Size, strengths: Strengths, flips: tuple[str, ...], generator: torch.Generator
) -> Tensor:
    """Draws one affine map per image.

    Returns:
        Grid of shape (B, H, W, 2) in normalised coordinates, or an empty tensor where nothing would move.
    """
    batch, _, height, width = shape
    mirrored = strengths.flip and bool(flips)
    if not (strengths.rotation_deg or strengths.scale or mirrored):
        return torch.empty(0)
    angle = math.radians(strengths.rotation_deg) * _symmetric(batch, generator)
    zoom = 1 + strengths.scale * _symmetric(batch, generator)
    flip_x = _signs(batch, generator, mirrored and "horizontal" in flips)
    flip_y = _signs(batch, generator, mirrored and "vertical" in flips)
    # Normalised coordinates span -1..1 on both axes: without the aspect ratio a rotation would shear.
    aspect = height / width
    cos, sin, zero = torch.cos(angle) * zoom, torch.sin(angle) * zoom, torch.zeros(batch)
    theta = torch.stack(
        [
            torch.stack([cos * flip_x, -sin * aspect * flip_y, zero], dim=1),
            torch.stack([sin / aspect * flip_x, cos * flip_y, zero], dim=1),
        ],
        dim=1,
    )
    return F.affine_grid(theta, [batch, 1, height, width], align_corners=False)


def intensity(images: Tensor, strengths: Strengths, generator: torch.Generator) -> Tensor:
    """Changes gamma, contrast, brightness and noise, each drawn per image; shape stays (B, C, H, W)."""
    batch, device = len(images), images.device

    def column(values: Tensor) -> Tensor:
        return values.to(device)[:, None, None, None]

    if strengths.gamma:
        exponent = column(1 + strengths.gamma * _symmetric(batch, generator))
        low = images.amin(dim=(1, 2, 3), keepdim=True)
        span = (images.amax(dim=(1, 2, 3), keepdim=True) - low).clamp_min(1e-6)
        images = ((images - low) / span).clamp(0, 1) ** exponent * span + low
    if strengths.contrast:
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = (images - mean) * column(1 + strengths.contrast * _symmetric(batch, generator)) + mean
    if strengths.brightness:
        images = images + column(strengths.brightness * torch.randn(batch, generator=generator))
    if strengths.noise:
        sd = column(strengths.noise * torch.rand(batch, generator=generator))
        images = images + sd * torch.randn(images.shape, generator=generator).to(device)
    return images


def _symmetric(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) * 2 - 1


def _signs(count: int, generator: torch.Generator, active: bool) -> Tensor:
    draw = torch.rand(count, generator=generator)
    return torch.where(draw < 0.5, -1.0, 1.0) if active else torch.ones(count)
