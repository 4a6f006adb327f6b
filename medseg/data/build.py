"""Prepares a data set: every case through `preprocess`, in parallel, into arrays that appear whole or not at all."""

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from medseg.data.array_file import ArrayFile, seal
from medseg.data.cache import build_lock, build_once, discard, source_hash, unwritable
from medseg.data.case import Case, DataSet
from medseg.data.files import Advance
from medseg.data.geometry import place
from medseg.data.load import load_image, load_label
from medseg.data.parallel import reading_pool
from medseg.data.prepared import ARRAYS, Prepared, open_prepared
from medseg.data.preprocess import preprocess
from medseg.errors import DataError
from medseg.tasks import TaskSpec

_SOURCES = ("build", "prepared", "preprocess", "geometry", "load", "label_map", "raster")
_ATTEMPTS = 3
_LOG = logging.getLogger(__name__)


def prepared_key(task: TaskSpec, dataset: DataSet) -> str:
    """Returns the name of the prepared folder: a hash of data, preprocessing and its code."""
    what = task.model_dump(
        mode="json",
        include={
            "format",
            "labels",
            "background",
            "channels",
            "image_size",
            "spacing_mm",
            "file_spacing_mm",
            "clip_percentiles",
            "window",
        },
    )
    # JSON would lose the order of the labels, which numbers the classes.
    what["labels"] = list(task.labels.items())
    what |= {"code": source_hash(*_SOURCES), "data": dataset.fingerprint}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def prepare(
    task: TaskSpec,
    dataset: DataSet,
    cache_dir: Path,
    advance: Advance = lambda done, total: None,
    thorough: bool = False,
) -> Prepared:
    """Opens a data set's arrays, making them first unless they exist; arrays that were damaged are made anew.

    Cost: one pass over the files, in parallel, one case per core in memory. Of processes that start together one
    makes the arrays; a crash leaves none.

    Args:
        task: Says how to preprocess.
        dataset: The data.
        cache_dir: The arrays go to ``prepared/<key>/`` below it.
        advance: Told how many cases of how many are done.
        thorough: Hash arrays that are there, which reads all of them, even if nobody touched them.

    Raises:
        DataError: If files are unfit, or the arrays cannot be written or opened.
    """
    target = cache_dir / "prepared" / prepared_key(task, dataset)
    for _ in range(_ATTEMPTS):
        thorough = thorough and target.is_dir()
        build_once(target, lambda folder: _build(task, dataset, folder, advance))
        try:
            return open_prepared(target, dataset, thorough)
        except DataError as error:
            # Damaged; or another process that found it so has just removed it.
            _LOG.warning("%s; making it anew", error)
        _discard_damaged(target, dataset, thorough)
    build_once(target, lambda folder: _build(task, dataset, folder, advance))
    return open_prepared(target, dataset)


def _discard_damaged(target: Path, dataset: DataSet, thorough: bool) -> None:
    try:
        with build_lock(target):
            try:
                # Another process may have seen the damage first and mended it.
                open_prepared(target, dataset, thorough)
            except DataError:
                discard(target)
    except OSError as error:
        raise unwritable(target, error) from error


def _build(task: TaskSpec, dataset: DataSet, folder: Path, advance: Advance) -> None:
    index, slices, pixels = _layout(task, dataset.cases)
    shapes: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
        "images.npy": (np.float16, (slices, task.channels, *task.image_size)),
        "labels.npy": (np.uint8, (slices, *task.image_size)),
        "counts.npy": (np.int64, (slices, task.classes)),
        "references.npy": (np.uint8, (pixels,)),
    }
    with ExitStack() as stack:
        files = {name: stack.enter_context(ArrayFile(folder / name, *spec)) for name, spec in shapes.items()}

        def make(case: Case) -> DataError | tuple[int, int]:
            try:
                return _make(task, dataset, case, index[case.id], files)
            except DataError as error:
                return error

        pool = stack.enter_context(reading_pool())
        errors, foreground, seen = [], 0, 0
        for number, made in enumerate(pool.map(make, dataset.cases), start=1):
            if isinstance(made, DataError):
                errors.append(made)
            else:
                foreground, seen = foreground + made[0], seen + made[1]
            advance(number, len(dataset.cases))
    if errors:
        more = f" (and {len(errors) - 1} more cases; bench data check lists all)" if len(errors) > 1 else ""
        raise DataError(f"{errors[0]}{more}")
    seals = {name: seal(folder / name) for name in ARRAYS}
    about = {"image_size": task.image_size, "cut_share": 1 - seen / max(1, foreground)}
    text = json.dumps(about | {"cases": index, "files": seals}, indent=1)
    (folder / "index.json").write_text(text, encoding="utf-8")


def _layout(task: TaskSpec, cases: Sequence[Case]) -> tuple[dict[str, dict[str, Any]], int, int]:
    """Returns each case's place, and how many slices and native pixels there are in all."""
    index: dict[str, dict[str, Any]] = {}
    start, reference = 0, 0
    for case in cases:
        depth = case.shape[0] if len(case.shape) == 3 else 1
        index[case.id] = {
            "start": start,
            "stop": start + depth,
            "reference": reference,
            "shape": case.shape,
            "spacing_mm": case.spacing_mm,
            "step": place(task, case.shape, case.spacing_mm).step,
        }
        start, reference = start + depth, reference + math.prod(case.shape)
    return index, start, reference


def _make(
    task: TaskSpec, dataset: DataSet, case: Case, where: dict[str, Any], files: dict[str, ArrayFile]
) -> tuple[int, int]:
    """Writes one case; returns its foreground pixels and those of them that the network sees."""
    reference = load_label(case, task, dataset.values)
    geometry = place(task, case.shape, case.spacing_mm)
    images, labels = preprocess(task, load_image(case, task), reference, geometry)
    counts = [np.bincount(label.ravel(), minlength=task.classes) for label in labels]
    files["images.npy"].write(where["start"], images)
    files["labels.npy"].write(where["start"], labels)
    files["counts.npy"].write(where["start"], np.array(counts))
    files["references.npy"].write(where["reference"], reference.ravel())
    return int(np.count_nonzero(reference)), int(np.count_nonzero(reference[..., *geometry.field()]))
