"""Reader of a plain folder: ``images/`` and ``masks/`` (or ``labels/``), paired by name.

A mask may end in ``_mask``, ``_seg``, ``_label`` or ``_gt`` and have another extension than its image. ``train/``
and ``test/`` may hold a pair of such folders each. For a task of several channels, ``NAME_0000.*``, ``NAME_0001.*``
and so on are the channels of one image.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from medseg.data.case import Case, Found, Part, left_out_note, natural
from medseg.data.raster import detached, extension, stem
from medseg.tasks import TaskSpec

LAYOUT = "images/ and masks/ (or labels/), here or in train/ and test/"

_PARTS: tuple[Part, ...] = ("", "train", "test")
_MASKS = ("masks", "labels")
_SUFFIX = re.compile(r"_(mask|seg|label|gt)$", re.IGNORECASE)
_CHANNEL = re.compile(r"(.+)_(\d{4})")


def locate(path: Path) -> Path | None:
    """Returns `path` if it holds ``images``, itself or in ``train`` or ``test``."""
    return path if any((path / part / "images").is_dir() for part in _PARTS) else None


def read(root: Path, task: TaskSpec) -> Found:
    """Lists the cases below a folder that `locate` returned, without opening any image."""
    parts = [part for part in _PARTS if (root / part / "images").is_dir()]
    if parts[0] == "" and len(parts) > 1:
        return Found((), problems=(f"images: stands beside {parts[1]}/images, keep the one or the other",))
    cases: list[Case] = []
    problems: list[str] = []
    others: list[str] = []
    for part in parts:
        folder = root / part
        masked = [name for name in _MASKS if (folder / name).is_dir()]
        if len(masked) != 1:
            have = " and ".join(masked) or "neither"
            problems.append(f"{_join(part, 'images')}: needs masks or labels beside it, has {have}")
            continue
        images = _files(folder / "images", _join(part, "images"), problems, others)
        masks = _files(folder / masked[0], _join(part, masked[0]), problems, others)
        found, unpaired = _pair(images, masks, task.channels)
        cases += [Case(name, name, "", part, files, mask) for name, files, mask in found]
        problems += [f"{path.relative_to(root).as_posix()}: {text}" for path, text in unpaired]
    data = [file for case in cases for path in (*case.images, case.label) for file in detached(path)]
    left_out = set(others) - {file.relative_to(root).as_posix() for file in data}
    return Found(
        tuple(cases),
        extra=tuple(data),
        problems=tuple(problems),
        notes=left_out_note(name for name in left_out if not Path(name).name.startswith(".")),
    )


def _join(part: str, name: str) -> str:
    return f"{part}/{name}" if part else name


def _files(folder: Path, where: str, problems: list[str], others: list[str]) -> dict[str, Path]:
    """Files by name without extension; what is hidden or has no known extension goes to `others`."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not extension(path):
            others.append(f"{where}/{path.name}")
            continue
        other = found.setdefault(stem(path), path)
        if other is not path:
            problems.append(f"{where}/{path.name}: has the same name as {other.name}, keep one of them")
    return found


def _pair(
    images: Mapping[str, Path], masks: Mapping[str, Path], channels: int
) -> tuple[list[tuple[str, tuple[Path, ...], Path]], list[tuple[Path, str]]]:
    """Pairs images and masks by name.

    Returns:
        Name, channel files and mask of each case; and files with what is wrong with them.
    """
    wholes, layers = _layers(images, masks, channels)
    problems: list[tuple[Path, str]] = []
    mask_of: dict[str, Path] = {}
    for name, path in masks.items():
        meant = name if name in wholes or name in layers else _SUFFIX.sub("", name)
        other = mask_of.setdefault(meant, path)
        if other is not path:
            problems.append((path, f"is a second mask of '{meant}', beside {other.name}"))
    cases = []
    for name in sorted(wholes.keys() | layers.keys() | mask_of.keys(), key=natural):
        files = layers.get(name, {})
        first = wholes.get(name) or next(iter(files.values()), None)
        if first is None:
            problems.append((mask_of[name], "has no image"))
        elif name not in mask_of:
            problems.append((first, "has no mask"))
        elif name in wholes and name in layers:
            problems.append((first, f"stands beside channel files of '{name}', keep the one or the others"))
        elif name in layers and len(files) < channels:
            absent = ", ".join(f"_{channel:04d}" for channel in range(channels) if channel not in files)
            problems.append((first, f"misses its channels {absent}"))
        else:
            found = tuple(files[channel] for channel in sorted(files)) or (first,)
            cases.append((name, found, mask_of[name]))
    return cases, problems


def _layers(
    images: Mapping[str, Path], masks: Mapping[str, Path], channels: int
) -> tuple[dict[str, Path], dict[str, dict[int, Path]]]:
    """Divides images into whole ones by name, and channel files by name and number.

    A number that the task has no channel for, or whose file has a mask of its own, is part of the name.
    """
    own = masks.keys() | {_SUFFIX.sub("", name) for name in masks}
    wholes: dict[str, Path] = {}
    layers: dict[str, dict[int, Path]] = defaultdict(dict)
    for name, path in images.items():
        match = _CHANNEL.fullmatch(name)
        if match and int(match[2]) < channels > 1 and name not in own:
            layers[match[1]][int(match[2])] = path
        else:
            wholes[name] = path
    return wholes, dict(layers)
