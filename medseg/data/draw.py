"""Draws slices with the outlines of their labels."""

import io

import numpy as np
from numpy.typing import NDArray

TILE = 192
STRIP = 3
_GREY_STEP = 4
# Bright and far apart on grey; further labels start over.
_COLOURS = (
    (60, 160, 255),
    (80, 230, 90),
    (255, 80, 60),
    (255, 200, 40),
    (220, 80, 255),
    (0, 230, 230),
    (255, 130, 190),
    (170, 220, 0),
    (255, 150, 60),
    (150, 140, 255),
)

Picture = NDArray[np.uint8]


def strip(image: NDArray[np.float32], label: NDArray[np.uint8]) -> bytes:
    """Draws one case: a picture, or some slices of a volume side by side.

    Args:
        image: (C, Z, H, W) or (C, H, W); the first channel is shown.
        label: Class indices, (Z, h, w) or (h, w). The slices are from all over where there are labels.

    Returns:
        The content of a PNG file.
    """
    from PIL import Image

    image, label = planes(image, label)
    grey = scaled(image)
    there = np.flatnonzero(label.any(axis=(1, 2)))
    first, last = (there[0], there[-1]) if len(there) else (0, len(label) - 1)
    chosen = [round(first + (last - first) * (k + 1) / (STRIP + 1)) for k in range(STRIP)]
    drawn = np.hstack([tile(grey[index], label[index]) for index in dict.fromkeys(chosen)])
    # A palette of few greys and all colours: a third of the size, and outlines keep their colour.
    indices = drawn[..., 0] // _GREY_STEP
    for index, rgb in enumerate(_COLOURS):
        indices[(drawn == rgb).all(axis=-1)] = 256 // _GREY_STEP + index
    picture = Image.fromarray(indices)
    greys = [grey for grey in range(_GREY_STEP // 2, 256, _GREY_STEP) for _ in range(3)]
    picture.putpalette([*greys, *(part for rgb in _COLOURS for part in rgb)])
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return file.getvalue()


def colour(index: int) -> tuple[int, int, int]:
    """Returns red, green and blue of a class's outline; 1 is the first foreground label."""
    return _COLOURS[(index - 1) % len(_COLOURS)]


def tile(grey: NDArray[np.floating], label: NDArray[np.uint8]) -> Picture:
    """Draws one slice with the outlines of its labels.

    Args:
        grey: (H, W), from 0 to 1; may be on a finer or coarser grid than the label.
        label: (h, w), class indices.

    Returns:
        RGB picture of `TILE` x `TILE`, the slice centred with its proportions kept.
    """
    from PIL import Image

    scale = TILE / max(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    picture = Image.fromarray(np.round(grey * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    classes = np.asarray(Image.fromarray(label).resize(size, Image.Resampling.NEAREST))
    rgb = np.repeat(np.asarray(picture)[..., None], 3, axis=2)
    for index in range(1, int(label.max()) + 1):
        rgb[outline(classes == index)] = colour(index)
    framed = np.zeros((TILE, TILE, 3), dtype=np.uint8)
    top, left = (TILE - size[1]) // 2, (TILE - size[0]) // 2
    framed[top : top + size[1], left : left + size[0]] = rgb
    return framed


def outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns the pixels of a mask (H, W) that touch its outside."""
    padded = np.pad(mask, 1)
    inner = padded[2:, 1:-1] & padded[:-2, 1:-1] & padded[1:-1, 2:] & padded[1:-1, :-2]
    return mask & ~inner


def planes(
    image: NDArray[np.float32], label: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """First channel and class indices of a case, both (S, H, W)."""
    return (image[0], label) if label.ndim == 3 else (image[0][None], label[None])


def scaled(image: NDArray[np.floating]) -> NDArray[np.floating]:
    """Intensities from 0 to 1, without the half percent at either end."""
    values = np.asarray(image, dtype=np.float32)
    low, high = np.quantile(values, (0.005, 0.995))
    grey: NDArray[np.floating] = np.clip((values - low) / max(high - low, 1e-8), 0, 1)
    return grey
