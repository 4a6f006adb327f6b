"""Whose cases are where nobody says so: `medseg.data.names` of label files."""

from collections.abc import Mapping

from medseg.data import names
from medseg.data.case import Phase
from medseg.scoring.files import LabelFile


def patients_by_name(files: Mapping[str, LabelFile]) -> tuple[dict[str, str], str]:
    """Returns patients of references by case id, and such an end; see `medseg.data.names.patients_by_name`."""
    return names.patients_by_name({case: file.key for case, file in files.items()})


def phase_of(file: LabelFile) -> Phase:
    """Returns the phase that a name ends in (``p1_ED``), or nothing."""
    return names.phase_in(file.key)
