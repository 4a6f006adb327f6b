"""Reads NRRD volumes: ``.nrrd``, and ``.nhdr`` with its data in one file beside it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseg.data.raster.header import Header, Values, first_axis_last, lengths, orientation_of
from medseg.errors import DataError

_SPACE_KINDS = ("domain", "space", "time", "none", "???")
# Signs that turn a space's axes into right, anterior, superior.
_TO_RAS = {
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
}


def read_nrrd_header(path: Path) -> Header:
    """Reads grid and spacing.

    Raises:
        DataError: If the volume has not two or three axes of space.
        Exception: Whatever pynrrd raises for broken bytes.
    """
    import nrrd

    return _described(nrrd.read_header(str(path)))


def read_nrrd(path: Path) -> Values:
    """Reads the values as float32 (C, Z, H, W) or (C, H, W)."""
    _, values = _read(path)
    with np.errstate(over="ignore"):  # of float64; what becomes infinite is refused as such
        return values.astype(np.float32)


def read_nrrd_stored(path: Path) -> tuple[Header, NDArray[Any]]:
    """Reads grid and values, in the file's own type."""
    header, values = _read(path)
    return _described(header), values


def _read(path: Path) -> tuple[Any, NDArray[Any]]:
    import nrrd

    values, header = nrrd.read(str(path))
    channel = _channel_axis(header)
    if channel is not None:
        values = np.moveaxis(values, channel, -1)
    return header, first_axis_last(values, channels=channel is not None)


def _described(header: Any) -> Header:
    sizes = [int(n) for n in header["sizes"]]
    channel = _channel_axis(header)
    grid = [axis for axis in range(len(sizes)) if axis != channel]
    if not 2 <= len(grid) <= 3:
        raise DataError(f"must have two or three axes of space, has sizes {tuple(sizes)}")
    shape = tuple(sizes[axis] for axis in reversed(grid))
    channels = 1 if channel is None else sizes[channel]
    return Header(shape, _spacing(header, grid)[::-1], channels, _orientation(header, grid))


def detached(path: Path) -> tuple[Path, ...]:
    """Returns the data file that a ``.nhdr`` names, if it is there; nothing for other files."""
    if path.suffix.lower() != ".nhdr" or not path.is_file():
        return ()
    for line in path.read_bytes().decode("utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() in ("data file", "datafile"):
            data = path.parent / value.strip()
            return (data,) if data.is_file() else ()
    return ()


def _channel_axis(header: Any) -> int | None:
    """The axis that is no direction in space: its kind says so, or it has no direction or spacing."""
    for axis, kind in enumerate(header.get("kinds", [])):
        if kind.lower() not in _SPACE_KINDS:
            return axis
    rows = header.get("space directions")
    rows = header.get("spacings") if rows is None else rows
    for axis, row in enumerate([] if rows is None else rows):
        if row is None or np.isnan(np.asarray(row, dtype=float)).all():
            return axis
    return None if len(header["sizes"]) < 4 else len(header["sizes"]) - 1


def _spacing(header: Any, grid: list[int]) -> tuple[float, ...]:
    directions, spacings = header.get("space directions"), header.get("spacings")
    if directions is not None:
        return lengths(float(np.linalg.norm(np.asarray(directions[axis], dtype=float))) for axis in grid)
    if spacings is not None:
        return lengths(float(spacings[axis]) for axis in grid)
    return (1.0,) * len(grid)


def _orientation(header: Any, grid: list[int]) -> str:
    directions, signs = header.get("space directions"), _TO_RAS.get(str(header.get("space", "")).lower())
    if directions is None or signs is None:
        return ""
    affine = np.eye(4)
    for column, axis in enumerate(grid):
        affine[:3, column] = np.asarray(directions[axis], dtype=float) * signs
    return orientation_of(affine)[: len(grid)]
