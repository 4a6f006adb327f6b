"""Reads ``dataset.json``, which nnU-Net and the Medical Segmentation Decathlon write in much the same words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.errors import DataError
from medseg.tasks import TaskSpec

FILE = "dataset.json"


@dataclass(frozen=True)
class Description:
    """What ``dataset.json`` says.

    Args:
        content: All of it.
        channels: Names of the images' channels, in order.
        labels: Name and values of each label, background included. A region has several values.
    """

    content: Mapping[str, Any]
    channels: tuple[str, ...]
    labels: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def values(self) -> frozenset[int]:
        """All label values but that of ``ignore``."""
        return frozenset(value for name, values in self.labels if name != "ignore" for value in values)


def read_content(root: Path) -> Mapping[str, Any]:
    """Returns the JSON mapping.

    Raises:
        DataError: If it cannot be read or is no mapping; starts with the file.
    """
    try:
        content = json.loads((root / FILE).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{FILE}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{FILE}: is not readable JSON ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{FILE}: must hold a mapping, holds a {type(content).__name__}")
    return content


def read_description(root: Path) -> Description:
    """Reads ``dataset.json``.

    Raises:
        DataError: If it cannot be read, or names no channels or labels; starts with the file.
    """
    content = read_content(root)
    channels = content.get("channel_names", content.get("modality"))
    if isinstance(channels, Mapping) and all(str(key).isdigit() for key in channels):
        channels = [channels[key] for key in sorted(channels, key=int)]
    if not isinstance(channels, list) or not channels:
        raise DataError(
            f"{FILE}: needs 'channel_names' (or 'modality') such as {{\"0\": \"CT\"}}, has {channels!r}"
        )
    labels = content.get("labels")
    if not isinstance(labels, Mapping) or not labels:
        raise DataError(f'{FILE}: needs \'labels\' such as {{"background": 0, "liver": 1}}, has {labels!r}')
    return Description(content, tuple(map(str, channels)), tuple(_label(*item) for item in labels.items()))


def _label(key: str, value: Any) -> tuple[str, tuple[int, ...]]:
    """Both ways to write a label: name to value or values (nnU-Net), value to name (its first version, MSD)."""
    if key.isdigit() and isinstance(value, str) and not value.isdigit():
        return value, (int(key),)
    values = value if isinstance(value, list) else [value]
    try:
        return key, tuple(int(item) for item in values)
    except (TypeError, ValueError):
        raise DataError(
            f"{FILE}: label '{key}' must have a whole number or a list of them, has {value!r}"
        ) from None


def misfits(task: TaskSpec, description: Description) -> list[str]:
    """What a task asks for that ``dataset.json`` does not declare; each starts with the file."""
    problems = []
    if len(description.channels) != task.channels:
        named = f"{len(description.channels)} ({', '.join(description.channels)})"
        problems.append(f"{FILE}: declares channels: {named}, the task declares {task.channels}")
    declared = ", ".join(f"{name}: {', '.join(map(str, values))}" for name, values in description.labels)
    known = {value for _, values in description.labels for value in values}
    problems += [
        f"{FILE}: no label has the value {value} of the task's '{name}', declared are {declared}"
        for name, value in task.labels.items()
        if value not in known
    ]
    ignored = {value for name, values in description.labels if name == "ignore" for value in values}
    problems += [
        f"{FILE}: label 'ignore' ({value}): ignore labels are not supported yet, list {value} under the task's "
        f"'background', or as a label of its own"
        for value in sorted(ignored - {*task.background, *task.labels.values()})
    ]
    return problems
