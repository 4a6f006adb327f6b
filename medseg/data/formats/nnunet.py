"""Reader of nnU-Net's raw layout, version 2 (and version 1, whose channel files are named likewise).

``dataset.json``, ``imagesTr/CASE_0000.nii.gz`` (one file per channel) and ``labelsTr/CASE.nii.gz``; ``imagesTs`` with
``labelsTs`` is the test part. A mapping ``dataset`` in the JSON lists the training files instead.
"""

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medseg.data.case import Case, Found, Part, natural
from medseg.data.formats.description import FILE, Description, misfits, read_content, read_description
from medseg.data.raster import EXTENSIONS, PICTURES, detached, extension, stem
from medseg.errors import DataError
from medseg.tasks import TaskSpec

LAYOUT = "dataset.json and imagesTr/CASE_0000.*, here or in the only DatasetNNN_NAME/ or nnUNet_raw/DatasetNNN_NAME/"

_CHANNEL = re.compile(r"(.+)_(\d{4})")
_SPLIT = "splits_final.json"
_FOLDER = "Dataset[0-9][0-9][0-9]_*"


def locate(path: Path) -> Path | None:
    """Returns the folder that holds ``dataset.json``, at `path` or as the only data set below it."""
    if _is_raw(path):
        return path
    for above in (path, path / "nnUNet_raw"):
        below = [folder for folder in above.glob(_FOLDER) if _is_raw(folder)]
        if below:
            return below[0] if len(below) == 1 else None
    return None


def has_channel_files(folder: Path) -> bool:
    """Tells whether a folder holds ``CASE_0000.*``, by which nnU-Net's layout differs from the Decathlon's."""
    return any(extension(path) and not path.name.startswith(".") for path in folder.glob("*_0000.*"))


def read(root: Path, task: TaskSpec) -> Found:
    """Lists the cases below a folder that `locate` returned, without opening any image."""
    try:
        description = read_description(root)
        raw = _Raw(root, description)
    except DataError as error:
        return Found((), problems=(str(error),))
    problems = misfits(task, description)
    if problems:
        return Found((), problems=tuple(problems))
    listing = description.content.get("dataset")
    trained = raw.listed(listing) if isinstance(listing, Mapping) else raw.paired("Tr")
    declared = description.content.get("numTraining")
    if isinstance(declared, int) and declared != len(trained) and not raw.problems:
        raw.problems.append(
            f"{FILE}: declares {declared} training cases (numTraining), {len(trained)} are there"
        )
    if (root / _SPLIT).is_file() and task.split.file is None:
        raw.notes.append(f"{_SPLIT} is there but not used; split: {{file: {_SPLIT}}} takes its folds")
    tested = raw.paired("Ts")
    part: Part = "train" if tested else ""
    cases = [replace(case, part=part) for case in trained] + [replace(case, part="test") for case in tested]
    data = [file for case in cases for path in (*case.images, case.label) for file in detached(path)]
    return Found(
        tuple(cases),
        extra=(root / FILE, *data),
        problems=tuple(raw.problems),
        values=description.values,
        notes=tuple(raw.notes),
    )


def _is_raw(folder: Path) -> bool:
    if not (folder / FILE).is_file():
        return False
    try:
        content = read_content(folder)
    except DataError:
        return (folder / "imagesTr").is_dir()  # it may well be meant; reading it says what is wrong
    images = folder / "imagesTr"
    return "dataset" in content or (
        images.is_dir() and ("training" not in content or has_channel_files(images))
    )


class _Raw:
    """One folder in nnU-Net's layout; collects what is wrong while it lists the cases."""

    def __init__(self, root: Path, description: Description):
        ending = str(description.content.get("file_ending", ".nii.gz")).lower()
        if ending not in EXTENSIONS:
            raise DataError(
                f"{FILE}: file_ending '{ending}' is not supported; known are {', '.join(EXTENSIONS)}"
            )
        self.root, self.ending, self.channels = root, ending, len(description.channels)
        self.problems: list[str] = []
        self.notes: list[str] = []

    def paired(self, tail: str) -> list[Case]:
        """Cases of ``imagesTr`` and ``labelsTr`` (or ``Ts``), paired by name."""
        images: dict[str, dict[int, Path]] = defaultdict(dict)
        for name, path in self._files(f"images{tail}").items():
            match = _CHANNEL.fullmatch(name)
            if match is None:
                self.problems.append(
                    f"images{tail}/{path.name}: must end in its channel, as in _0000{self.ending}"
                )
            else:
                images[match[1]][int(match[2])] = path
        labels = self._files(f"labels{tail}")
        # A colour picture holds all of its channels in one file.
        whole = self.ending in PICTURES and all(set(files) == {0} for files in images.values())
        channels = 1 if whole else self.channels
        cases, unlabelled = [], []
        for name in sorted(images.keys() | labels.keys(), key=natural):
            if name not in images:
                self.problems.append(f"labels{tail}/{labels[name].name}: has no image")
            elif name not in labels:
                unlabelled.append(next(iter(images[name].values())).name)
            elif self._complete(f"images{tail}/{name}", images[name], channels):
                files = tuple(images[name][channel] for channel in range(channels))
                cases.append(Case(name, name, "", "", files, labels[name]))
        if tail == "Tr":
            self.problems += [f"images{tail}/{file}: has no label" for file in unlabelled]
        elif unlabelled:
            self.notes.append(f"images{tail}: {len(unlabelled)} images without label were left out")
        return cases

    def listed(self, listing: Mapping[str, Any]) -> list[Case]:
        """Cases of the mapping ``dataset``: name to ``{images: [one per channel], label: file}``."""
        cases = []
        for name in sorted(listing, key=natural):
            entry = listing[name]
            files = entry.get("images") if isinstance(entry, Mapping) else None
            if not isinstance(files, list) or not files or not isinstance(entry.get("label"), str):
                self.problems.append(f"{FILE}: dataset: '{name}' must have 'images' (a list) and 'label'")
                continue
            images, label = [self._path(str(file)) for file in files], self._path(entry["label"])
            cases.append(Case(name, name, "", "", tuple(images), label))
        return cases

    def _path(self, text: str) -> Path:
        return Path(os.path.normpath(self.root / os.path.expandvars(text)))

    def _complete(self, where: str, files: Mapping[int, Path], channels: int) -> bool:
        missing = [channel for channel in range(channels) if channel not in files]
        beyond = sorted(channel for channel in files if channel >= channels)
        self.problems += [f"{where}_{channel:04d}{self.ending}: missing channel" for channel in missing]
        self.problems += [
            f"{where}_{channel:04d}{self.ending}: is one channel too many, {FILE} declares {self.channels}"
            for channel in beyond
        ]
        return not missing and not beyond

    def _files(self, folder: str) -> dict[str, Path]:
        """Files of the ending declared by their name without it; hidden ones are left out, others counted."""
        if not (self.root / folder).is_dir():
            return {}
        shown = [path for path in (self.root / folder).iterdir() if not path.name.startswith(".")]
        found = {stem(path): path for path in shown if extension(path) == self.ending}
        if len(found) < len(shown):
            count = len(shown) - len(found)
            self.notes.append(
                f"{folder}: {count} of {len(shown)} files do not end in {self.ending}: left out"
            )
        return found
