"""Batch augmentation on the device. Draw on the host for the effective batch, take your rows, apply.

draws = draw(strengths, task.flips, batch_size, channels, rng)
images, labels = augment(images, labels, draws.take(my_rows))
"""

from torch import Tensor

from medseg.data.augment_config import AugmentConfig
from medseg.data.augment_draw import Draws, draw
from medseg.data.augment_geometry import move
from medseg.data.augment_intensity import change

__all__ = ["AugmentConfig", "Draws", "augment", "draw"]


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
    images, labels = move(images, labels, draws)
    change(images, draws)
    return images, labels
