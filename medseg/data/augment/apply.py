"""Batch augmentation on the device. Draw on the host for the effective batch, take your rows, apply.

draws = draw(strengths, task.flips, batch_size, channels, rng)
images, labels = augment(images, labels, draws.take(my_rows))
"""

import torch
from torch import Tensor

from medseg.data.augment.draw import Draws
from medseg.data.augment.geometry import motions, move
from medseg.data.augment.intensity import change


def augment(images: Tensor, labels: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Augments samples on the device on which they lie, without making the host wait for it.

    What happens to a sample depends on its own draws alone, not on the samples that it comes with. On a CPU the
    same draws give the same bits.

    Args:
        images: Floating point of any precision, (B, C, H, W), normalised to about zero mean and unit SD.
        labels: Class indices of any integer type, (B, H, W).
        draws: Of these B samples.

    Returns:
        Images as float32 and labels of the same dtype, of the same shapes; what was passed in stays as it was.
        Labels hold no class that was not there, except 0 where the image was left.

    Raises:
        ValueError: If the shapes do not fit together.
    """
    wanted = (len(draws), draws.channels)
    if images.ndim != 4 or images.shape[:2] != wanted or labels.shape != (len(draws), *images.shape[2:]):
        raise ValueError(
            f"for draws of {wanted[0]} samples with {wanted[1]} channels images must be "
            f"({wanted[0]}, {wanted[1]}, H, W) and labels ({wanted[0]}, H, W), "
            f"got {tuple(images.shape)} and {tuple(labels.shape)}"
        )
    moved = torch.empty(images.shape, dtype=torch.float32, device=images.device)
    masks = torch.empty(labels.shape, dtype=labels.dtype, device=labels.device)
    # On a CPU a sample that is resampled stays in the cache; a GPU takes all that move alike at once.
    height, width = images.shape[-2:]
    for motion in motions(draws, height, width, one_by_one=images.device.type == "cpu"):
        move(images, labels, motion, moved, masks)
    change(moved, draws)
    return moved, masks
