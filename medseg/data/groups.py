"""Who is who: which cases are of one patient, from a list, from the case's name, or guessed from what is alike."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medseg.data.case import Case, Found, Phase, natural
from medseg.data.raster import stem
from medseg.errors import DataError
from medseg.tasks import TaskSpec

# A page that more images come from is a collection (a whole challenge, a repository), not one patient's case.
LARGEST_SOURCE = 10

_GROUP_FILES = ("groups.csv", "sources.csv")
_IMAGE_COLUMNS = ("image", "case_id", "case", "filename", "file_name")
_PATIENT_COLUMNS = ("group", "patient_id", "patient")
_SUBGROUP_COLUMNS = ("subgroup", "pathology")
_PHASE_COLUMNS = ("phase",)
# Other words, such as those of a contrast agent, are none of the heart.
_PHASES: Mapping[str, Phase] = {"ED": "ED", "ES": "ES"}


@dataclass(frozen=True)
class Groups:
    """What a list of patients says.

    Args:
        file: The list; none where there is none.
        patients: Patient by case id.
        subgroups: Subgroup by case id.
        phases: End-diastole or end-systole by case id.
        named: The task names it, or it lies in the data set's own folder; else it may be of another one.
    """

    file: Path | None = None
    patients: Mapping[str, str] = field(default_factory=dict)
    subgroups: Mapping[str, str] = field(default_factory=dict)
    phases: Mapping[str, Phase] = field(default_factory=dict)
    named: bool = True


def read_groups(task: TaskSpec, root: Path, beside: Path | None = None) -> Groups:
    """Reads the list of patients: ``task.groups``, else ``groups.csv`` in a data set's folder or its parent.

    Args:
        task: The task.
        root: Folder of the data set.
        beside: Where else to look for a file that the task names: the suite's folder.

    Raises:
        DataError: If the list that the task names does not exist, cannot be read or lacks its columns.
    """
    if task.groups is not None:
        path = named_file(task.groups, root, "groups", beside)
    else:
        places = [folder / name for folder in (root, root.parent) for name in _GROUP_FILES]
        found = next((place for place in places if place.exists()), None)
        if found is None:
            return Groups()
        path = found
    return read_group_file(path, named=task.groups is not None or path.parent == root)


def read_group_file(path: Path, named: bool = True) -> Groups:
    """Reads a list of patients: a CSV with columns image and patient, and optionally subgroup and phase.

    Args:
        path: The file.
        named: See `Groups`.

    Raises:
        DataError: If it cannot be read, lacks its columns, or says two things of one image.
    """
    columns, rows = _table(path)
    image, patient, subgroup, phase = (
        next((name for name in names if name in columns), None)
        for names in (_IMAGE_COLUMNS, _PATIENT_COLUMNS, _SUBGROUP_COLUMNS, _PHASE_COLUMNS)
    )
    if image is None or patient is None:
        wanted = f"one of {', '.join(_IMAGE_COLUMNS)} and one of {', '.join(_PATIENT_COLUMNS)}"
        raise DataError(f"{path}: needs columns {wanted}, has {', '.join(columns) or 'none'}")
    phases = _column(path, rows, image, phase) if phase else {}
    return Groups(
        path,
        _column(path, rows, image, patient),
        _column(path, rows, image, subgroup) if subgroup else {},
        {name: known for name, word in phases.items() if (known := _PHASES.get(word.upper()))},
        named,
    )


def _table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Reads a CSV with commas, semicolons or tabs: its columns and rows."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        heading = text.partition("\n")[0]
        reader = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=heading.count))
        rows = [{key: value or "" for key, value in row.items() if key is not None} for row in reader]
        return list(reader.fieldnames or ()), rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _column(path: Path, rows: Iterable[Mapping[str, str]], image: str, column: str) -> dict[str, str]:
    """Returns one column by image; an image with two different values is refused."""
    found: dict[str, str] = {}
    for row in rows:
        name, value = stem(Path(row[image].strip())), row[column].strip()
        if value and found.setdefault(name, value) != value:
            raise DataError(f"{path}: '{name}' has two values of {column}: '{found[name]}' and '{value}'")
    return found


def named_file(name: str, root: Path, what: str, beside: Path | None) -> Path:
    """Returns a file that a task names: absolute, or relative to the suite's or the data set's folder.

    Raises:
        DataError: If it is at none of these places.
    """
    given = Path(name).expanduser()
    places = list(dict.fromkeys([*([beside] if beside else []), root, root.parent]))
    for place in places:
        if (place / given).is_file():
            return place / given
    raise DataError(f"{what}: no file '{name}' (looked in {', '.join(map(str, places))})")


def assign(task: TaskSpec, found: Found, groups: Groups) -> tuple[tuple[Case, ...], list[str], list[str]]:
    """Says who is who by the list, else by the pattern, else as the layout says.

    Returns:
        The cases with their patients and subgroups; notes; problems.
    """
    known = {case.id for case in found.cases}
    cases = tuple(_known_as(task, case, groups) for case in found.cases)
    notes, problems = [], []
    if groups.file is not None:
        listed = groups.patients.keys() & known
        if not listed and groups.named:
            first = next(iter(groups.patients), "nothing")
            problems.append(
                f"{groups.file.name}: must name cases such as '{min(known, default='')}', names none of the "
                f"{len(known)}, but e.g. '{first}'"
            )
        elif not listed:
            notes.append(f"{groups.file} names none of the cases and was left aside")
        strangers = len(groups.patients.keys() - known)
        if listed and strangers:
            notes.append(f"{groups.file.name} also names {strangers} images that are not there")
        if listed and len(listed) < len(known):
            notes.append(
                f"{groups.file.name} leaves out {len(known) - len(listed)} of {len(known)} cases; each counts as "
                f"its own patient unless the layout knows better"
            )
    if task.patient_pattern is not None:
        unmatched = [
            case.id
            for case in found.cases
            if case.id not in groups.patients and not matched(task.patient_pattern, case.id)
        ]
        if unmatched:
            problems.append(
                f"patient_pattern {task.patient_pattern!r} does not fit '{unmatched[0]}'"
                + (f" and {len(unmatched) - 1} others" if len(unmatched) > 1 else "")
            )
    return cases, notes, problems


def _known_as(task: TaskSpec, case: Case, groups: Groups) -> Case:
    patient = groups.patients.get(case.id)
    if patient is None and task.patient_pattern is not None:
        patient = matched(task.patient_pattern, case.id)
    return replace(
        case,
        patient=patient or case.patient,
        subgroup=groups.subgroups.get(case.id, case.subgroup),
        phase=groups.phases.get(case.id, case.phase),
    )


def matched(pattern: str, name: str) -> str:
    """Returns the pattern's first group in a name; empty where it does not fit, or fits with an empty group."""
    match = re.search(pattern, name)
    return (match.group(1) or "") if match else ""


def guess(
    cases: Sequence[Case], sources: Mapping[str, str], alike: Iterable[tuple[str, str]]
) -> tuple[tuple[Case, ...], list[str]]:
    """Groups cases whose patients nobody listed: those of one case page, and those that are or look alike.

    Being wrong is safe in one direction only: two patients taken for one never leak.

    Args:
        cases: The cases.
        sources: By case id, the page that an image was taken from.
        alike: Pairs of case ids whose images are nearly the same.

    Returns:
        The cases with their patients, each named after its first image; and what was grouped, in words.
    """
    pages: dict[str, list[str]] = defaultdict(list)
    for case_id, page in sources.items():
        pages[page].append(case_id)
    case_pages = {page: ids for page, ids in pages.items() if 2 <= len(ids) <= LARGEST_SOURCE}
    # Blank images look like nothing, but the same file is the same image.
    first_of: dict[str, str] = {}
    pairs = [(first_of.setdefault(case.digest, case.id), case.id) for case in cases if case.digest]
    pairs = sorted({*alike, *((first, second) for first, second in pairs if first != second)})
    links = [(ids[0], other) for ids in case_pages.values() for other in ids[1:]] + pairs
    leader = dict(_components([case.id for case in cases], links))
    sizes = Counter(leader.values())
    grouped = sum(size for size in sizes.values() if size > 1)
    collections = sum(len(ids) > LARGEST_SOURCE for ids in pages.values())
    notes = [
        f"no groups.csv says who is who: {grouped} of {len(cases)} images were grouped into "
        f"{sum(size > 1 for size in sizes.values())} patients (largest {max(sizes.values(), default=0)}), by "
        f"{len(case_pages)} source pages and {len(pairs)} pairs of nearly the same image; each other image counts "
        f"as its own patient"
    ]
    if collections:
        notes.append(
            f"{collections} source pages with over {LARGEST_SOURCE} images say nothing about patients"
        )
    return tuple(replace(case, patient=leader[case.id]) for case in cases), notes


def _components(names: Sequence[str], links: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yields each name with the first name, in natural order, of those it is linked with."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for first, second in links:
        if first in parent and second in parent:
            low, high = sorted((root(first), root(second)), key=natural)
            parent[high] = low
    for name in names:
        yield name, root(name)
