"""Finds a task's data and lists its cases: headers, hashes, who is who, and which images are alike."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from medseg.data.agree import disagreements, pictures_in_mm, relative
from medseg.data.cache import source_hash, unwritable, write_atomically
from medseg.data.case import Case, DataSet, Reader, natural
from medseg.data.files import Advance, FactCache, FileFacts
from medseg.data.groups import assign, guess, read_groups
from medseg.data.known import how_known
from medseg.data.likeness import alike_pairs
from medseg.data.phantom import ensure_phantom
from medseg.errors import DataError
from medseg.tasks import TaskSpec

# One line per layout; each module is a `medseg.data.case.Reader`.
READERS: Mapping[str, str] = {
    "acdc": "medseg.data.formats.acdc",
    "covid_radiography": "medseg.data.formats.covid_radiography",
    "nnunet": "medseg.data.formats.nnunet",
    "decathlon": "medseg.data.formats.decathlon",
    "folder": "medseg.data.formats.folder",
}
SHOWN_PROBLEMS = 10
# Of 256 bits: rescaling, recompression, exposure, blur and a crop by 1% change up to 32; the nearest two patients
# of the real subsets differ in 78 (X-ray) and 90 (MR), of generated ones in 60.
ALIKE_BITS = 32


class DataProblems(DataError):
    """A data set is not what its task declares.

    Args:
        where: Its folder.
        problems: All of them; the message shows the first ten.
    """

    def __init__(self, where: Path, problems: Sequence[str]):
        self.problems = tuple(problems)
        shown = "; ".join(self.problems[:SHOWN_PROBLEMS])
        hidden = len(self.problems) - SHOWN_PROBLEMS
        more = f"; and {hidden} more (bench data check lists all)" if hidden > 0 else ""
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{where}: {count}: {shown}{more}")


def reader_of(task: TaskSpec) -> Reader:
    """Returns the reader of a task's format."""
    reader: Reader = import_module(READERS[task.format])
    return reader


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
        kind = "is a file, not a folder:" if candidate.is_file() else "no folder"
        raise DataError(f"{kind} {candidate} for the data set '{name}' of task '{task.name}'; {hint}")
    reader = reader_of(task)
    try:
        root: Path | None = reader.locate(candidate)
    except OSError as error:
        raise unreadable(candidate, error) from error
    if root is None:
        raise DataError(
            f"{candidate} does not hold the data set '{name}' of task '{task.name}' (looked for "
            f"{reader.LAYOUT}); {hint}"
        )
    return root


def index_dataset(
    task: TaskSpec,
    root: Path,
    cache_dir: Path,
    advance: Advance = lambda done, total: None,
    beside: Path | None = None,
) -> DataSet:
    """Lists the cases of a task's data set and fingerprints every file used.

    Args:
        task: The task.
        root: A folder as `resolve_root` accepts it.
        cache_dir: Where facts are remembered by path, size and time, so that a second look is instant.
        advance: Told how many files of how many are done.
        beside: Where else to look for files that the task names: the suite's folder.

    Returns:
        The data set, its cases sorted.

    Raises:
        DataProblems: If files are missing or unfit; holds all problems.
        DataError: If there are no cases, or the list of patients cannot be used.
    """
    dataset, problems = survey_dataset(task, root, cache_dir, advance, beside)
    if dataset is None or problems:
        raise DataProblems(reader_of(task).locate(Path(root)) or Path(root), problems)
    return dataset


def survey_dataset(
    task: TaskSpec,
    root: Path,
    cache_dir: Path,
    advance: Advance = lambda done, total: None,
    beside: Path | None = None,
) -> tuple[DataSet | None, tuple[str, ...]]:
    """Lists the cases of a task's data set that are fit for use, and says what is wrong with the others.

    Takes what `index_dataset` takes.

    Returns:
        The data set of the cases that are fit, sorted, or none if there are none; and all problems.

    Raises:
        DataError: If there are no cases, or the list of patients cannot be used.
    """
    reader = reader_of(task)
    try:
        located = reader.locate(Path(root))
        if located is None:
            raise DataError(f"{root} does not hold {task.format} data: looked for {reader.LAYOUT}")
        folder = located.absolute()
        found = reader.read(folder, task)
    except OSError as error:
        raise unreadable(Path(root), error) from error
    groups = read_groups(task, folder, beside)
    images = [path for case in found.cases for path in case.images]
    extra = (*found.extra, *((groups.file,) if groups.file else ()))
    facts, unfit = FactCache(folder, cache_dir).gather(
        images, [*(case.label for case in found.cases), *extra], advance
    )
    problems = [*found.problems, *(f"{relative(path, folder)}: {text}" for path, text in unfit.items())]
    cases, notes, unassigned = assign(task, found, groups)
    problems += unassigned
    whose = how_known(task, found, groups, cases, folder)
    notes += whose.notes
    problems += whose.problems
    problems += pictures_in_mm(task, cases, folder)
    fit: dict[str, Case] = {}
    for case in cases:
        if any(path not in facts for path in (*case.images, case.label)):
            continue
        wrong = disagreements(task, case, facts, folder)
        if case.id in fit:
            wrong.append(_twice(case, fit[case.id], folder))
        problems += wrong
        if not wrong:
            fit[case.id] = _placed(task, case, facts)
    if not fit and problems:
        return None, tuple(dict.fromkeys(problems))
    if not fit:
        raise DataError(f"{folder}: no case found; looked for {reader.LAYOUT}")
    placed = sorted(fit.values(), key=lambda case: natural(case.id))
    alike = _alike([case.id for case in placed], [facts[case.image].look or "" for case in placed], cache_dir)
    if whose.patients_from == "guessed":
        guessed, more = guess(placed, found.sources, alike)
        placed, notes = list(guessed), [*notes, *more]
    patient = {case.id: case.patient for case in placed}
    # Who is of which patient is part of the split's hash: editing the list makes no array anew.
    lines = sorted(
        f"{relative(path, folder)}\0{known.sha256}\n" for path, known in facts.items() if path != groups.file
    )
    lines += [
        f"{case.id}\0{[relative(path, folder) for path in (*case.images, case.label)]}\n" for case in placed
    ]
    dataset = DataSet(
        task=task,
        root=folder,
        cases=tuple(placed),
        fingerprint=hashlib.sha256("".join(lines).encode()).hexdigest(),
        values=found.values,
        alike=tuple(pair for pair in alike if patient[pair[0]] != patient[pair[1]]),
        notes=(*found.notes, *notes),
        patients_from=whose.patients_from,
    )
    return dataset, tuple(dict.fromkeys(problems))


def unreadable(path: Path, error: OSError) -> DataError:
    """Returns what is said of a folder that cannot be listed."""
    return DataError(f"{error.filename or path}: cannot be read: {error.strerror or error}")


def _twice(case: Case, other: Case, folder: Path) -> str:
    where, there = relative(case.image, folder), relative(other.image, folder)
    if case.part != other.part:
        return f"{where}: '{case.id}' is in both the training and the testing part, see {there}"
    return f"{where}: '{case.id}' exists twice, see {there}"


def _placed(task: TaskSpec, case: Case, facts: Mapping[Path, FileFacts]) -> Case:
    label = facts[case.label]
    spacing = task.file_spacing_mm or label.spacing_mm
    if task.unit == "px":
        spacing = (1.0,) * len(label.shape)
    digests = "".join(facts[path].sha256 for path in case.images)
    digest = digests if len(case.images) == 1 else hashlib.sha256(digests.encode()).hexdigest()
    return replace(case, shape=label.shape, spacing_mm=spacing, digest=digest)


def _alike(ids: Sequence[str], looks: Sequence[str], cache_dir: Path) -> list[tuple[str, str]]:
    """Pairs of cases that look alike; comparing all with all takes seconds for tens of thousands, so it is kept."""
    text = json.dumps([source_hash("likeness"), ALIKE_BITS, looks])
    path = cache_dir / "likeness" / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    try:
        pairs = [(int(first), int(second)) for first, second in json.loads(path.read_text(encoding="utf-8"))]
        if not all(0 <= first < second < len(ids) for first, second in pairs):
            raise ValueError("pairs of other images")
    except (OSError, TypeError, ValueError):
        pairs = list(alike_pairs([bytes.fromhex(item) for item in looks], ALIKE_BITS))
        try:
            write_atomically(path, json.dumps(pairs))
        except OSError as error:
            raise unwritable(path, error) from error
    return [(ids[first], ids[second]) for first, second in pairs]
