"""Reads image files by their extension: NIfTI, NRRD, and pictures (PNG, TIFF, JPEG, BMP). Knows no task."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseg.data.raster.header import Header, Values
from medseg.data.raster.nifti import read_nifti, read_nifti_header, read_nifti_stored
from medseg.data.raster.nrrd_file import detached, read_nrrd, read_nrrd_header, read_nrrd_stored
from medseg.data.raster.picture import read_picture, read_picture_header, read_picture_stored
from medseg.errors import DataError

__all__ = [
    "EXTENSIONS",
    "NIFTI",
    "NRRD",
    "PICTURES",
    "Header",
    "Values",
    "detached",
    "extension",
    "read_header",
    "read_pixels",
    "read_stored",
    "stem",
]

NIFTI = (".nii.gz", ".nii")
NRRD = (".nrrd", ".nhdr")
PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
EXTENSIONS = (*NIFTI, *NRRD, *PICTURES)


def extension(path: Path) -> str:
    """Returns the known extension of a file in lower case, ``.nii.gz`` included, or an empty text."""
    name = path.name.lower()
    return next((known for known in EXTENSIONS if name.endswith(known)), "")


def stem(path: Path) -> str:
    """Returns a file's name without its known extension, umlauts composed: macOS stores them in two parts."""
    return unicodedata.normalize("NFC", path.name[: len(path.name) - len(extension(path))])


def read_header(path: Path) -> Header:
    """Reads grid and spacing without the pixels.

    Raises:
        DataError: If the file is not what its name says; one line without the path.
        OSError: If the file cannot be opened.
    """
    family = _family(path)
    header: Header = _guarded(path, family.kind, family.header)
    return _with_pixels(header)


def _with_pixels(header: Header) -> Header:
    if not header.shape or min(header.shape) < 1:
        raise DataError(f"must have pixels, has shape {header.shape}")
    return header


def read_pixels(path: Path, indices: bool = False) -> Values:
    """Reads a file's values.

    Args:
        path: The file.
        indices: A picture with a palette gives its indices, as masks are stored, instead of its colours.

    Returns:
        float32 (C, Z, H, W) or (C, H, W).

    Raises:
        DataError: If the file is not what its name says; one line without the path.
        OSError: If the file cannot be opened.
    """
    family = _family(path)
    return np.ascontiguousarray(_guarded(path, family.kind, lambda p: family.pixels(p, indices)))


def read_stored(path: Path, indices: bool = False) -> tuple[Header, NDArray[Any]]:
    """Reads grid and values at once, the values in the file's own type: what label maps need.

    Args:
        path: The file.
        indices: As in `read_pixels`.

    Returns:
        The header, and values (C, Z, H, W) or (C, H, W), of any layout in memory.

    Raises:
        DataError: If the file is not what its name says; one line without the path.
        OSError: If the file cannot be opened.
    """
    family = _family(path)
    header, values = _guarded(path, family.kind, lambda p: family.stored(p, indices))
    return _with_pixels(header), values


@dataclass(frozen=True)
class _Family:
    """The readers of one kind of file."""

    kind: str
    header: Callable[[Path], Header]
    pixels: Callable[[Path, bool], Values]
    stored: Callable[[Path, bool], tuple[Header, NDArray[Any]]]


_NIFTI = _Family(
    "NIfTI file", read_nifti_header, lambda p, _: read_nifti(p), lambda p, _: read_nifti_stored(p)
)
_NRRD = _Family("NRRD file", read_nrrd_header, lambda p, _: read_nrrd(p), lambda p, _: read_nrrd_stored(p))
_PICTURE = _Family("picture", read_picture_header, read_picture, read_picture_stored)


def _family(path: Path) -> _Family:
    known = extension(path)
    for extensions, family in ((NIFTI, _NIFTI), (NRRD, _NRRD), (PICTURES, _PICTURE)):
        if known in extensions:
            return family
    raise DataError(f"has an unknown extension; known are {', '.join(EXTENSIONS)}")


def _guarded(path: Path, kind: str, read: Callable[[Path], Any]) -> Any:
    """Turns what libraries raise for bad files into one line; a file that is not there stays an OSError."""
    if path.is_dir():
        raise DataError(f"is a folder, not a {kind}")
    with path.open("rb") as file:
        if not file.read(1):
            raise DataError(f"is not a readable {kind} (it is empty)")
    try:
        return read(path)
    except DataError:
        raise
    # Readers raise whatever the broken bytes lead them to, KeyError and struct.error included.
    except Exception as error:
        if isinstance(error, OSError) and error.errno and error.filename == str(path):
            raise
        raise DataError(f"is not a readable {kind} ({_one_line(error)})") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
