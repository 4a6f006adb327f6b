"""Reads the pixels of a case: images as float32, labels as class indices, both on their file's grid."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseg.data.case import Case
from medseg.data.label_map import read_label_map
from medseg.data.raster import PICTURES, Values, extension, read_pixels
from medseg.errors import DataError
from medseg.tasks import TaskSpec

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def load_image(case: Case, task: TaskSpec) -> NDArray[np.float32]:
    """Reads a case's image.

    Returns:
        Intensities, (C, Z, H, W) or (C, H, W). For a task of one channel a colour picture becomes its luminance.

    Raises:
        DataError: If a file cannot be read, holds values that are not finite, or the channels are not as many as
            the task declares.
    """
    parts = [_channels(path, _read(path), task) for path in case.images]
    if any(part.shape[1:] != parts[0].shape[1:] for part in parts):
        raise DataError(f"{case.image}: the channels of '{case.id}' have different shapes")
    image = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if len(image) != task.channels:
        raise DataError(f"{case.image}: has {_count(len(image))}, the task declares {task.channels}")
    if not np.isfinite(image).all():
        count = int(np.count_nonzero(~np.isfinite(image)))
        raise DataError(f"{case.image}: values must be finite, {count} of {image.size} are NaN or infinite")
    return image


def load_label(case: Case, task: TaskSpec, values: frozenset[int] = frozenset()) -> NDArray[np.uint8]:
    """Reads a case's reference label as class indices.

    Args:
        case: The case.
        task: Says which values are which class.
        values: Further values that the files may hold, all background here: `DataSet.values`.

    Returns:
        Class indices, (Z, H, W) or (H, W): 1..K in the order of ``task.labels``, 0 elsewhere.

    Raises:
        DataError: If the file cannot be read, holds a value that nobody declared, or has another shape than when
            it was indexed.
    """
    label = read_label_map(case.label, soft=task.format == "covid_radiography")
    known = values | {0, *task.background, *task.labels.values()}
    unknown = [value for value in label.present() if value not in known]
    if unknown:
        found = ", ".join(f"{value:g}" for value in unknown[:10])
        raise DataError(f"{case.label}: label values must be in {sorted(known)}, found {found}{_hint(task)}")
    if case.shape and label.values.shape != case.shape:
        raise DataError(f"{case.label}: has shape {label.values.shape}, had {case.shape} when it was indexed")
    return label.classes(list(task.labels.values()))


def _channels(path: Path, values: Values, task: TaskSpec) -> Values:
    if task.channels == 1 and len(values) == 3 and extension(path) in PICTURES:
        # Grey values stored as colours must come back as they were, bit for bit.
        if (values[0] == values[1]).all() and (values[0] == values[2]).all():
            return values[:1]
        grey: Values = np.einsum("c...,c->...", values, _LUMINANCE)[None]
        return grey
    return values


def _read(path: Path) -> Values:
    try:
        return read_pixels(path)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _count(channels: int) -> str:
    return f"{channels} channel" if channels == 1 else f"{channels} channels"


def _hint(task: TaskSpec) -> str:
    labels = ", ".join(f"{name}: {value}" for name, value in task.labels.items())
    return f" (the task has labels {{{labels}}}; declare others under 'labels' or as 'background')"
