"""Label files as they are: one value per pixel, and which class a value is. Knows no task."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseg.data.raster import Header, read_stored
from medseg.errors import DataError

MOST_CLASSES = 255
"""Class indices are uint8, and 0 is the background."""
_WHITES = (1, 255, 65_535)
_ROUNDING = 1e-3
# Values are looked for one by one up to here, where that is fastest; then by a table, then by sorting.
_FEW, _TABLE = 16, 2**16


@dataclass(frozen=True)
class LabelMap:
    """A label file.

    Args:
        header: Its grid and spacing.
        values: One per pixel, (Z, H, W) or (H, W), in the file's own type: integers, or numbers that may be none.
    """

    header: Header
    values: NDArray[Any]

    def present(self) -> list[float]:
        """Returns the values that occur, sorted; NaN last."""
        return present(self.values)

    def classes(self, values: Sequence[int]) -> NDArray[np.uint8]:
        """Returns class indices of the same shape: ``1..K`` for the K given values, 0 for all others.

        Where the values are these indices already, they are returned as they are.

        Args:
            values: At most `MOST_CLASSES`, in the order of the classes.

        Raises:
            ValueError: If there are more.
        """
        if len(values) > MOST_CLASSES:
            raise ValueError(f"expected at most {MOST_CLASSES} labels, got {len(values)}")
        if self.values.dtype == np.uint8:
            if list(values) == list(range(1, len(values) + 1)) and self.values.max() <= len(values):
                return self.values
            table = np.zeros(256, dtype=np.uint8)
            for index, value in enumerate(values, start=1):
                if 0 <= value <= 255:
                    table[value] = index
            return np.take(table, self.values)
        classes = np.zeros(self.values.shape, dtype=np.uint8)
        for index, value in enumerate(values, start=1):
            classes[self.values == value] = index
        return classes


def read_label_map(path: Path, soft: bool = False) -> LabelMap:
    """Reads a label file.

    Args:
        path: NIfTI, NRRD or picture. Of a palette, the indices are the labels. Values that went through a scaling
            factor and come back a little off a whole number are that number.
        soft: The file is a mask in black and white, in one or three channels, perhaps with soft edges from
            compression: what is brighter than half of white is 255, the rest 0. White is 1, 255, 65535 or the type's
            largest value: the first that the file does not exceed.

    Raises:
        DataError: If the file cannot be read, its channels differ, or nobody can tell what is white in it; starts
            with the path.
    """
    try:
        # Where masks are black and white, a palette's colours count.
        header, channels = read_stored(path, indices=not soft)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if soft:
        brightest = channels.max(axis=0)
        half = _half_of_white(brightest, path)
        return LabelMap(header, np.where(brightest > half, np.uint8(255), np.uint8(0)))
    if any((channels[0] != other).any() for other in channels[1:]):
        raise DataError(
            f"{path}: has {len(channels)} channels that differ; a label needs one value per pixel"
        )
    return LabelMap(header, _snapped(np.ascontiguousarray(channels[0])))


def _half_of_white(values: NDArray[Any], path: Path) -> float:
    """Returns half of what is white in a mask, where its values say so.

    In 8 bits it is 0.5 or 127.5. A wider type says little: a mask of 0 and 4095 has its white neither at 255 nor at
    65535, and cut at half of either it would be wrong or empty.
    """
    top = float(values.max())
    whites = sorted({min(white, _largest(values.dtype)) for white in (*_WHITES, _largest(values.dtype))})
    white = next((white for white in whites if top <= white + _ROUNDING), None)
    if white is None or (values.dtype.itemsize > 1 and 1 + _ROUNDING < top <= white / 2):
        expected = ", ".join(map(str, whites))
        raise DataError(
            f"{path}: is no mask in black and white: its largest value is {top:g}, not {expected}"
        )
    return white / 2


def _largest(dtype: np.dtype[Any]) -> int:
    return int(np.iinfo(dtype).max) if dtype.kind in "iu" else _WHITES[-1]


def present(values: NDArray[Any]) -> list[float]:
    """Returns the values that occur in an array, sorted; NaN last."""
    if values.dtype.kind in "iu" and values.size:
        low, high = int(values.min()), int(values.max())
        if ((values == low) | (values == high)).all():  # masks are read more often than label maps
            return [float(value) for value in dict.fromkeys((low, high))]
        if low >= 0 and high < _FEW:
            return [float(value) for value in range(low, high + 1) if (values == value).any()]
        if low >= 0 and high < _TABLE:
            found = np.zeros(high + 1, dtype=np.bool_)
            found[values.ravel()] = True
            return [float(value) for value in np.flatnonzero(found)]
    return [float(value) for value in np.unique(values)]


def _snapped(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind != "f":
        return values
    with np.errstate(invalid="ignore"):  # infinity less infinity
        whole = np.rint(values)
        return np.where(np.abs(values - whole) < _ROUNDING, whole, values)
