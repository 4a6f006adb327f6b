"""Whose cases are where nobody says so: names that end in a frame, slice or phase are of what stands before."""

import re
from collections import Counter
from collections.abc import Mapping

from medseg.data.case import Phase
from medseg.scoring.files import LabelFile

_END = re.compile(
    r"(?P<whose>.+?)(?P<end>(?:[-_./]+(?:(?:frame|slice|phase|time|z|t)[-_]?\d+|ED|ES))+)", re.IGNORECASE
)
_PHASE = re.compile(r"[-_./](ED|ES)$", re.IGNORECASE)
# Folders that say what is in them, not whose it is.
_KINDS = frozenset(
    (
        "masks",
        "mask",
        "labels",
        "label",
        "labelstr",
        "labelsts",
        "gt",
        "segmentations",
        "predictions",
        "images",
    )
)
_PHASES: Mapping[str, Phase] = {"ED": "ED", "ES": "ES"}


def patients_by_name(files: Mapping[str, LabelFile]) -> tuple[dict[str, str], str]:
    """Takes cases for those of one patient if their names only differ in their ends, as ``p1_frame01``, ``p1_ES`` do.

    Args:
        files: References by case id. Those in different folders are of different patients. A folder ``masks`` or
            ``labelsTr`` is nobody's: ``p1/masks/frame_01`` is of p1, and ``masks/frame_01`` of itself.

    Returns:
        Patients by case id, without folders where a name is used once; nothing if each would be a case of its own.
        And such an end, of the first patient with several cases.
    """
    matches = {case: _END.fullmatch(file.key) for case, file in files.items()}
    whose = {case: (match and _whose(match)) or files[case].key for case, match in matches.items()}
    size = Counter(whose.values())
    if len(size) == len(files):
        return {}, ""
    used = Counter(_bare(name) for name in size)
    patients = {case: _bare(name) if used[_bare(name)] == 1 else name for case, name in whose.items()}
    end = next(match["end"] for case, match in matches.items() if match and size[whose[case]] > 1)
    return patients, end


def phase_of(file: LabelFile) -> Phase:
    """Returns the phase that a name ends in (``p1_ED``), or nothing."""
    match = _PHASE.search(file.key)
    return _PHASES[match[1].upper()] if match else ""


def _whose(match: re.Match[str]) -> str:
    """Returns what stands before an end, without folders that are nobody's; empty if nothing does."""
    name = match["whose"]
    while match["end"].startswith("/") and _bare(name).lower() in _KINDS:
        name = name.rpartition("/")[0]
    return name


def _bare(name: str) -> str:
    return name.rpartition("/")[2]
