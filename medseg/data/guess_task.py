"""Makes up a task for a folder of data that nobody described: format, labels, channels, size, spacing."""

import re
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from medseg.data.case import Case, DataSet, Reader
from medseg.data.files import Advance
from medseg.data.formats.description import Description, read_description
from medseg.data.index import READERS, survey_dataset
from medseg.data.parallel import reading_pool
from medseg.data.raster import PICTURES, extension, read_header, read_pixels
from medseg.errors import DataError
from medseg.tasks import TASKS, SplitSpec, TaskSpec

# Layouts of one data set whose task is known.
KNOWN = {"acdc": "acdc-multiclass", "covid_radiography": "covid-lung"}
MULTIPLE = 32
LARGEST = 2**14  # as a task allows
MOST_VALUES = 32
SPLIT_FILE = "splits_final.json"  # as nnU-Net calls it
# Colour or grey is decided by looking at so many pictures.
LOOKED_AT = 20
_PLACEHOLDER: dict[str, Any] = {"labels": {"any": 1}, "image_size": (256, 256)}


def guess_task(path: Path, cache_dir: Path, advance: Advance = lambda done, total: None) -> TaskSpec:
    """Looks at a folder and describes it as a task that a suite could use.

    Args:
        path: The folder.
        cache_dir: Where facts about files are remembered.
        advance: Told how many files of how many are done.

    Returns:
        The registered task of a known data set, else one of the folder's name. Where files are unfit it is as good
        as can be; checking it says what is wrong.

    Raises:
        DataError: If there is no layout that is known, or the labels cannot be told.
    """
    format_, root = detect(path)
    if format_ in KNOWN:
        task: TaskSpec = TASKS.load(KNOWN[format_])
        return task
    name = _free_name(path)
    about: dict[str, Any] = {"name": name, "dataset": name, "format": format_}
    if format_ == "folder":
        cases = _cases(root, about)
        about |= {"labels": _labels_in(cases), "channels": _channels_of(cases)}
    else:
        about |= _described(read_description(root))
    try:
        first = TaskSpec(**about, image_size=_PLACEHOLDER["image_size"])
    except ValidationError as error:
        what = "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())
        raise DataError(f"{root}: cannot be made a task: {what}") from error
    if any(extension(case.label) in PICTURES for case in _reader(format_).read(root, first).cases):
        # Pictures carry no spacing.
        about["unit"] = "px"
        first = first.model_copy(update={"unit": "px"})
    # What is wrong is the check's to say; the files that are fit tell size and spacing.
    dataset, _ = survey_dataset(first, root, cache_dir, advance)
    return first if dataset is None else TaskSpec(**about, **_grid(dataset), split=_split(dataset))


def detect(path: Path) -> tuple[str, Path]:
    """Returns the format of a folder, and the folder that holds its layout.

    Raises:
        DataError: If no reader knows it.
    """
    located: list[tuple[str, Path]] = []
    filled: dict[Path, str] = {}
    for name in READERS:
        root = _reader(name).locate(path)
        if root is not None:
            located.append((name, root))
            # A folder called `training` alone makes no ACDC.
            found = _reader(name).read(root, TaskSpec(name=name, dataset=name, format=name, **_PLACEHOLDER))
            if found.cases or found.problems:
                filled.setdefault(root, name)
    if len(filled) > 1:
        several = ", ".join(f"{root} ({name})" for root, name in filled.items())
        raise DataError(f"{path} holds several data sets; give one of them: {several}")
    if filled:
        root, name = next(iter(filled.items()))
        return name, root
    if located:
        return located[0]
    looked = "; ".join(f"{name}: {_reader(name).LAYOUT}" for name in READERS)
    raise DataError(f"{path} holds no layout that is known (looked for {looked})")


def _reader(name: str) -> Reader:
    reader: Reader = import_module(READERS[name])
    return reader


def _free_name(path: Path) -> str:
    name = re.sub(r"[^\w.-]+", "-", path.resolve().name).strip("-") or "data"
    return f"{name}-own" if name in TASKS.names() else name


def _described(description: Description) -> dict[str, Any]:
    """Labels and channels of ``dataset.json``; values that only regions of several name get names of their own."""
    labels = {name: values[0] for name, values in description.labels if len(values) == 1 and values[0] != 0}
    ignored = labels.pop("ignore", None)
    left = sorted(description.values - {0, *labels.values()})
    labels |= {f"label_{value}": value for value in left}
    about: dict[str, Any] = {"labels": labels, "channels": len(description.channels)}
    return about if ignored is None else about | {"background": (ignored,)}


def _cases(root: Path, about: dict[str, Any]) -> tuple[Case, ...]:
    """Cases of a plain folder with as many channel files for each image as leave nothing unpaired."""
    for channels in (1, 2, 3, 4):
        found = _reader("folder").read(root, TaskSpec(**about, **_PLACEHOLDER, channels=channels))
        if found.cases and not found.problems:
            return found.cases
    return _reader("folder").read(root, TaskSpec(**about, **_PLACEHOLDER)).cases


def _labels_in(cases: Sequence[Case]) -> dict[str, int]:
    """Reads all masks for the values that they hold."""
    if not cases:
        # The check says what is missing.
        return {"label_1": 1}
    with reading_pool() as pool:
        found = {value for values in pool.map(_values, [case.label for case in cases]) for value in values}
    values = sorted(found - {0.0})
    if not values:
        raise DataError(f"no mask of {len(cases)} holds a value other than 0: there is nothing to learn")
    if len(values) > MOST_VALUES or not all(value.is_integer() and value > 0 for value in values):
        shown = ", ".join(f"{value:g}" for value in values[:5])
        raise DataError(
            f"the masks hold {len(values)} different values ({shown}, ...), which are no labels: masks need one "
            f"whole number for each label (a JPEG cannot keep them)"
        )
    return {f"label_{value:.0f}": int(value) for value in values}


def _values(path: Path) -> list[float]:
    try:
        return [float(value) for value in np.unique(read_pixels(path, indices=True)[0])]
    except (DataError, OSError):
        # The check says what is wrong with the file.
        return []


def _channels_of(cases: Sequence[Case]) -> int:
    """Channels of the first images; grey pictures stored as colours have one."""
    counts: Counter[int] = Counter()
    for case in cases[:LOOKED_AT]:
        try:
            count = sum(read_header(path).channels for path in case.images)
            coloured = count == 3 and len(case.images) == 1 and extension(case.image) in PICTURES
            grey = coloured and _grey(read_pixels(case.image))
        except (DataError, OSError):
            continue
        counts[1 if grey else count] += 1
    return max(counts, default=1)


def _grey(pixels: Any) -> bool:
    return bool((pixels == pixels[:1]).all())


def _grid(dataset: DataSet) -> dict[str, Any]:
    """Size of most images, rounded up to what every model can halve often enough; spacing of volumes."""
    rows, columns = Counter(case.shape[-2:] for case in dataset.cases).most_common(1)[0][0]
    grid: dict[str, Any] = {"image_size": (_up(rows), _up(columns))}
    if dataset.task.unit == "mm" and all(len(case.shape) == 3 for case in dataset.cases):
        spacings = [case.spacing_mm[-2:] for case in dataset.cases]
        grid["spacing_mm"] = tuple(float(f"{median(axis):.6g}") for axis in zip(*spacings, strict=True))
    return grid


def _up(pixels: int) -> int:
    return min(-(-pixels // MULTIPLE) * MULTIPLE, LARGEST)


def _split(dataset: DataSet) -> SplitSpec:
    """The data set's own test part, else a share; as many folds as there are patients for, at most five."""
    tested = {case.patient for case in dataset.cases if case.part == "test"}
    patients = len(dataset.patients)
    left = patients - (len(tested) or max(1, round(0.2 * patients)))
    folds = min(5, max(2, left))
    test: Literal["official"] | float = "official" if tested else 0.2
    if (dataset.root / SPLIT_FILE).is_file():
        return SplitSpec(test=test, file=SPLIT_FILE)
    return SplitSpec(test=test, folds=folds)
