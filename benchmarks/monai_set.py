"""nnU-Net's 2D augmentation in MONAI's dictionary transforms; imported by the benchmarks."""

import math
from typing import Any

import torch


def fast_monai_set(size: tuple[int, int], device: torch.device) -> Any:
    """Returns the set with nnU-Net's probabilities, without metadata as MONAI's guide to fast training says.

    Rotation and scale are one transform with a cached grid, which is MONAI's fastest way; 0.36 is the chance of at
    least one of the two at 0.2 each.

    Args:
        size: Rows and columns.
        device: Where the samples are cached and augmented.

    Returns:
        A transform of ``{"image": (1, H, W), "label": (1, H, W)}``.
    """
    import monai.transforms as mt
    from monai.data import set_track_meta

    set_track_meta(False)
    both = ["image", "label"]
    affine = mt.RandAffined(
        both,
        spatial_size=size,
        prob=0.36,
        rotate_range=math.pi,
        scale_range=((-0.3, 0.4), (-0.3, 0.4)),
        mode=("bilinear", "nearest"),
        padding_mode=("border", "zeros"),
        cache_grid=True,
        device=device,
    )
    flips = [mt.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in (0, 1)]
    return mt.Compose([mt.EnsureTyped(both, device=device), affine, *intensity_set(), *flips])


def intensity_set(always: bool = False) -> list[Any]:
    """Returns the transforms of the image alone.

    Args:
        always: Each of them on every sample.
    """
    import monai.transforms as mt

    def p(chance: float) -> float:
        return 1.0 if always else chance

    image = ["image"]
    return [
        mt.RandGaussianNoised(image, prob=p(0.1), std=0.1),
        mt.RandGaussianSmoothd(image, prob=p(0.1), sigma_x=(0.5, 1.0), sigma_y=(0.5, 1.0)),
        mt.RandScaleIntensityd(image, factors=0.25, prob=p(0.15)),
        mt.RandScaleIntensityFixedMeand(image, factors=0.25, preserve_range=True, prob=p(0.15)),
        mt.RandSimulateLowResolutiond(
            image,
            prob=p(0.125),
            downsample_mode="nearest-exact",
            upsample_mode="bilinear",
            zoom_range=(0.5, 1.0),
        ),
        mt.RandAdjustContrastd(image, prob=p(0.1), gamma=(0.7, 1.5), invert_image=True, retain_stats=True),
        mt.RandAdjustContrastd(image, prob=p(0.3), gamma=(0.7, 1.5), retain_stats=True),
    ]
