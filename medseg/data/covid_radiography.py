"""Reader of the COVID-19 Radiography Database's download layout.

``{COVID,Lung_Opacity,Normal,Viral Pneumonia}/{images,masks}/NAME-N.png``: pictures of 299 x 299 with masks of
256 x 256. Which images are of one patient is not part of the download; a ``groups.csv`` or ``sources.csv`` in
the folder or its parent says it, else every image counts as its own patient.
"""

import csv
from pathlib import Path

from medseg.data.case import Case, Found, natural

LAYOUT = "COVID/images and COVID/masks (or Normal, ...), here or in COVID-19_Radiography_Dataset/"
LABEL_VALUES = frozenset({0, 255})

CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
_GROUP_FILES = ("groups.csv", "sources.csv")
_IMAGE_COLUMNS = ("image", "case_id", "filename", "file_name")
_PATIENT_COLUMNS = ("group", "patient_id", "patient")


def locate(path: Path) -> Path | None:
    """Returns the folder that holds the class folders, at `path` or where downloads put it."""
    inside = "COVID-19_Radiography_Dataset"
    for folder in (path, path / inside, path / "covid" / inside):
        if any((folder / name / "images").is_dir() for name in CLASSES):
            return folder
    return None


def read(root: Path) -> Found:
    """Lists the cases below a folder that `locate` returned, without opening any image."""
    groups, group_file, problems = _groups(root)
    cases: list[Case] = []
    for subgroup in CLASSES:
        images, masks = (_pictures(root / subgroup / part) for part in ("images", "masks"))
        for stem in sorted(images.keys() | masks.keys(), key=natural):
            if stem in images and stem in masks:
                patient = groups.get(stem, stem)
                cases.append(Case(stem, patient, subgroup, "", images[stem], masks[stem]))
            else:
                absent, present = ("image", "masks") if stem in masks else ("mask", "images")
                problems.append(f"{subgroup}/{present}/{stem}: has no {absent}")
    return Found(tuple(cases), (group_file,) if group_file else (), tuple(problems))


def _pictures(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {path.stem: path for path in folder.iterdir() if path.suffix.lower() == ".png"}


def _groups(root: Path) -> tuple[dict[str, str], Path | None, list[str]]:
    candidates = [folder / name for folder in (root, root.parent) for name in _GROUP_FILES]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        return {}, None, []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return {}, path, [f"{path.name}: cannot be read ({error})"]
    columns = rows[0].keys() if rows else ()
    image = next((name for name in _IMAGE_COLUMNS if name in columns), None)
    patient = next((name for name in _PATIENT_COLUMNS if name in columns), None)
    if image is None or patient is None:
        wanted = f"one of {', '.join(_IMAGE_COLUMNS)} and one of {', '.join(_PATIENT_COLUMNS)}"
        return {}, path, [f"{path.name}: needs columns {wanted}, has {', '.join(columns) or 'none'}"]
    return _assign(path.name, [(row[image] or "", row[patient] or "") for row in rows]), path, []


def _assign(name: str, pairs: list[tuple[str, str]]) -> dict[str, str]:
    return {
        image.strip().removesuffix(".png"): patient.strip() for image, patient in pairs if patient.strip()
    }
