"""How it is known which cases are of one patient; refuses what looks like slices of patients that nobody named."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.data.agree import relative
from medseg.data.case import Case, Found, PatientsFrom
from medseg.data.groups import Groups
from medseg.data.names import patients_by_name, patients_by_number, pattern_for
from medseg.tasks import TaskSpec

EACH_ITS_OWN = "(.+)"
"""A `patient_pattern` by which each case is another patient's."""


@dataclass(frozen=True)
class Known:
    """What is known of who is who.

    Args:
        patients_from: How.
        notes: That nothing is, in words.
        problems: If by their names some cases are slices, frames or phases of one patient, but nobody says so.
    """

    patients_from: PatientsFrom
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def how_known(task: TaskSpec, found: Found, groups: Groups, cases: Sequence[Case], folder: Path) -> Known:
    """Says how the patients of cases are known.

    Args:
        task: The task.
        found: What the reader found.
        groups: The list of patients.
        cases: As `medseg.data.groups.assign` returns them.
        folder: Of the data set.
    """
    guessed = found.guess_patients and groups.file is None
    if task.phantom is not None and not guessed:  # its generator makes patients
        return Known("listed" if groups.patients else "layout")
    if task.patient_pattern is not None:
        return Known("listed" if all(case.id in groups.patients for case in cases) else "pattern")
    own = [case for case in cases if case.id not in groups.patients and case.patient == case.id]
    problems = _sliced(own, cases, folder)
    if guessed:
        return Known("guessed", problems=problems)
    if not own:
        return Known("listed" if any(case.id in groups.patients for case in cases) else "layout")
    if problems or len(own) < len(cases):
        return Known("images" if len(own) == len(cases) else "partly", problems=problems)
    note = (
        f"nothing says who is who: each of {len(own)} images counts as its own patient; if some are of one, say so "
        f"by groups.csv or patient_pattern ('{EACH_ITS_OWN}' says that none are)"
    )
    return Known("images", notes=(note,))


def _sliced(own: Sequence[Case], cases: Sequence[Case], folder: Path) -> tuple[str, ...]:
    """Returns one problem if cases that count as their own patient share one with others by their names."""
    names = {case.id: case.id for case in cases}
    for patients, end in (patients_by_name(names), patients_by_number(names)):
        size = Counter(patients.values())
        some = [case for case in own if size[patients.get(case.id, "")] > 1]
        if some:
            theirs = {patients[case.id] for case in some}
            images, count = sum(size[patient] for patient in theirs), len(theirs)
            pattern = pattern_for(patients, end)
            line = f"patient_pattern: '{pattern}' in the task, or " if pattern else ""
            return (
                f"{relative(some[0].image, folder)}: by their names (...{end}) {images} images are of {count} "
                f"{'patient' if count == 1 else 'patients'}, but nothing says so and each would count as its own; "
                f"write {line}groups.csv with columns image, patient "
                f"(or patient_pattern: '{EACH_ITS_OWN}' if each is of another patient)",
            )
    return ()
