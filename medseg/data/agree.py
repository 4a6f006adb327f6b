"""Whether the files of one case agree with each other and with the task, judged by their headers."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from medseg.data.case import Case
from medseg.data.files import FileFacts
from medseg.data.raster import PICTURES, extension
from medseg.tasks import TaskSpec

# Wider than any scanner, microscopes aside: outside of it a header is in metres, micrometres or a placeholder.
IN_PLANE_MM = (0.05, 10.0)
BETWEEN_SLICES_MM = (0.1, 50.0)


def relative(path: Path, root: Path) -> str:
    """Returns how messages and fingerprints call a file."""
    # As text: pathlib takes ten times as long, for tens of thousands of files.
    inside = str(path).removeprefix(f"{root}{os.sep}")
    # A groups file may lie in the parent; its place does not change what it says.
    return path.name if os.path.isabs(inside) or inside == str(path) else inside.replace(os.sep, "/")


def disagreements(task: TaskSpec, case: Case, facts: Mapping[Path, FileFacts], folder: Path) -> list[str]:
    """What is wrong between the files of one case, and between them and the task."""
    label = facts[case.label]
    where = relative(case.label, folder)
    problems = []
    for path in case.images:
        problems += _against(task, f"{where}: label", label, facts[path])
        if facts[path].shape != facts[case.image].shape:
            problems.append(
                f"{relative(path, folder)}: has shape {facts[path].shape}, the first channel another"
            )
    if task.file_spacing_mm is not None and len(task.file_spacing_mm) != len(label.shape):
        problems.append(
            f"{where}: file_spacing_mm must give {len(label.shape)} numbers, gives {len(task.file_spacing_mm)}"
        )
    if task.file_spacing_mm is None and not all(label.spacing_mm):
        problems.append(
            f"{where}: must have positive voxel sizes, has {label.spacing_mm}, give file_spacing_mm"
        )
    problems += _absurd_spacing(task, where, label)
    if label.channels > 1 and extension(case.label) not in PICTURES:
        problems.append(
            f"{where}: label must have one value per voxel, has a fourth axis of {label.channels}"
        )
    channels = sum(facts[path].channels for path in case.images)
    # A colour picture is fine for a task of one channel: its luminance is used.
    if channels != task.channels and not (task.channels == 1 and len(label.shape) == 2 and channels == 3):
        plural = "channel" if channels == 1 else "channels"
        fourth = " (its fourth axis)" if len(case.images) == 1 < channels and len(label.shape) == 3 else ""
        problems.append(
            f"{relative(case.image, folder)}: image has {channels} {plural}{fourth}, "
            f"the task declares {task.channels}"
        )
    return problems


def pictures_in_mm(task: TaskSpec, cases: Sequence[Case], folder: Path) -> list[str]:
    """Pictures of a task that measures in mm: they carry no spacing. Said once for all of them."""
    if task.unit == "px" or task.file_spacing_mm is not None:
        return []
    first = next((case for case in cases if extension(case.label) in PICTURES), None)
    if first is None:
        return []
    return [f"{relative(first.label, folder)}: pictures carry no spacing; give file_spacing_mm, or unit: px"]


def _absurd_spacing(task: TaskSpec, where: str, label: FileFacts) -> list[str]:
    if task.unit == "px" or task.file_spacing_mm is not None or not all(label.spacing_mm):
        return []
    *between, height, width = label.spacing_mm
    spans = [(height, IN_PLANE_MM), (width, IN_PLANE_MM), *((mm, BETWEEN_SLICES_MM) for mm in between)]
    if all(low <= mm <= high for mm, (low, high) in spans):
        return []
    found = " x ".join(f"{mm:g}" for mm in label.spacing_mm)
    in_plane, slices = (f"{low:g} to {high:g} mm" for low, high in (IN_PLANE_MM, BETWEEN_SLICES_MM))
    return [
        f"{where}: spacing {found} mm is absurd (expected {in_plane} in plane, {slices} between slices); mend the "
        f"header or declare file_spacing_mm"
    ]


def _against(task: TaskSpec, what: str, label: FileFacts, image: FileFacts) -> list[str]:
    if task.format == "covid_radiography":
        # Mask and image differ in size in the download; they may not differ in proportions beyond rounding.
        if len(image.shape) != 2 or len(label.shape) != 2:
            return [f"{what} and its image must be two-dimensional, are {label.shape} and {image.shape}"]
        (h, w), (rows, columns) = image.shape, label.shape
        if abs(h * columns - w * rows) > max(h, w):
            return [f"{what} of {rows} x {columns} cannot lie on an image of {h} x {w}"]
        return []
    if image.orientation and label.orientation and image.orientation != label.orientation:
        return [f"{what} has axes along {label.orientation}, its image along {image.orientation}"]
    if image.shape != label.shape:
        return [f"{what} has shape {label.shape}, its image {image.shape}"]
    if task.file_spacing_mm is None and any(
        abs(a - b) > 1e-3 * a for a, b in zip(image.spacing_mm, label.spacing_mm, strict=True)
    ):
        return [f"{what} has spacing {label.spacing_mm} mm, its image {image.spacing_mm} mm"]
    return []
