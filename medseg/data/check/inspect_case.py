"""Reads one case's files once and keeps what `bench data check` needs to know of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseg.data.case import Case, DataSet
from medseg.data.geometry import place
from medseg.data.load import load_image, load_label
from medseg.data.raster import PICTURES, extension, read_header
from medseg.errors import DataError

# Draws a case: image (C, *grid) and class indices, on their own grids, to the bytes of a picture.
Draw = Callable[[NDArray[np.float32], NDArray[np.uint8]], bytes]
PERCENTILES = (0, 1, 99, 100)


@dataclass(frozen=True)
class CaseFacts:
    """What the files of a case hold.

    Args:
        case: The case.
        problems: Why files cannot be used, each starting with its file.
        intensities: Minimum, 1st and 99th percentile and maximum of the image; empty if it cannot be used.
        pixels: Pixels of each class, background first; empty if the label cannot be used.
        seen: Those of them that the network sees: the others are cut off.
        orientations: Where the axes of image and label point; empty where the files do not say.
        picture: The case as it was drawn, if it was.
    """

    case: Case
    problems: tuple[str, ...] = ()
    intensities: tuple[float, ...] = ()
    pixels: tuple[int, ...] = ()
    seen: tuple[int, ...] = ()
    orientations: tuple[str, str] = ("", "")
    picture: bytes = b""

    @property
    def constant(self) -> bool:
        """Whether all values of the image are the same."""
        return bool(self.intensities) and self.intensities[0] == self.intensities[-1]

    @property
    def blank(self) -> bool:
        """Whether no pixel has a foreground label."""
        return bool(self.pixels) and not any(self.pixels[1:])

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel; meaningless unless the grid has three axes with spacings in mm."""
        return float(np.prod(self.case.spacing_mm)) / 1000


def inspect_case(dataset: DataSet, case: Case, draw: Draw | None = None) -> CaseFacts:
    """Reads a case's image and label; what is wrong with them is an answer, not an error.

    Args:
        dataset: The data set of the case.
        case: The case.
        draw: Given image and label, draws them.
    """
    problems: list[str] = []
    image = label = None
    intensities: tuple[float, ...] = ()
    pixels: tuple[int, ...] = ()
    seen: tuple[int, ...] = ()
    try:
        image = load_image(case, dataset.task)
        intensities = tuple(float(value) for value in np.percentile(image, PERCENTILES))
    except DataError as error:
        problems.append(relative(str(error), dataset.root))
    try:
        label = load_label(case, dataset.task, dataset.values)
        field = place(dataset.task, case.shape, case.spacing_mm).field()
        pixels, seen = (
            tuple(int(n) for n in np.bincount(part.ravel(), minlength=dataset.task.classes))
            for part in (label, label[..., *field])
        )
    except DataError as error:
        problems.append(relative(str(error), dataset.root))
    return CaseFacts(
        case,
        tuple(problems),
        intensities,
        pixels,
        seen,
        (_orientation(case.image), _orientation(case.label)),
        draw(image, label) if draw is not None and image is not None and label is not None else b"",
    )


def relative(text: str, root: Path) -> str:
    """Returns a message with files named relative to the data set's folder, and without the folder itself."""
    return text.replace(f"{root}/", "").removeprefix(f"{root}: ")


def _orientation(path: Path) -> str:
    if extension(path) in PICTURES:
        return ""
    try:
        return read_header(path).orientation
    except (DataError, OSError):
        # A file that cannot be read was reported with its pixels.
        return ""
