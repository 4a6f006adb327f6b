"""Divides patients, never images or slices, into a test part and folds."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from medseg.data.case import Case, DataSet
from medseg.errors import DataError
from medseg.tasks import SplitSpec, TaskSpec


@dataclass(frozen=True)
class Split:
    """Who is tested on, and the folds of the others.

    Args:
        test: Patients of the test part, sorted.
        folds: Patients of each fold, sorted; together they are everyone else.
    """

    test: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]

    @cached_property
    def hash(self) -> str:
        """16 hex digits over the assignment."""
        text = json.dumps({"test": self.test, "folds": self.folds})
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


def make_split(task: TaskSpec, dataset: DataSet) -> Split:
    """Divides a data set's patients as ``task.split`` says.

    The same patients give the same split on every machine: order follows a hash of seed and name, not a random
    stream or a folder listing.

    Raises:
        DataError: If there are too few patients, a patient stands in both official parts, or two patients of
            different parts share the very same image.
    """
    spec = task.split
    groups = _groups(dataset.cases)
    test = _official_test(dataset) if isinstance(spec.test, str) else _draw(groups, spec, spec.test)
    rest = {patient: group for patient, group in groups.items() if patient not in test}
    if len(rest) < spec.folds:
        raise DataError(
            f"{dataset.root}: {spec.folds} folds need at least {spec.folds} patients outside the test part, "
            f"found {len(rest)} of {len(groups)}"
        )
    members: list[list[str]] = [[] for _ in range(spec.folds)]
    for number, patient in enumerate(p for group in _ordered(rest, spec, "fold") for p in group):
        members[number % spec.folds].append(patient)
    split = Split(tuple(sorted(test)), tuple(tuple(sorted(fold)) for fold in members))
    _refuse_leaks(dataset, split)
    return split


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
    for case in dataset.cases:
        other = seen.setdefault(case.digest, case) if case.digest else case
        if part[case.patient] != part[other.patient]:
            raise DataError(
                f"{dataset.root}: '{case.id}' (patient {case.patient}, {part[case.patient]}) and '{other.id}' "
                f"(patient {other.patient}, {part[other.patient]}) are the very same image: list both under one "
                f"patient or remove one"
            )
