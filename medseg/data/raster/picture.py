"""Reads pictures: PNG, JPEG, BMP, and TIFF, whose pages are the slices of a volume."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseg.data.raster.header import Header, Values
from medseg.errors import DataError

_PAGED = (".tif", ".tiff")
_EXIF_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
# Of a PNG Pillow finds its EXIF data only after decoding all of it; nobody writes them there.
_TURNABLE = ("JPEG", "MPO")


def read_picture_header(path: Path) -> Header:
    """Reads the grid; the spacing is ones, since dots per inch say nothing of the anatomy.

    Raises:
        DataError: If the content is no known picture.
        Exception: Whatever Pillow raises for broken bytes.
    """
    with _open(path) as picture:
        width, height = picture.size
        if picture.format in _TURNABLE and picture.getexif().get(_EXIF_ORIENTATION) in _TURNED:
            width, height = height, width
        pages = getattr(picture, "n_frames", 1) if _paged(path) else 1
        channels = 3 if len(picture.getbands()) >= 3 or picture.mode in ("P", "PA") else 1
    shape = (height, width) if pages == 1 else (pages, height, width)
    return Header(shape, (1.0,) * len(shape), channels)


def read_picture(path: Path, indices: bool) -> Values:
    """Reads the values as float32 (C, H, W), or (C, Z, H, W) for a TIFF of several pages."""
    return _stored(path, indices).astype(np.float32)


def read_picture_stored(path: Path, indices: bool) -> tuple[Header, NDArray[Any]]:
    """Reads grid and values, in the picture's own type.

    Args:
        path: The file.
        indices: A palette gives its indices, as masks are stored, instead of its colours.

    Raises:
        DataError: If the content is no known picture, or its pages differ in size or colours.
        Exception: Whatever Pillow raises for broken bytes.
    """
    values = _stored(path, indices)
    return Header(values.shape[1:], (1.0,) * (values.ndim - 1), len(values)), values


def _stored(path: Path, indices: bool) -> NDArray[Any]:
    from PIL import ImageOps, ImageSequence

    with _open(path) as picture:
        if not _paged(path):
            # As every viewer shows it, and thus as it was labelled.
            turned = ImageOps.exif_transpose(picture) if picture.format in _TURNABLE else picture
            return _plane(turned, indices)
        pages = [_plane(page, indices) for page in ImageSequence.Iterator(picture)]
    if any(page.shape != pages[0].shape for page in pages):
        shapes = sorted({page.shape for page in pages})
        raise DataError(f"must have pages of one size and one number of colours, has {shapes}")
    return pages[0] if len(pages) == 1 else np.stack(pages, axis=1)


def _paged(path: Path) -> bool:
    # A phone's JPEG may hold previews as further frames, a PNG an animation; those are no slices.
    return path.suffix.lower() in _PAGED


def _open(path: Path) -> Any:
    from PIL import Image, UnidentifiedImageError

    # By content: published data sets hold JPEGs called .png, and those are pictures, too.
    try:
        return Image.open(path)
    except UnidentifiedImageError as error:
        raise DataError("is not a readable picture (unknown or unsupported content)") from error


def _plane(picture: Any, indices: bool) -> NDArray[Any]:
    """One page (C, H, W); transparency is dropped."""
    mode = picture.mode
    if mode in ("P", "PA") and indices:
        values = np.asarray(picture.convert("P") if mode == "PA" else picture)
    elif mode in ("P", "PA"):
        # By way of RGBA: Pillow warns of transparent palettes otherwise.
        values = np.asarray(picture.convert("RGBA"))[..., :3]
    elif mode in ("1", "LA", "La"):
        values = np.asarray(picture.convert("L"))
    elif mode in ("L", "F") or mode.startswith("I"):
        values = np.asarray(picture)
    else:
        values = np.asarray(picture.convert("RGB"))
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
