"""Whose a case is: from a list, from its name, or from what lies beside its reference."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from medseg.data.case import Phase
from medseg.data.formats.acdc import PHASES, read_info
from medseg.data.groups import Groups, matched, read_group_file
from medseg.data.raster import stem
from medseg.errors import DataError
from medseg.scoring.files import LabelFile
from medseg.scoring.frames import patients_by_name, phase_of

INFO = "Info.cfg"
_FRAME = re.compile(r"frame(\d+)")
T = TypeVar("T")


@dataclass(frozen=True)
class Owner:
    """Whose a case is.

    Args:
        patient: The unit of all statistics.
        subgroup: Pathology group, or empty.
        phase: End-diastole or end-systole, or empty.
    """

    patient: str
    subgroup: str = ""
    phase: Phase = ""


def owners(
    references: Mapping[str, LabelFile], groups: Path | None = None, pattern: str | None = None
) -> tuple[dict[str, Owner], list[str]]:
    """Says whose each case is: by the list, else by the pattern, else by ACDC's ``Info.cfg``.

    Where there is none of them, names that end in a frame, slice or phase tell (`patients_by_name`), else a case is
    its own patient. A name's phase counts where nothing else says one.

    Args:
        references: By case id.
        groups: CSV with columns image and patient, and optionally subgroup and phase.
        pattern: Regular expression whose first group in a case's id is the patient.

    Returns:
        Owners by case id, and notes.

    Raises:
        DataError: If the list cannot be read or names no case, the pattern does not fit, or an ``Info.cfg``
            cannot be read.
    """
    listed = read_group_file(groups) if groups else Groups()
    info_of = cache(_info)  # one file for the cases of a patient
    beside = {case: _beside(file.path, info_of) for case, file in references.items()}
    asked = groups is not None or pattern is not None
    bare = {} if asked else {case: file for case, file in references.items() if beside[case] is None}
    named, notes = _named(bare)
    found, unlisted = {}, 0
    for case, file in references.items():
        owner = beside[case] or Owner(named.get(case, case), phase=phase_of(file))
        names = (case, file.name, stem(file.path))
        patient = _first(listed.patients, names)
        unlisted += patient is None
        if patient is None and pattern is not None:
            patient = matched(pattern, case)
            if not patient:
                raise DataError(f"the pattern of patients {pattern!r} does not fit '{case}'")
        found[case] = Owner(
            patient or owner.patient,
            _first(listed.subgroups, names) or owner.subgroup,
            _first(listed.phases, names) or owner.phase,
        )
    if groups and unlisted == len(found):
        first = next(iter(listed.patients), "nothing")
        raise DataError(f"{groups}: must name cases such as '{next(iter(found))}', names e.g. '{first}'")
    notes += [f"{groups} leaves out {unlisted} of {len(found)} cases"] if groups and unlisted else []
    return found, notes


def _named(files: Mapping[str, LabelFile]) -> tuple[dict[str, str], list[str]]:
    """Returns patients of cases of which only the name is known, and a note on what was assumed."""
    named, end = patients_by_name(files)
    if len(files) < 2:
        return named, []
    count = len(set(named.values()))
    patients = "1 patient" if count == 1 else f"{count} patients"
    taken = f" taken for {patients} by their names (...{end})" if named else ", each taken for a patient"
    return named, [f"{len(files)} cases{taken}; --patient-pattern or --groups say otherwise"]


def _first(values: Mapping[str, T], names: tuple[str, ...]) -> T | None:
    return next((values[name] for name in names if name in values), None)


def _beside(reference: Path, info_of: Callable[[Path], dict[str, str] | None]) -> Owner | None:
    """Reads the ``Info.cfg`` beside a reference, as ACDC has one per patient; none where there is none."""
    facts = info_of(reference.parent)
    if facts is None:
        return None
    frame = _FRAME.search(reference.name)
    phases = [phase for phase in PHASES if frame and facts.get(phase, "").strip() == str(int(frame[1]))]
    return Owner(reference.parent.name, facts.get("Group", ""), phases[0] if phases else "")


def _info(folder: Path) -> dict[str, str] | None:
    path = folder / INFO
    if not path.is_file():
        return None
    try:
        return read_info(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
