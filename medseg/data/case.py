"""The words in which data are spoken of: a case, and a data set of cases."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

from medseg.tasks import TaskSpec

Part = Literal["train", "test", ""]
Phase = Literal["ED", "ES", ""]
PatientsFrom = Literal["listed", "pattern", "layout", "guessed", "partly", "images", ""]
"""How patients are known: by a list, a pattern, the layout; guessed by source and likeness; not of some, not of any
image, each of which counts as a patient; empty: nobody says how."""


@dataclass(frozen=True)
class Case:
    """One image with its reference: a volume, or an X-ray.

    Args:
        id: Unique within the data set, e.g. ``"patient001_frame01"``.
        patient: The group that is never divided between parts.
        subgroup: Pathology group, or empty.
        part: The data set's own part, or empty where it has none.
        images: Files of the image: one, or one per channel.
        label: File of the reference label.
        phase: End-diastole or end-systole; empty outside cine MRI.
        shape: Shape of the label, (Z, H, W) or (H, W): the native grid, on which metrics are computed.
        spacing_mm: Spacing of the native grid in the order of `shape`; ones where the files carry none.
        digest: SHA-256 over the image files' content.
    """

    id: str
    patient: str
    subgroup: str
    part: Part
    images: tuple[Path, ...]
    label: Path
    phase: Phase = ""
    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    digest: str = ""

    @property
    def image(self) -> Path:
        """The file of the first channel."""
        return self.images[0]


@dataclass(frozen=True)
class DataSet:
    """The cases of a task as found on disk.

    Args:
        task: The task.
        root: Folder in which the layout was found.
        cases: Sorted by id, in natural order.
        fingerprint: SHA-256 over relative path and content of every file used.
        values: Label values that the files may hold.
        alike: Pairs of case ids, of different patients, whose images are the same or nearly so.
        notes: What was assumed on the way, in words: who was grouped, and by what.
        patients_from: How the patients are known.
    """

    task: TaskSpec
    root: Path
    cases: tuple[Case, ...]
    fingerprint: str
    values: frozenset[int] = frozenset()
    alike: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    patients_from: PatientsFrom = ""

    @property
    def patients(self) -> tuple[str, ...]:
        """The patients, each once, in the order of their first case."""
        return tuple(dict.fromkeys(case.patient for case in self.cases))

    @cached_property
    def _by_id(self) -> dict[str, Case]:
        return {case.id: case for case in self.cases}

    def case(self, case_id: str) -> Case:
        """Returns a case by its id.

        Raises:
            KeyError: If there is none.
        """
        try:
            return self._by_id[case_id]
        except KeyError:
            raise KeyError(f"no case '{case_id}' in {self.root}") from None


@dataclass(frozen=True)
class Found:
    """What a reader finds in a layout.

    Args:
        cases: The cases; shape, spacing and digest are filled in later.
        extra: Other files that were used and belong to the fingerprint.
        problems: What is wrong, in words that start with the file.
        values: Label values that the layout declares, beside those of the task.
        sources: By case id, the page that an image was taken from, where no list of patients exists.
        guess_patients: The layout cannot say who is who: group by source and by likeness.
        notes: What was assumed, in words.
    """

    cases: tuple[Case, ...]
    extra: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()
    values: frozenset[int] = frozenset()
    sources: Mapping[str, str] = field(default_factory=dict)
    guess_patients: bool = False
    notes: tuple[str, ...] = ()


class Reader(Protocol):
    """A layout: one module of `medseg.data` with these two functions and a description."""

    LAYOUT: str

    def locate(self, path: Path) -> Path | None:
        """Returns the folder that holds the layout, at `path` or where downloads put it."""

    def read(self, root: Path, task: TaskSpec) -> Found:
        """Lists the cases below a folder that `locate` returned, without opening any image."""


def left_out_note(names: Iterable[str]) -> tuple[str, ...]:
    """Returns a note about files and folders that a reader did not use, or none where it used all."""
    shown = sorted(names, key=natural)
    if not shown:
        return ()
    what = "1 file or folder was" if len(shown) == 1 else f"{len(shown)} files or folders were"
    return (f"{what} left out, e.g. {shown[0]}",)


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sorts ``COVID-2`` before ``COVID-10``."""
    parts = re.split(r"([0-9]+)", text)
    # The text itself comes last, so that 1 and 01 have an order, too.
    return (
        *((int(part), "") if part.isascii() and part.isdigit() else (0, part) for part in parts),
        (0, text),
    )
