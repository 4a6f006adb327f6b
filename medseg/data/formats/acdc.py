"""Reader of ACDC's download layout.

``database/{training,testing}/patientNNN/{Info.cfg,patientNNN_frameFF.nii.gz,patientNNN_frameFF_gt.nii.gz}``
with the numbers of the end-diastolic and end-systolic frame in ``Info.cfg``; ``_4d`` files are left alone.
"""

from pathlib import Path
from typing import Literal

from medseg.data.case import Case, Found, left_out_note
from medseg.data.raster import NIFTI
from medseg.tasks import TaskSpec

LAYOUT = "training/patientNNN/Info.cfg, here or in database/ or acdc/database/"
LABEL_VALUES = frozenset({0, 1, 2, 3})

_PARTS: dict[str, Literal["train", "test"]] = {"training": "train", "testing": "test"}
PHASES: tuple[Literal["ED", "ES"], ...] = ("ED", "ES")


def locate(path: Path) -> Path | None:
    """Returns the folder that holds ``training`` or ``testing``, at `path` or where downloads put it."""
    for folder in (path, path / "database", path / "acdc" / "database", path / "ACDC" / "database"):
        if any((folder / part).is_dir() for part in _PARTS):
            return folder
    return None


def read(root: Path, task: TaskSpec) -> Found:
    """Lists the cases below a folder that `locate` returned, without opening any image."""
    cases: list[Case] = []
    extra: list[Path] = []
    problems: list[str] = []
    left_out: list[str] = []
    for folder, part in _PARTS.items():
        for patient in sorted((root / folder).glob("[!.]*")):
            info = patient / "Info.cfg"
            where = f"{folder}/{patient.name}"
            if not patient.is_dir() or not (info.exists() or patient.name.startswith("patient")):
                left_out.append(where)
                continue
            try:
                facts = read_info(info)
            except (OSError, UnicodeDecodeError, ValueError) as error:
                problems.append(f"{where}/Info.cfg: {_reason(error)}")
                continue
            extra.append(info)
            found, missing = _patient(patient, part, facts)
            cases += found
            problems += [f"{where}/{text}" for text in missing]
    return Found(tuple(cases), tuple(extra), tuple(problems), LABEL_VALUES, notes=left_out_note(left_out))


def read_info(path: Path) -> dict[str, str]:
    """Reads an ``Info.cfg``: lines of ``key: value``, among them ED, ES (numbers of frames) and Group.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If a line is something else, or the file is no UTF-8.
    """
    facts: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        key, colon, value = line.partition(":")
        if line.strip() and not colon:
            raise ValueError(f"line {number} must read 'key: value', is '{line.strip()}'")
        if colon:
            facts[key.strip()] = value.strip()
    return facts


def _patient(
    folder: Path, part: Literal["train", "test"], facts: dict[str, str]
) -> tuple[list[Case], list[str]]:
    cases, problems = [], []
    for phase in PHASES:
        try:
            frame = int(facts[phase])
        except (KeyError, ValueError):
            problems.append(f"Info.cfg: '{phase}' must be a frame number, is {facts.get(phase, 'absent')}")
            continue
        stem = f"{folder.name}_frame{frame:02d}"
        image, label = _existing(folder / stem), _existing(folder / f"{stem}_gt")
        problems += [
            f"{stem}{tail}.nii.gz: missing ({phase} frame)"
            for tail, path in (("", image), ("_gt", label))
            if path is None
        ]
        if image and label:
            cases.append(Case(stem, folder.name, facts.get("Group", ""), part, (image,), label, phase))
    return cases, problems


def _existing(stem: Path) -> Path | None:
    for suffix in NIFTI:
        path = stem.with_name(stem.name + suffix)
        if path.exists():
            return path
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "missing"
    return str(getattr(error, "strerror", None) or error)
