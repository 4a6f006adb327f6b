"""Label files in a folder, and by which name each is known."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from medseg.data.case import natural
from medseg.data.raster import EXTENSIONS, extension, stem
from medseg.errors import DataError

# What people append to an image's name to call its label, or its prediction.
_REFERENCE = r"(?:^|[-_])(?:gt|ground_?truth|seg|segmentation|mask|label)s?$"
_PREDICTION = r"(?:^|[-_])(?:gt|seg|segmentation|mask|label|pred|prediction|predicted)s?$"
_IMAGES = re.compile(r"images", re.IGNORECASE)
_LABELS = re.compile(r"(?:masks|labels)", re.IGNORECASE)


@dataclass(frozen=True)
class LabelFile:
    """A file and its names.

    Args:
        path: The file.
        place: Its path relative to the folder that was searched, without extension, with slashes, `printable`.
        key: The same without what says that it is a label: ``a/p1`` of ``a/p1_gt.nii.gz`` and of ``a/p1/seg.nii.gz``.
    """

    path: Path
    place: str
    key: str

    @property
    def name(self) -> str:
        """The key without folders."""
        return self.key.rpartition("/")[2]

    @property
    def marked(self) -> bool:
        """Whether its name says that it is a label."""
        return self.key != self.place


def printable(text: str) -> str:
    """Returns a text whose bytes that are no UTF-8, as file names may hold, are backslash escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def find_references(root: Path) -> tuple[list[LabelFile], list[str]]:
    """Finds references: all label files below a folder, but none of the images that lie beside them.

    If any file's name ends in ``_gt``, ``_seg``, ``_mask`` or ``_label``, those are the references and the others
    are images. In a folder with ``images`` and ``masks`` (or ``labels``), the former are images.

    Args:
        root: A folder, or one file.

    Returns:
        The files in natural order of their paths, and notes on what was left out.

    Raises:
        DataError: If there is no such folder, or no file in it that could be one.
    """
    found = _find(root, _REFERENCE)
    labels = [file for file in found if not _among_images(file.place, root)] or found
    kept = [file for file in labels if file.marked] or labels
    left_out = sorted({file.place for file in found} - {file.place for file in kept}, key=natural)
    if not left_out:
        return kept, []
    files = "1 file" if len(left_out) == 1 else f"{len(left_out)} files"
    return kept, [f"{files} beside the references taken for images, e.g. {left_out[0]}"]


def find_predictions(root: Path) -> list[LabelFile]:
    """Finds all label files below a folder, or takes one file; errors as in `find_references`."""
    return _find(root, _PREDICTION)


def case_ids(references: Iterable[LabelFile]) -> dict[str, LabelFile]:
    """Returns references by the id of their case: the name, with folders where a name repeats.

    Raises:
        DataError: If two files would be the reference of one case; names both.
    """
    files = list(references)
    count = Counter(file.name for file in files)
    ids: dict[str, LabelFile] = {}
    for file in files:
        case_id = file.name if count[file.name] == 1 else file.key
        other = ids.setdefault(case_id, file)
        if other is not file:
            raise DataError(f"two references of '{case_id}': {other.path} and {file.path}; keep one of them")
    return ids


def _find(root: Path, suffix: str) -> list[LabelFile]:
    pattern = re.compile(suffix, re.IGNORECASE)
    if root.is_file():
        return [_named(root, root.parent, pattern)]
    if not root.is_dir():
        raise DataError(f"no folder {root}")
    found = [_named(path, root, pattern) for path in _label_files(root)]
    if not found:
        raise DataError(f"{root}: no label files; looked for {', '.join(EXTENSIONS)}")
    return sorted(found, key=lambda file: (natural(file.place), file.path.name))


def _label_files(folder: Path, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """Returns label files at any depth, in no order. Links to folders are followed, but none into a folder above."""
    try:
        status = folder.stat()
        entries = list(os.scandir(folder))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from error
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        # A link that leads nowhere is a file, which then cannot be read; `is_dir` may raise for it.
        if os.path.isdir(path) if entry.is_symlink() else entry.is_dir():
            yield from _label_files(path, above | {identity})
        elif extension(path):
            yield path


def _named(path: Path, root: Path, pattern: re.Pattern[str]) -> LabelFile:
    folder = printable(path.parent.relative_to(root).as_posix())
    inside = "" if folder == "." else f"{folder}/"
    name = printable(stem(path))
    bare = pattern.sub("", name)
    # `p1/seg.nii.gz` is the label of p1.
    key = inside + bare if bare else inside.removesuffix("/") or name
    return LabelFile(path, inside + name, key)


def _among_images(place: str, root: Path) -> bool:
    """Whether a file lies in a folder ``images...`` that has one of masks or labels beside it."""
    folders = place.split("/")[:-1]
    return any(
        _IMAGES.match(name) is not None and _has_labels(root.joinpath(*folders[:depth]))
        for depth, name in enumerate(folders)
    )


@lru_cache
def _has_labels(folder: Path) -> bool:
    return any(_LABELS.match(path.name) for path in folder.iterdir() if path.is_dir())
