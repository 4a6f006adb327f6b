"""Writes generated volumes as NIfTI."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def save_volume(volume: NDArray[np.generic], spacing_mm: tuple[float, float, float], path: Path) -> None:
    """Writes a volume (Z, H, W) with its spacing, bitwise the same each time.

    Raises:
        OSError: If it cannot be written.
    """
    import nibabel

    # As in ACDC: the header's voxel sizes are right, the affine is not to be trusted for spacing.
    picture = nibabel.Nifti1Image(volume.transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]))
    picture.header.set_zooms(spacing_mm[::-1])
    # A fixed time in the gzip header keeps the files bitwise the same.
    path.write_bytes(gzip.compress(picture.to_bytes(), compresslevel=6, mtime=0))
