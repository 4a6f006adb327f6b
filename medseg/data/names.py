"""What names tell of patients: those that end in a frame, slice or phase are of what stands before."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from medseg.data.case import Phase

_ENDS = r"(?:[-_./]+(?:(?:frame|slice|phase|time|z|t)[-_]?\d+|ED|ES))"
_END = re.compile(rf"(?P<whose>.+?)(?P<end>{_ENDS}+)", re.IGNORECASE)
_NUMBER = re.compile(r"(?P<whose>.*\d)(?P<end>[-_. ]+(?P<number>\d+))")
_PHASE = re.compile(r"[-_./](ED|ES)$", re.IGNORECASE)
_PHASE_WORD = re.compile(r"(?<=[-_.])(?:ED|ES)(?![a-z])", re.IGNORECASE)
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


def patients_by_name(keys: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Takes cases for those of one patient if their names only differ in their ends, as ``p1_frame01``, ``p1_ES`` do.

    Args:
        keys: Names by case id, with folders as far as they tell cases apart. Those in different folders are of
            different patients. A folder ``masks`` or ``labelsTr`` is nobody's: ``p1/masks/frame_01`` is of p1, and
            ``masks/frame_01`` of itself.

    Returns:
        Patients by case id, without folders where a name is used once; nothing if each would be a case of its own.
        And such an end, of the first patient with several cases.
    """
    matches = {case: _END.fullmatch(key) for case, key in keys.items()}
    whose = {case: (match and _whose(match)) or keys[case] for case, match in matches.items()}
    size = Counter(whose.values())
    if len(size) == len(keys):
        return {}, ""
    used = Counter(_bare(name) for name in size)
    patients = {case: _bare(name) if used[_bare(name)] == 1 else name for case, name in whose.items()}
    end = next(match["end"] for case, match in matches.items() if match and size[whose[case]] > 1)
    return patients, end


def patients_by_number(names: Collection[str]) -> tuple[dict[str, str], str]:
    """Takes ``P07_1``, ``P07_2`` and so on for images of P07, where most names are such and there are several stems.

    One stem with running numbers (``case_001``) counts patients; several that end in a number themselves rather
    are patients whose slices or visits are counted.

    Returns:
        As `patients_by_name`.
    """
    matches = {name: _NUMBER.fullmatch(name) for name in names}
    numbers: dict[str, set[int]] = defaultdict(set)
    for match in matches.values():
        if match:
            numbers[match["whose"]].add(int(match["number"]))
    runs = {whose for whose, found in numbers.items() if any(number + 1 in found for number in found)}
    counted = [match for match in matches.values() if match and match["whose"] in runs]
    if len(runs) < 2 or 2 * len(counted) < len(names):
        return {}, ""
    return {name: match["whose"] if match else name for name, match in matches.items()}, counted[0]["end"]


def pattern_for(patients: Mapping[str, str], end: str) -> str:
    """Returns a `patient_pattern` that finds these patients in their cases' names; empty if none is known to.

    Args:
        patients: By name, as `patients_by_name` or `patients_by_number` returns them.
        end: As these return it.
    """
    like = re.sub(r"\d+", lambda _: r"\d+", re.escape(end).replace(r"\-", "-"))
    like = _PHASE_WORD.sub("(?:ED|ES)", like)
    patterns = (
        rf"^(.+){like}$",
        rf"^(.+?)(?:{like})?$",
        rf"(?i)^(.+?){_ENDS}*$",
        r"^(.+?)(?:(?<=\d)[-_. ]+\d+)?$",
    )
    for pattern in patterns:
        found = {name: re.search(pattern, name) for name in patients}
        if all(match and match[1] == patients[name] for name, match in found.items()):
            return pattern
    return ""


def phase_in(key: str) -> Phase:
    """Returns the phase that a name ends in (``p1_ED``), or nothing."""
    match = _PHASE.search(key)
    return _PHASES[match[1].upper()] if match else ""


def _whose(match: re.Match[str]) -> str:
    """Returns what stands before an end, without folders that are nobody's; empty if nothing does."""
    name = match["whose"]
    while match["end"].startswith("/") and _bare(name).lower() in _KINDS:
        name = name.rpartition("/")[0]
    return name


def _bare(name: str) -> str:
    return name.rpartition("/")[2]
