"""Turns cases into arrays that the network sees, once, and predictions back into the cases' own grids."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseg.data.cache import build_once, source_hash
from medseg.data.case import Case, DataSet
from medseg.data.geometry import Geometry, cubic, linear, place
from medseg.data.load import load_image, load_label
from medseg.errors import DataError
from medseg.tasks import TaskSpec

_SOURCES = ("prepared", "geometry", "load", "acdc", "covid_radiography")
_ARRAYS = ("images.npy", "labels.npy")


@dataclass(frozen=True)
class Entry:
    """Where a case lies in the arrays, and how it got there.

    Args:
        start: First slice.
        stop: One past the last slice.
        shape: Native shape, (Z, H, W) or (H, W).
        spacing_mm: Native spacing, same order.
        geometry: Map between native and network grid, in plane.
    """

    start: int
    stop: int
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    geometry: Geometry


@dataclass(frozen=True)
class Prepared:
    """A data set as the network sees it; the arrays are memory-mapped and read-only.

    Args:
        path: Folder of the arrays.
        images: float32 (N, C, H, W), normalised; slices of a case lie together.
        labels: uint8 (N, H, W), class indices.
        cases: The cases in the order of the arrays.
        entries: Place and geometry by case id.
    """

    path: Path
    images: NDArray[np.float32]
    labels: NDArray[np.uint8]
    cases: tuple[Case, ...]
    entries: dict[str, Entry]

    def slices(self, case_id: str) -> slice:
        """Returns the part of the arrays that belongs to a case.

        Raises:
            KeyError: If there is no such case.
        """
        entry = self.entries[case_id]
        return slice(entry.start, entry.stop)

    def spacing_mm(self, case_id: str) -> tuple[float, ...]:
        """Returns the spacing of a case's native grid, in the order of its label's axes."""
        return self.entries[case_id].spacing_mm

    def to_native(self, case_id: str, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Brings a case's predictions back to the grid of its label, in plane; slices are never mixed.

        What the network never saw is certain background.

        Args:
            case_id: The case.
            probabilities: (S, C, H, W) for its S slices: one channel of foreground, or one per class.

        Returns:
            float32 (C, Z, h, w), or (C, h, w) for a two-dimensional case.

        Raises:
            ValueError: If the shape is not that of the case's slices.
        """
        entry = self.entries[case_id]
        wanted = (entry.stop - entry.start, *entry.geometry.network)
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
        return native.reshape(channels, *entry.shape)


def prepared_key(task: TaskSpec, dataset: DataSet) -> str:
    """Returns the name of the prepared folder: a hash of data, preprocessing and its code."""
    what = task.model_dump(
        mode="json", include={"format", "labels", "channels", "image_size", "spacing_mm", "intensity"}
    )
    # JSON would lose the order of the labels, which numbers the classes.
    what["labels"] = list(task.labels.items())
    what |= {"code": source_hash(*_SOURCES), "data": dataset.fingerprint}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def prepare(task: TaskSpec, dataset: DataSet, cache_dir: Path) -> Prepared:
    """Opens a data set's arrays, making them first unless they exist.

    Cost: one pass over the files, one case in memory at a time. Two processes that start together make one
    folder; a crash leaves none.

    Args:
        task: Says how to preprocess.
        dataset: The data.
        cache_dir: The arrays go to ``prepared/<key>/`` below it.

    Raises:
        DataError: If a file is unfit, or the arrays cannot be written or opened.
    """
    if task.channels != 1:
        raise DataError(
            f"task '{task.name}': {task.format} images have 1 channel, the task declares {task.channels}"
        )
    target = cache_dir / "prepared" / prepared_key(task, dataset)
    build_once(target, lambda folder: _build(task, dataset, folder))
    return _open(target, dataset)


def _build(task: TaskSpec, dataset: DataSet, folder: Path) -> None:
    total = sum(_depth(case) for case in dataset.cases)
    images = np.lib.format.open_memmap(
        folder / _ARRAYS[0], "w+", np.float32, (total, task.channels, *task.image_size)
    )
    labels = np.lib.format.open_memmap(folder / _ARRAYS[1], "w+", np.uint8, (total, *task.image_size))
    index: dict[str, Any] = {}
    start = 0
    for case in dataset.cases:
        geometry = place(task, case.shape, case.spacing_mm)
        stop = start + _depth(case)
        images[start:stop, 0], labels[start:stop] = preprocess(task, case, geometry)
        index[case.id] = {
            "start": start,
            "stop": stop,
            "shape": case.shape,
            "spacing_mm": case.spacing_mm,
            "step": geometry.step,
        }
        start = stop
    images.flush()
    labels.flush()
    text = json.dumps({"image_size": task.image_size, "cases": index}, indent=1)
    (folder / "index.json").write_text(text, encoding="utf-8")


def preprocess(
    task: TaskSpec, case: Case, geometry: Geometry
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Preprocesses one case: z-score of the whole file, then image and label through the same geometry.

    Returns:
        Image (S, H, W) and class indices (S, H, W). A 2D case has one slice.

    Raises:
        DataError: If a file is unfit.
    """
    image = load_image(case)[0]
    label = load_label(case, task)
    if image.ndim == 2:
        image, label = image[None], label[None]
    spread = float(image.std(dtype=np.float64))
    centred = image - np.float32(image.mean(dtype=np.float64))
    normalised = (centred / max(spread, 1e-8)).astype(np.float32)
    return geometry.to_network(normalised, cubic), _label_to_network(label, task.classes, geometry)


def _label_to_network(label: NDArray[np.uint8], classes: int, geometry: Geometry) -> NDArray[np.uint8]:
    """Resamples each class's share of a pixel and keeps the largest: no class can appear that was not there."""
    best = np.zeros((len(label), *geometry.network), dtype=np.uint8)
    share = np.zeros(best.shape, dtype=np.float32)
    for index in range(classes):
        here = geometry.to_network((label == index).astype(np.float32), linear)
        best[here > share] = index
        np.maximum(share, here, out=share)
    return best


def _depth(case: Case) -> int:
    return case.shape[0] if len(case.shape) == 3 else 1


def _open(folder: Path, dataset: DataSet) -> Prepared:
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        images, labels = (np.load(folder / name, mmap_mode="r") for name in _ARRAYS)
        size = tuple(index["image_size"])
        entries = {case.id: _entry(index["cases"][case.id], size) for case in dataset.cases}
        complete = len(images) == len(labels) == max(entry.stop for entry in entries.values())
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise DataError(
            f"{folder}: prepared data are damaged ({error}); remove the folder to make it anew"
        ) from error
    if not complete:
        raise DataError(
            f"{folder}: prepared data are damaged (lengths differ); remove the folder to make it anew"
        )
    return Prepared(folder, images, labels, dataset.cases, entries)


def _entry(raw: dict[str, Any], network: tuple[int, ...]) -> Entry:
    shape = tuple(raw["shape"])
    geometry = Geometry((shape[-2], shape[-1]), (network[0], network[1]), (raw["step"][0], raw["step"][1]))
    return Entry(raw["start"], raw["stop"], shape, tuple(raw["spacing_mm"]), geometry)
