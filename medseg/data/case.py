"""The words in which data are spoken of: a case, and a data set of cases."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.tasks import TaskSpec


@dataclass(frozen=True)
class Case:
    """One image with its reference: a volume, or an X-ray.

    Args:
        id: Unique within the data set, e.g. ``"patient001_frame01"``.
        patient: The group that is never divided between parts.
        subgroup: Pathology group, or empty.
        part: The data set's own part, or empty where it has none.
        image: File of the image.
        label: File of the reference label.
        phase: End-diastole or end-systole; empty outside cine MRI.
        shape: Shape of the label, (Z, H, W) or (H, W): the native grid, on which metrics are computed.
        spacing_mm: Spacing of the native grid in the order of `shape`; ones where the files carry none.
        digest: SHA-256 of the image file's content.
    """

    id: str
    patient: str
    subgroup: str
    part: Literal["train", "test", ""]
    image: Path
    label: Path
    phase: Literal["ED", "ES", ""] = ""
    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    digest: str = ""


@dataclass(frozen=True)
class DataSet:
    """The cases of a task as found on disk.

    Args:
        task: The task.
        root: Folder in which the layout was found.
        cases: Sorted by id, in natural order.
        fingerprint: SHA-256 over relative path and content of every file used.
    """

    task: TaskSpec
    root: Path
    cases: tuple[Case, ...]
    fingerprint: str

    @property
    def patients(self) -> tuple[str, ...]:
        """The patients, each once, in the order of their first case."""
        return tuple(dict.fromkeys(case.patient for case in self.cases))

    def case(self, case_id: str) -> Case:
        """Returns a case by its id.

        Raises:
            KeyError: If there is none.
        """
        for case in self.cases:
            if case.id == case_id:
                return case
        raise KeyError(f"no case '{case_id}' in {self.root}")


@dataclass(frozen=True)
class Found:
    """What a reader finds in a layout: cases, other files that were used, and problems in words."""

    cases: tuple[Case, ...]
    extra: tuple[Path, ...]
    problems: tuple[str, ...]


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sorts ``COVID-2`` before ``COVID-10``."""
    return tuple((int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text))
