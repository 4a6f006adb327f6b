"""nnU-Net's default 2D augmentation as its own library and MONAI offer it; imported by data.py.

Each returned function augments the batch sample by sample, as the peers' loaders do, and stacks the results.
"""

import math
import warnings
from collections.abc import Callable

import torch
from monai_set import intensity_set
from torch import Tensor


def batchgenerators_side(
    images: Tensor, labels: Tensor, size: tuple[int, int], always: bool
) -> dict[str, Callable[[], object]]:
    """Returns batchgeneratorsv2 as nnU-Net sets it up, and with masks by nearest neighbour, as ours are."""

    def side(mode_seg: str) -> Callable[[], object]:
        transforms = _nnunet_transforms(size, mode_seg, always)

        def run() -> object:
            done = [
                # A copy, as it works in place; nnU-Net's loader makes one too.
                transforms(image=image.clone(), segmentation=label[None].clone())
                for image, label in zip(images, signed, strict=True)
            ]
            return torch.stack([d["image"] for d in done]), torch.stack([d["segmentation"] for d in done])

        return run

    signed = labels.to(torch.int16)
    return {
        "batchgeneratorsv2, as in nnU-Net": side("bilinear"),
        "batchgeneratorsv2, nearest masks": side("nearest"),
    }


def _nnunet_transforms(
    size: tuple[int, int], mode_seg: str, always: bool
) -> Callable[..., dict[str, Tensor]]:
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
    from batchgeneratorsv2.transforms.utils.random import RandomTransform

    spatial = SpatialTransform(
        size,
        patch_center_dist_from_border=0,
        random_crop=False,
        p_elastic_deform=0,
        p_rotation=1 if always else 0.2,
        rotation=(-math.pi, math.pi),
        p_scaling=1 if always else 0.2,
        scaling=(0.7, 1.4),
        p_synchronize_scaling_across_axes=1,
        bg_style_seg_sampling=False,
        mode_seg=mode_seg,
    )
    noise = GaussianNoiseTransform(noise_variance=(0, 0.1), p_per_channel=1, synchronize_channels=True)
    blur = GaussianBlurTransform(
        blur_sigma=(0.5, 1.0),
        synchronize_channels=False,
        synchronize_axes=False,
        p_per_channel=1 if always else 0.5,
        benchmark=True,
    )
    quarter, each = BGContrast((0.75, 1.25)), {"synchronize_channels": False, "p_per_channel": 1}
    brightness = MultiplicativeBrightnessTransform(multiplier_range=quarter, **each)
    contrast = ContrastTransform(contrast_range=quarter, preserve_range=True, **each)
    low_resolution = SimulateLowResolutionTransform(
        scale=(0.5, 1),
        synchronize_channels=False,
        synchronize_axes=True,
        ignore_axes=None,
        allowed_channels=None,
        p_per_channel=1 if always else 0.5,
    )
    negative, gamma = (
        GammaTransform(gamma=BGContrast((0.7, 1.5)), p_invert_image=inverted, p_retain_stats=1, **each)
        for inverted in (1, 0)
    )
    chances = [(noise, 0.1), (blur, 0.2), (brightness, 0.15), (contrast, 0.15), (low_resolution, 0.25)]
    chances += [(negative, 0.1), (gamma, 0.3)]
    random = [RandomTransform(transform, apply_probability=1 if always else p) for transform, p in chances]
    return ComposeTransforms([spatial, *random, MirrorTransform(allowed_axes=(0, 1))])


def monai_side(
    images: Tensor, labels: Tensor, size: tuple[int, int], always: bool
) -> dict[str, Callable[[], object]]:
    """Returns MONAI's dictionary transforms without metadata, as its guide to fast training says.

    Rotation and scale are a transform each, or one with a cached grid that resamples only once.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import monai.transforms as mt
        from monai.data import set_track_meta
    set_track_meta(False)
    both = ["image", "label"]
    masks: dict[str, tuple[str, str]] = {"mode": ("bilinear", "nearest"), "padding_mode": ("border", "zeros")}

    def p(chance: float) -> float:
        return 1.0 if always else chance

    def side(spatial: list[object]) -> Callable[[], object]:
        transforms = mt.Compose(
            [
                *spatial,
                *intensity_set(always),
                mt.RandFlipd(both, prob=0.5, spatial_axis=0),
                mt.RandFlipd(both, prob=0.5, spatial_axis=1),
            ]
        )

        def run() -> object:
            done = [
                transforms({"image": one, "label": label[None]})
                for one, label in zip(images, labels, strict=True)
            ]
            return torch.stack([d["image"] for d in done]), torch.stack([d["label"] for d in done])

        return run

    apart = [
        mt.RandRotated(both, range_x=math.pi, prob=p(0.2), **masks),
        mt.RandZoomd(
            both,
            min_zoom=0.7,
            max_zoom=1.4,
            prob=p(0.2),
            mode=masks["mode"],
            padding_mode=("edge", "constant"),
        ),
    ]
    # 0.36 is the chance of at least one of the two at 0.2 each.
    together = mt.RandAffined(
        both,
        spatial_size=size,
        prob=p(0.36),
        rotate_range=math.pi,
        scale_range=((-0.3, 0.4), (-0.3, 0.4)),
        cache_grid=True,
        **masks,
    )
    return {"MONAI, RandRotated and RandZoomd": side(apart), "MONAI, RandAffined": side([together])}
