"""Finds images that are the same or nearly so: perceptual hashes, and all pairs of them within a distance.

An image is shrunk to 32 x 32, its cosine transform taken, and the signs of the 255 lowest frequencies (without the
mean) against their median kept. Rescaling, recompression, exposure and slight blur change few of these bits; another
person's image changes about half of them.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

LOOK_BYTES = 32
_SIDE, _LOW = 32, 16
_BLOCK = 2048
# Flat images have no features to compare.
_LEAST_SPREAD = 1e-3


def look(image: NDArray[np.float32]) -> bytes:
    """Returns the perceptual hash of an image.

    Args:
        image: (C, Z, H, W) or (C, H, W), of any intensity range. A volume is seen by its middle slice.

    Returns:
        256 bits, or nothing for an image without features, such as a blank one.
    """
    from PIL import Image
    from scipy.fft import dctn

    plane = image[0, image.shape[1] // 2] if image.ndim == 4 else image[0]
    plane = np.nan_to_num(plane, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = (float(bound) for bound in np.percentile(plane, (1, 99)))
    if high - low <= _LEAST_SPREAD * max(abs(low), abs(high)):
        return b""
    grey = np.clip((plane - low) / (high - low), 0, 1).astype(np.float32)
    small = Image.fromarray(grey).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    waves = dctn(np.asarray(small, dtype=np.float64), norm="ortho")[:_LOW, :_LOW].ravel()[1:]
    bits = np.concatenate([[False], waves > np.median(waves)])
    return np.packbits(bits).tobytes()


def alike_pairs(looks: Sequence[bytes], distance: int) -> Iterator[tuple[int, int]]:
    """Yields pairs of images whose hashes, or that of one's negative, differ in at most `distance` bits.

    Of images with the same hash only the first is compared further; each other one is paired with it, which is
    enough to tell who belongs together. Compares everyone with everyone as products of sign matrices, a block at a
    time: 21,165 images take seconds.

    Args:
        looks: What `look` returned; empty ones are like no other.
        distance: Largest number of differing bits.

    Yields:
        Indices, the smaller one first; each pair once.
    """
    first_of: dict[bytes, int] = {}
    for index, item in enumerate(looks):
        if item and first_of.setdefault(item, index) != index:
            yield first_of[item], index
    known = np.array(list(first_of.values()), dtype=np.intp)
    if len(known) < 2:
        return
    packed = np.frombuffer(b"".join(looks[index] for index in known), np.uint8).reshape(
        len(known), LOOK_BYTES
    )
    signs = np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1
    bits = signs.shape[1]
    for start in range(0, len(signs), _BLOCK):
        rows = signs[start : start + _BLOCK]
        for other in range(start, len(signs), _BLOCK):
            products = rows @ signs[other : other + _BLOCK].T
            first, second = np.nonzero(np.abs(products) >= bits - 2 * distance - 0.5)
            first, second = first + start, second + other
            for i, j in zip(known[first[first < second]], known[second[first < second]], strict=True):
                yield int(i), int(j)
