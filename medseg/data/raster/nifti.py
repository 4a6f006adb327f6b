"""Reads NIfTI-1 and NIfTI-2 volumes (``.nii``, ``.nii.gz``) of two to four axes; the fourth holds channels."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseg.data.raster.header import Header, Values, first_axis_last, lengths, orientation_of
from medseg.errors import DataError

_NIFTI2_BYTES = 540
_MM = {"meter": 1000.0, "micron": 0.001}
# nibabel writes to the terminal what it mends in a header; what matters here is reported by whoever looks.
_SILENT = logging.Logger("silent")
_SILENT.addHandler(logging.NullHandler())
_FATAL = 40


def read_nifti_header(path: Path) -> Header:
    """Reads grid and spacing; the header's voxel sizes, not its affine: ACDC's affines say 1 mm.

    Raises:
        DataError: If the volume is not of two to four axes or holds no plain numbers.
        Exception: Whatever nibabel raises for broken bytes.
    """
    return _described(*_open(path))


def read_nifti(path: Path) -> Values:
    """Reads the values, scaled as the header says, as float32 (C, Z, H, W) or (C, H, W)."""
    from nibabel.arrayproxy import ArrayProxy

    header, _ = _open(path)
    with np.errstate(over="ignore"):  # of float64; what becomes infinite is refused as such
        values = np.asarray(ArrayProxy(path, header), dtype=np.float32)
    return first_axis_last(values, channels=values.ndim == 4)


def read_nifti_stored(path: Path) -> tuple[Header, NDArray[Any]]:
    """Reads grid and values; the values in the file's own type, or float64 where the header scales them."""
    from nibabel.arrayproxy import ArrayProxy

    header, stated = _open(path)
    described = _described(header, stated)
    values = np.asarray(ArrayProxy(path, header))
    return described, first_axis_last(values, channels=values.ndim == 4)


def _described(header: Any, stated: list[float]) -> Header:
    shape = tuple(int(n) for n in header.get_data_shape())
    if not 2 <= len(shape) <= 4:
        raise DataError(f"must have two to four axes, has shape {shape}")
    grid, channels = shape[:3], shape[3] if len(shape) == 4 else 1
    scale = _MM.get(header.get_xyzt_units()[0], 1.0)
    # What was stored is read first: a length of float32 in another unit is none any more.
    spacing = lengths(scale * length for length in lengths(stated[: len(grid)]))
    try:
        with np.errstate(invalid="ignore"):
            orientation = orientation_of(header.get_best_affine())
    except ValueError:  # a quaternion that is none
        orientation = ""
    return Header(grid[::-1], spacing[::-1], channels, orientation)


def _open(path: Path) -> tuple[Any, list[float]]:
    """The header, checked, and the voxel sizes as stated: nibabel's check turns a size of 0 into 1."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header
    from nibabel.openers import ImageOpener

    with ImageOpener(path) as file:
        size = file.read(4)
        file.seek(0)
        second = _NIFTI2_BYTES in (int.from_bytes(size, "little"), int.from_bytes(size, "big"))
        header = (Nifti2Header if second else Nifti1Header).from_fileobj(file, check=False)
    stated = [float(length) for length in header["pixdim"][1:4]]
    header.check_fix(logger=_SILENT, error_level=_FATAL)
    kind = header.get_data_dtype()
    if kind.names or kind.kind not in "iuf":
        raise DataError("holds colours or complex values; expected one number per voxel")
    return header, stated
