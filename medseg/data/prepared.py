"""A data set as the network sees it: memory-mapped arrays, and predictions back into the cases' own grids."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseg.data.array_file import intact
from medseg.data.case import Case, DataSet
from medseg.data.geometry import Geometry
from medseg.errors import DataError

ARRAYS = ("images.npy", "labels.npy", "counts.npy", "references.npy")


@dataclass(frozen=True)
class Entry:
    """Where a case lies in the arrays, and how it got there.

    Args:
        start: First slice.
        stop: One past the last slice.
        reference: First pixel of its native label.
        shape: Native shape, (Z, H, W) or (H, W).
        spacing_mm: Native spacing, same order.
        geometry: Map between native and network grid, in plane.
    """

    start: int
    stop: int
    reference: int
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    geometry: Geometry


@dataclass(frozen=True)
class Prepared:
    """A data set as the network sees it; the arrays are memory-mapped and read-only.

    All processes of a node that open it share its pages; what one reads costs the next one nothing.

    Args:
        path: Folder of the arrays.
        images: float16 (N, C, H, W), normalised; slices of a case lie together.
        labels: uint8 (N, H, W), class indices.
        counts: int64 (N, classes), pixels of each class in each slice.
        references: uint8, the native class indices of all cases in a row.
        cases: The cases in the order of the arrays.
        entries: Place and geometry by case id.
        cut_share: Share of all foreground that lies beyond what the network sees; it is missed in any case.
    """

    path: Path
    images: NDArray[np.float16]
    labels: NDArray[np.uint8]
    counts: NDArray[np.int64]
    references: NDArray[np.uint8]
    cases: tuple[Case, ...]
    entries: dict[str, Entry]
    cut_share: float = 0.0

    def slices(self, case_id: str) -> slice:
        """Returns the part of the arrays that belongs to a case.

        Raises:
            KeyError: If there is no such case.
        """
        entry = self.entries[case_id]
        return slice(entry.start, entry.stop)

    def reference(self, case_id: str) -> NDArray[np.uint8]:
        """Returns a case's class indices on its native grid, (Z, H, W) or (H, W), without opening its file."""
        entry = self.entries[case_id]
        return self.references[entry.reference : entry.reference + math.prod(entry.shape)].reshape(
            entry.shape
        )

    def spacing_mm(self, case_id: str) -> tuple[float, ...]:
        """Returns the spacing of a case's native grid, in the order of its label's axes."""
        return self.entries[case_id].spacing_mm

    def to_native(
        self, case_id: str, probabilities: NDArray[np.float32], first: int | None = None
    ) -> NDArray[np.float32]:
        """Brings a case's predictions back to the grid of its label, in plane; slices are never mixed.

        What the network never saw is certain background.

        Args:
            case_id: The case.
            probabilities: (S, C, H, W) for its S slices: one channel of foreground, or one per class.
            first: If given, the probabilities are of some slices only, from this one on.

        Returns:
            float32 (C, Z, h, w), or (C, h, w) for a two-dimensional case; (C, S, h, w) for some of its slices.

        Raises:
            ValueError: If the shape is not that of the case's slices.
        """
        entry = self.entries[case_id]
        depth = entry.stop - entry.start
        count = depth if first is None else min(len(probabilities), depth - first)
        wanted = (count, *entry.geometry.network)
        if probabilities.ndim != 4 or (probabilities.shape[0], *probabilities.shape[2:]) != wanted:
            raise ValueError(
                f"probabilities of '{case_id}' must have shape ({wanted[0]}, C, {wanted[1]}, {wanted[2]}), "
                f"got {probabilities.shape}"
            )
        channels = probabilities.shape[1]
        native = np.empty((channels, wanted[0], *entry.geometry.native), dtype=np.float32)
        for channel in range(channels):
            outside = 1.0 if channels > 1 and channel == 0 else 0.0
            native[channel] = entry.geometry.to_native(probabilities[:, channel], outside)
        return native.reshape(channels, *entry.shape) if first is None else native


def open_prepared(folder: Path, dataset: DataSet, thorough: bool = False) -> Prepared:
    """Opens the arrays that `medseg.data.build.prepare` made.

    Args:
        folder: Where they are.
        dataset: Their data set.
        thorough: Hash them even if nobody touched them.

    Raises:
        DataError: If they are not as they were written.
    """
    try:
        index = _read_index(folder)
        for name in ARRAYS:
            if not intact(folder / name, index["files"][name], thorough):
                raise _damaged(folder, f"{name} is not as it was written")
        size = tuple(index["image_size"])
        entries = {case.id: _entry(index["cases"][case.id], size) for case in dataset.cases}
        images, labels, counts, references = (np.load(folder / name, mmap_mode="r") for name in ARRAYS)
        cut_share = float(index["cut_share"])
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, str(error)) from error
    return Prepared(folder, images, labels, counts, references, dataset.cases, entries, cut_share)


def _read_index(folder: Path) -> dict[str, Any]:
    index: dict[str, Any] = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return index


def _damaged(folder: Path, reason: str) -> DataError:
    return DataError(f"{folder}: prepared data are damaged ({reason})")


def _entry(raw: dict[str, Any], network: tuple[int, ...]) -> Entry:
    shape = tuple(raw["shape"])
    geometry = Geometry((shape[-2], shape[-1]), (network[0], network[1]), (raw["step"][0], raw["step"][1]))
    return Entry(raw["start"], raw["stop"], raw["reference"], shape, tuple(raw["spacing_mm"]), geometry)
