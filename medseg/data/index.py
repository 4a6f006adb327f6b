"""Finds a task's data and lists its cases. Reads headers and hashes, no pixels."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from medseg.data import acdc, covid_radiography
from medseg.data.case import Case, DataSet, natural
from medseg.data.files import FactCache, FileFacts
from medseg.data.phantom import ensure_phantom
from medseg.errors import DataError
from medseg.tasks import TaskSpec

READERS: Mapping[str, ModuleType] = {"acdc": acdc, "covid_radiography": covid_radiography}
SHOWN_PROBLEMS = 10


def resolve_root(task: TaskSpec, roots: Mapping[str, Path], cache_dir: Path) -> Path:
    """Finds the folder of a task's data set; a phantom is generated if need be.

    A root given by name comes first, then ``MEDSEG_DATA=DIR`` with the data set in ``DIR/<name>``.

    Args:
        task: The task.
        roots: Data set name to folder, from ``--data NAME=PATH`` and a suite's ``data:`` block.
        cache_dir: Where phantoms are generated.

    Returns:
        The folder that holds the layout, which may lie below the one given. Giving it again returns it again.

    Raises:
        DataError: If no folder was given or it does not hold the layout; says where it looked.
    """
    name = task.dataset
    if name in roots:
        candidate = Path(roots[name]).expanduser()
    elif task.phantom is not None:
        candidate = ensure_phantom(task, cache_dir)
    elif os.environ.get("MEDSEG_DATA"):
        candidate = Path(os.environ["MEDSEG_DATA"]).expanduser() / name
    else:
        raise DataError(
            f"no data for task '{task.name}': give the folder of '{name}' by --data {name}=PATH, by "
            f"'data: {{{name}: PATH}}' in the suite, or put it into DIR/{name} and set MEDSEG_DATA=DIR"
        )
    hint = f"give it by --data {name}=PATH, by 'data:' in the suite or by MEDSEG_DATA=DIR with DIR/{name}"
    if not candidate.is_dir():
        raise DataError(f"no folder {candidate} for the data set '{name}' of task '{task.name}'; {hint}")
    reader = READERS[task.format]
    root: Path | None = reader.locate(candidate)
    if root is None:
        raise DataError(
            f"{candidate} does not hold the data set '{name}' of task '{task.name}' (looked for "
            f"{reader.LAYOUT}); {hint}"
        )
    return root


def index_dataset(task: TaskSpec, root: Path, cache_dir: Path) -> DataSet:
    """Lists the cases of a task's data set and fingerprints every file used.

    Args:
        task: The task.
        root: A folder as `resolve_root` accepts it.
        cache_dir: Where hashes are remembered by path, size and time, so that a second look is instant.

    Returns:
        The data set, its cases sorted.

    Raises:
        DataError: If there are no cases or files are missing or unfit; lists all problems, ten of them shown.
    """
    reader = READERS[task.format]
    folder: Path | None = reader.locate(Path(root))
    if folder is None:
        raise DataError(f"{root} does not hold {task.format} data: looked for {reader.LAYOUT}")
    found = reader.read(folder)
    facts, problems = _facts(folder, (*_files(found.cases), *found.extra), cache_dir)
    cases = []
    for case in found.cases:
        if case.image in facts and case.label in facts:
            image, label = facts[case.image], facts[case.label]
            problems += _mismatch(task, _relative(case.label, folder), image, label)
            cases.append(replace(case, shape=label.shape, spacing_mm=label.spacing_mm, digest=image.sha256))
    problems += _duplicates(cases)
    refuse(folder, [*found.problems, *problems])
    if not cases:
        raise DataError(f"{folder}: no case found; looked for {reader.LAYOUT}")
    cases.sort(key=lambda case: natural(case.id))
    lines = sorted(f"{_relative(path, folder)}\0{known.sha256}\n" for path, known in facts.items())
    return DataSet(task, folder, tuple(cases), hashlib.sha256("".join(lines).encode()).hexdigest())


def refuse(where: Path, problems: Iterable[str]) -> None:
    """Raises one error for all problems, or does nothing where there are none.

    Raises:
        DataError: One line; the first ten problems are shown, the others counted.
    """
    texts = list(problems)
    if not texts:
        return
    shown = "; ".join(texts[:SHOWN_PROBLEMS])
    more = f"; and {len(texts) - SHOWN_PROBLEMS} more" if len(texts) > SHOWN_PROBLEMS else ""
    count = "1 problem" if len(texts) == 1 else f"{len(texts)} problems"
    raise DataError(f"{where}: {count}: {shown}{more}")


def _files(cases: Iterable[Case]) -> Iterable[Path]:
    for case in cases:
        yield case.image
        yield case.label


def _facts(root: Path, paths: Iterable[Path], cache_dir: Path) -> tuple[dict[Path, FileFacts], list[str]]:
    cache = FactCache(root, cache_dir)
    facts: dict[Path, FileFacts] = {}
    problems: list[str] = []
    for path in paths:
        try:
            facts[path] = cache.facts(path)
        except DataError as error:
            problems.append(f"{_relative(path, root)}: {error}")
    cache.save()
    return facts, problems


def _mismatch(task: TaskSpec, where: str, image: FileFacts, label: FileFacts) -> list[str]:
    if task.format == "covid_radiography":
        (h, w), (rows, columns) = image.shape, label.shape
        # Mask and image differ in size in the download; they may not differ in shape beyond rounding.
        if abs(h * columns - w * rows) > max(h, w):
            return [f"{where}: mask of {rows} x {columns} cannot lie on an image of {h} x {w}"]
        return []
    if image.shape != label.shape:
        return [f"{where}: label has shape {label.shape}, its image {image.shape} (Z, Y, X)"]
    if any(abs(a - b) > 1e-3 * a for a, b in zip(image.spacing_mm, label.spacing_mm, strict=True)):
        return [f"{where}: label has spacing {label.spacing_mm} mm, its image {image.spacing_mm} mm"]
    return []


def _duplicates(cases: Iterable[Case]) -> list[str]:
    seen: dict[str, Case] = {}
    problems = []
    for case in cases:
        other = seen.setdefault(case.id, case)
        if other is not case:
            problems.append(f"{case.image.name}: case id '{case.id}' exists twice, see {other.image}")
    return problems


def _relative(path: Path, root: Path) -> str:
    # A groups file may lie in the parent; its place does not change what it says.
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
