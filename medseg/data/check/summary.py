"""The numbers of a checked data set as plain values: for tables, HTML and scripts alike."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from medseg.data.case import DataSet
from medseg.data.check import Report
from medseg.data.check.inspect_case import CaseFacts


@dataclass(frozen=True)
class Spread:
    """How a number varies over cases.

    Args:
        name: What it is, with its unit.
        low: Smallest.
        middle: Median.
        high: Largest.
    """

    name: str
    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class PartSummary:
    """One part of the split, or all.

    Args:
        name: `test`, `fold 0`, ... or `all`.
        patients: Patients in it.
        cases: Their cases.
        subgroups: Patients of each subgroup; one of several subgroups counts in each.
    """

    name: str
    patients: int
    cases: int
    subgroups: dict[str, int]


@dataclass(frozen=True)
class LabelSummary:
    """One foreground label.

    Args:
        name: Its name.
        value: Its value in the files.
        cases: Cases that have it.
        share: Of all pixels of all cases, 0..1.
        foreground_share: Of all pixels with any label, 0..1.
        volume_ml: Smallest, median and largest volume over the cases that have it; none where nothing is in mm.
    """

    name: str
    value: int
    cases: int
    share: float
    foreground_share: float
    volume_ml: tuple[float, float, float] | None


def spreads(report: Report) -> tuple[Spread, ...]:
    """Returns shapes, spacings and intensities over the cases; intensities of those that can be read."""
    if report.dataset is None:
        return ()
    return tuple(_spreads(report.dataset, report.facts))


def _spreads(dataset: DataSet, facts: Sequence[CaseFacts]) -> Iterator[Spread]:
    for names, of in (
        (("slices", "rows", "columns"), [case.shape for case in dataset.cases]),
        (("between slices, mm", "between rows, mm", "between columns, mm"), _spacings(dataset)),
        (("lowest intensity", "1% intensity", "99% intensity", "highest intensity"), _intensities(facts)),
    ):
        # Last axes first: a data set may hold volumes beside single planes.
        longest = max(map(len, of), default=0)
        for place in range(-longest, 0):
            yield _spread(names[place], [values[place] for values in of if len(values) >= -place])


def _spacings(dataset: DataSet) -> list[tuple[float, ...]]:
    # In pixels every spacing is 1, which is not worth three lines.
    return [case.spacing_mm for case in dataset.cases] if dataset.task.unit == "mm" else []


def _intensities(facts: Sequence[CaseFacts]) -> list[tuple[float, ...]]:
    return [item.intensities for item in facts if item.intensities]


def _spread(name: str, values: Sequence[float]) -> Spread:
    return Spread(name, float(min(values)), float(np.median(values)), float(max(values)))


def parts(report: Report) -> tuple[PartSummary, ...]:
    """Returns who is in which part of the split, and in all."""
    if report.dataset is None:
        return ()
    groups = [("all", report.dataset.patients)]
    if report.split is not None:
        groups.append(("test", report.split.test))
        groups += [(f"fold {number}", fold) for number, fold in enumerate(report.split.folds)]
    return tuple(_part(report.dataset, name, frozenset(patients)) for name, patients in groups)


def _part(dataset: DataSet, name: str, patients: frozenset[str]) -> PartSummary:
    cases = [case for case in dataset.cases if case.patient in patients]
    pairs = {(case.subgroup, case.patient) for case in cases}
    counts = Counter(subgroup for subgroup, _ in pairs if subgroup)
    return PartSummary(name, len(patients), len(cases), dict(sorted(counts.items())))


def labels(report: Report) -> tuple[LabelSummary, ...]:
    """Returns how often each foreground label occurs, over the cases whose label can be read."""
    known = [item for item in report.facts if item.pixels]
    if not known:
        return ()
    pixels = np.array([item.pixels for item in known], dtype=np.int64)
    per_class, foreground = pixels.sum(axis=0), max(int(pixels[:, 1:].sum()), 1)
    in_mm = report.task.unit == "mm" and all(len(item.case.shape) == 3 for item in known)
    voxel_ml = np.array([item.voxel_ml for item in known])
    found = []
    for index, (name, value) in enumerate(report.task.labels.items(), start=1):
        there = pixels[:, index] > 0
        volumes = (pixels[:, index] * voxel_ml)[there]
        found.append(
            LabelSummary(
                name,
                value,
                int(there.sum()),
                float(per_class[index] / per_class.sum()),
                float(per_class[index] / foreground),
                (float(volumes.min()), float(np.median(volumes)), float(volumes.max()))
                if in_mm and len(volumes)
                else None,
            )
        )
    return tuple(found)


def as_tree(report: Report) -> dict[str, Any]:
    """Returns a report as JSON can hold it."""
    dataset = report.dataset
    return {
        "task": report.task.name,
        "format": report.task.format,
        "root": str(report.root),
        "fingerprint": dataset.fingerprint if dataset else None,
        "cases": len(dataset.cases) if dataset else None,
        "patients": len(dataset.patients) if dataset else None,
        "patients_from": dataset.patients_from if dataset else None,
        "parts": [asdict(part) for part in parts(report)],
        "over_cases": [asdict(spread) for spread in spreads(report)],
        "labels": [asdict(label) for label in labels(report)],
        "notes": list(dataset.notes) if dataset else [],
        "problems": [asdict(finding) for finding in report.problems],
        "warnings": [asdict(finding) for finding in report.warnings],
        "verdict": report.verdict,
    }
