"""Reads the pixels of a case: images as float32, labels as class indices, both on their file's grid."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseg.data import acdc, covid_radiography
from medseg.data.case import Case
from medseg.errors import DataError
from medseg.tasks import TaskSpec

_VALUES = {"acdc": acdc.LABEL_VALUES, "covid_radiography": covid_radiography.LABEL_VALUES}
_MASK_THRESHOLD = 127


def load_image(case: Case) -> tuple[NDArray[np.float32], tuple[float, ...]]:
    """Reads a case's image.

    Returns:
        Intensities, (Z, H, W) or (H, W), and the spacing in the same order: mm, or ones where the file carries
        none. A colour picture becomes its luminance.

    Raises:
        DataError: If the file cannot be read or holds values that are not finite.
    """
    if _is_nifti(case.image):
        image, spacing_mm = _nifti(case.image)
    else:
        image, spacing_mm = _picture(case.image, "image"), (1.0, 1.0)
    if not np.isfinite(image).all():
        raise DataError(
            f"{case.image}: holds {np.count_nonzero(~np.isfinite(image))} values that are not finite"
        )
    return image.astype(np.float32), spacing_mm


def load_label(case: Case, task: TaskSpec) -> NDArray[np.uint8]:
    """Reads a case's reference label as class indices.

    Returns:
        Class indices, (Z, H, W) or (H, W): 1..K in the order of ``task.labels``, 0 elsewhere.

    Raises:
        DataError: If the file cannot be read, holds a value that its format does not know, or has another shape
            than when it was indexed.
    """
    if _is_nifti(case.label):
        values = _nifti(case.label)[0]
    else:
        # Masks come as 0/255 in one or three channels, some with soft edges from compression.
        values = np.where(_picture(case.label, "mask") > _MASK_THRESHOLD, 255, 0)
    known = _VALUES[task.format] | set(task.labels.values())
    unknown = sorted(set(np.unique(values).tolist()) - known)
    if unknown:
        raise DataError(f"{case.label}: label values must be in {sorted(known)}, found {unknown[:10]}")
    if case.shape and values.shape != case.shape:
        raise DataError(f"{case.label}: has shape {values.shape}, had {case.shape} when it was indexed")
    classes = np.zeros(values.shape, dtype=np.uint8)
    for index, value in enumerate(task.labels.values(), start=1):
        classes[values == value] = index
    return classes


def _is_nifti(path: Path) -> bool:
    return path.name.endswith((".nii", ".nii.gz"))


def _nifti(path: Path) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        volume = nibabel.load(path)
        # Files store X, Y, Z; the slowest axis comes first here.
        values = np.asarray(volume.dataobj, dtype=np.float64).transpose(2, 1, 0)
        zooms = tuple(round(float(z), 6) for z in volume.header.get_zooms())
    except (ImageFileError, gzip.BadGzipFile, EOFError, zlib.error, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    return np.ascontiguousarray(values), zooms[::-1]


def _picture(path: Path, kind: str) -> NDArray[np.float64]:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
            mode = picture.mode
            if mode in ("L", "F") or mode.startswith("I"):
                return np.asarray(picture, dtype=np.float64)
            if kind == "image":
                return np.asarray(picture.convert("L"), dtype=np.float64)
            # Any channel may carry the mask, but not transparency.
            colours = np.asarray(picture.convert("RGB"), dtype=np.float64)
            brightest: NDArray[np.float64] = colours.max(axis=-1)
            return brightest
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
