"""Reads image files by their extension: NIfTI, NRRD, and pictures (PNG, TIFF, JPEG, BMP). Knows no task."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from medseg.data.raster.header import Header, Values
from medseg.data.raster.nifti import read_nifti, read_nifti_header
from medseg.data.raster.nrrd_file import detached, read_nrrd, read_nrrd_header
from medseg.data.raster.picture import read_picture, read_picture_header
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
    header: Header = _guarded(path, *_family(path)[:2])
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
    kind, _, read = _family(path)
    return np.ascontiguousarray(_guarded(path, kind, lambda p: read(p, indices)))


def _family(path: Path) -> tuple[str, Callable[[Path], Header], Callable[[Path, bool], Values]]:
    known = extension(path)
    if known in NIFTI:
        return "NIfTI file", read_nifti_header, lambda p, _: read_nifti(p)
    if known in NRRD:
        return "NRRD file", read_nrrd_header, lambda p, _: read_nrrd(p)
    if known in PICTURES:
        return "picture", read_picture_header, read_picture
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
