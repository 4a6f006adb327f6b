"""Reader of the Medical Segmentation Decathlon's layout.

``dataset.json`` lists image and label of each training case; several channels are the fourth axis of one file. The
test images have no labels and are left out.

Antonelli et al., "The Medical Segmentation Decathlon", Nature Communications 2022.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from medseg.data.case import Case, Found, natural
from medseg.data.formats.description import FILE, Description, misfits, read_content, read_description
from medseg.data.formats.nnunet import has_channel_files
from medseg.data.raster import detached, extension, stem
from medseg.errors import DataError
from medseg.tasks import TaskSpec

LAYOUT = "dataset.json with a list 'training', and imagesTr/CASE.nii.gz, here or in the only TaskNN_NAME/"

_FOLDER = "Task[0-9][0-9]_*"


def locate(path: Path) -> Path | None:
    """Returns the folder that holds ``dataset.json``, at `path` or as the only task below it."""
    if _is_task(path):
        return path
    below = [folder for folder in path.glob(_FOLDER) if _is_task(folder)]
    return below[0] if len(below) == 1 else None


def read(root: Path, task: TaskSpec) -> Found:
    """Lists the cases below a folder that `locate` returned, without opening any image."""
    try:
        description = read_description(root)
    except DataError as error:
        return Found((), problems=(str(error),))
    problems = misfits(task, description)
    if problems:
        return Found((), problems=tuple(problems))
    cases, problems = _training(root, description)
    data = [file for case in cases for path in (case.image, case.label) for file in detached(path)]
    return Found(
        tuple(sorted(cases, key=lambda case: natural(case.id))),
        extra=(root / FILE, *data),
        problems=tuple(problems),
        values=description.values,
        notes=tuple(_left_out(root, description, cases)),
    )


def _is_task(folder: Path) -> bool:
    if not (folder / FILE).is_file() or has_channel_files(folder / "imagesTr"):
        return False
    try:
        return "training" in read_content(folder)
    except DataError:
        return (folder / "imagesTr").is_dir()  # it may well be meant; reading it says what is wrong


def _training(root: Path, description: Description) -> tuple[list[Case], list[str]]:
    listing = description.content.get("training")
    if not isinstance(listing, list):
        return [], [f"{FILE}: 'training' must be a list of image and label, is a {type(listing).__name__}"]
    cases, problems = [], []
    for number, entry in enumerate(listing):
        files = [entry.get(key) for key in ("image", "label")] if isinstance(entry, Mapping) else [None]
        if not all(isinstance(file, str) for file in files):
            problems.append(f"{FILE}: training[{number}] must have 'image' and 'label', has {entry!r}")
            continue
        image, label = (Path(os.path.normpath(root / str(file))) for file in files)
        if not image.name.startswith("."):  # macOS put its ._ files into some of the lists
            cases.append(Case(stem(image), stem(image), "", "", (image,), label))
    return cases, problems


def _left_out(root: Path, description: Description, cases: list[Case]) -> list[str]:
    notes = []
    declared = description.content.get("numTraining")
    if isinstance(declared, int) and declared != len(cases):
        notes.append(f"{FILE} declares {declared} training cases (numTraining) and lists {len(cases)}")
    test = description.content.get("test")
    if isinstance(test, list) and test:
        notes.append(f"{FILE} lists {len(test)} test images, which have no labels: left out")
    listed = {path for case in cases for path in (case.image, case.label)}
    for folder in ("imagesTr", "labelsTr"):
        files = (path for path in (root / folder).glob("*") if extension(path) and path.name[0] != ".")
        unlisted = sorted(path.name for path in files if path not in listed)
        if unlisted:
            notes.append(f"{folder}: {len(unlisted)} files are not in {FILE}, e.g. {unlisted[0]}: left out")
    return notes
