"""Divides patients, never images or slices, into a test part and folds."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from medseg.data.case import Case, DataSet
from medseg.data.groups import named_file
from medseg.data.split_file import read_split
from medseg.errors import DataError
from medseg.tasks import SplitSpec, TaskSpec


@dataclass(frozen=True)
class Split:
    """Who is tested on, and the folds of the others.

    Args:
        test: Patients of the test part, sorted.
        folds: Patients of each fold, sorted; together they are everyone else.
        members: Hash of which case is of which patient and subgroup.
    """

    test: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]
    members: str = ""

    @cached_property
    def hash(self) -> str:
        """16 hex digits over the assignment of cases to patients and of patients to parts."""
        text = json.dumps({"test": self.test, "folds": self.folds, "members": self.members})
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def patients(self, fold: int) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Returns the patients for training, validation and test when `fold` validates.

        Raises:
            ValueError: If there is no such fold.
        """
        if not 0 <= fold < len(self.folds):
            raise ValueError(f"fold must lie in 0..{len(self.folds) - 1}, got {fold}")
        train = sorted(p for i, members in enumerate(self.folds) if i != fold for p in members)
        return tuple(train), self.folds[fold], self.test


def make_split(task: TaskSpec, dataset: DataSet, beside: Path | None = None) -> Split:
    """Divides a data set's patients as ``task.split`` says.

    The same patients give the same split on every machine: order follows a hash of seed and name, not a random
    stream or a folder listing.

    Args:
        task: The task.
        dataset: Its data.
        beside: Where else to look for a split file: the suite's folder.

    Raises:
        DataError: If there are too few patients, a patient would be in two parts, a split file does not fit, or
            two patients of different parts share the same or nearly the same image.
    """
    spec = task.split
    groups = _groups(dataset.cases)
    tested, folds = None, None
    if spec.file is not None:
        path = named_file(spec.file, dataset.root, "split.file", beside)
        tested, folds = read_split(path, dataset)
        if len(folds) < 2:
            raise DataError(f"{path}: needs at least 2 folds, has {len(folds)}")
    test = tested if tested is not None else _test(dataset, groups, spec)
    rest = {patient: group for patient, group in groups.items() if patient not in test}
    folds = _fold(dataset, rest, spec) if folds is None else _published(spec, dataset, folds, rest)
    who = json.dumps(sorted((case.id, case.patient, case.subgroup) for case in dataset.cases))
    members = hashlib.sha256(who.encode()).hexdigest()[:16]
    split = Split(tuple(sorted(test)), tuple(tuple(sorted(fold)) for fold in folds), members)
    _refuse_leaks(dataset, split)
    return split


def _test(dataset: DataSet, groups: Mapping[str, str], spec: SplitSpec) -> set[str]:
    if spec.test == "official":
        return _official_test(dataset)
    if isinstance(spec.test, tuple):
        unknown = [name for name in spec.test if name not in groups]
        if unknown:
            raise DataError(f"{dataset.root}: split.test names '{unknown[0]}', which is no patient here")
        return set(spec.test)
    return _draw(groups, spec, float(spec.test))


def _fold(dataset: DataSet, rest: Mapping[str, str], spec: SplitSpec) -> list[list[str]]:
    if len(rest) < spec.folds:
        raise DataError(
            f"{dataset.root}: {spec.folds} folds need at least {spec.folds} patients outside the test part, "
            f"found {len(rest)} of {len(dataset.patients)}"
        )
    members: list[list[str]] = [[] for _ in range(spec.folds)]
    for number, patient in enumerate(p for group in _ordered(rest, spec, "fold") for p in group):
        members[number % spec.folds].append(patient)
    return members


def _published(
    spec: SplitSpec, dataset: DataSet, folds: list[list[str]], rest: Mapping[str, str]
) -> list[list[str]]:
    """The folds of a file, without the patients that are tested on; everyone must be somewhere."""
    missing = sorted(rest.keys() - {patient for fold in folds for patient in fold})
    if missing:
        raise DataError(
            f"{dataset.root}: {spec.file} leaves out {len(missing)} patients that are not tested on, "
            f"e.g. '{missing[0]}'"
        )
    kept = [[patient for patient in fold if patient in rest] for fold in folds]
    if not all(kept):
        raise DataError(f"{dataset.root}: split.test takes every patient of a fold of {spec.file}")
    return kept


def _groups(cases: Iterable[Case]) -> dict[str, str]:
    """Patient to subgroup; a patient in several counts as the first by name."""
    found: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        found[case.patient].add(case.subgroup)
    return {patient: min(subgroups) for patient, subgroups in found.items()}


def _official_test(dataset: DataSet) -> set[str]:
    parts: dict[str, set[str]] = {"train": set(), "test": set(), "": set()}
    for case in dataset.cases:
        parts[case.part].add(case.patient)
    both = sorted(parts["train"] & parts["test"])
    if both:
        raise DataError(f"{dataset.root}: patient '{both[0]}' is in both the training and the testing part")
    if not parts["test"]:
        raise DataError(f"{dataset.root}: split.test is 'official', but no case is in the testing part")
    return parts["test"]


def _draw(groups: Mapping[str, str], spec: SplitSpec, share: float) -> set[str]:
    """Draws the test patients: the wanted share overall, and of each subgroup as nearly as whole people allow."""
    ordered = _ordered(groups, spec, "test")
    wanted = max(1, round(share * len(groups)))
    counts = [int(share * len(group)) for group in ordered]
    remainders = [share * len(group) - count for group, count in zip(ordered, counts, strict=True)]
    for index in sorted(range(len(ordered)), key=lambda i: (-remainders[i], i)):
        if sum(counts) < wanted:
            counts[index] += 1
    return {patient for group, count in zip(ordered, counts, strict=True) for patient in group[:count]}


def _ordered(groups: Mapping[str, str], spec: SplitSpec, purpose: str) -> list[list[str]]:
    """Patients by subgroup (one list if not stratified), each in an order that looks random and never changes."""

    def key(patient: str) -> str:
        return hashlib.sha256(f"{spec.seed}/{purpose}/{patient}".encode()).hexdigest()

    strata: dict[str, list[str]] = defaultdict(list)
    for patient, group in groups.items():
        strata[group if spec.stratify else ""].append(patient)
    return [sorted(strata[group], key=key) for group in sorted(strata)]


def _refuse_leaks(dataset: DataSet, split: Split) -> None:
    part = dict.fromkeys(split.test, "test")
    part |= {patient: f"fold {i}" for i, fold in enumerate(split.folds) for patient in fold}
    seen: dict[str, Case] = {}
    pairs: list[tuple[Case, Case, str]] = []
    for case in dataset.cases:
        if case.digest:
            pairs.append((seen.setdefault(case.digest, case), case, "the very same image"))
    by_id = {case.id: case for case in dataset.cases}
    pairs += [(by_id[a], by_id[b], "nearly the same image") for a, b in dataset.alike]
    leaks = [(a, b, how) for a, b, how in pairs if part[a.patient] != part[b.patient]]
    if leaks:
        first, second, how = leaks[0]
        more = f" ({len(leaks) - 1} more such pairs)" if len(leaks) > 1 else ""
        raise DataError(
            f"{dataset.root}: '{first.id}' (patient {first.patient}, {part[first.patient]}) and '{second.id}' "
            f"(patient {second.patient}, {part[second.patient]}) are {how}: list both under one patient in "
            f"groups.csv or remove one{more}"
        )
