"""Embedded data: generated once into the cache, in the layouts of the real downloads."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from medseg.data.cache import build_once, source_hash
from medseg.errors import DataError
from medseg.tasks import PhantomSpec, TaskSpec

# What generated shapes depend on; hearts and chests are the same for all tasks.
_SHAPED_BY = {"labels", "channels", "unit", "window", "image_size", "spacing_mm"}


def ensure_phantom(task: TaskSpec, cache_dir: Path) -> Path:
    """Generates a phantom data set unless it is there.

    Args:
        task: A task with ``phantom`` set; its format chooses the generator: hearts for acdc, chests for
            covid_radiography, shapes with the task's labels for folder.
        cache_dir: It goes to ``phantoms/<data set>-<hash>/`` below it. Tasks of one data set share it.

    Returns:
        The folder, as a user would have downloaded it.

    Raises:
        DataError: If the task has no phantom, none can be generated in its format, or the folder cannot be written.
    """
    spec = task.phantom
    if spec is None:
        raise DataError(f"task '{task.name}' has no phantom to generate")
    generators = _generators()
    if task.format not in generators:
        raise DataError(
            f"task '{task.name}': a phantom is generated in the formats {', '.join(generators)}, got {task.format}"
        )
    what = {"format": task.format, "generator": source_hash("phantom")} | spec.model_dump(mode="json")
    if task.format == "folder":
        what |= {"shapes": task.model_dump(mode="json", include=_SHAPED_BY), "test": task.split.test}
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]
    write = generators[task.format]
    return build_once(cache_dir / "phantoms" / f"{task.dataset}-{key}", lambda folder: write(task, folder))


def _generators() -> Mapping[str, Callable[[TaskSpec, Path], None]]:
    from medseg.data.phantom.cardiac import write_cardiac
    from medseg.data.phantom.chest import write_chest
    from medseg.data.phantom.shapes import write_shapes

    return {
        "acdc": lambda task, folder: write_cardiac(_spec(task), folder),
        "covid_radiography": lambda task, folder: write_chest(_spec(task), folder),
        "folder": write_shapes,
    }


def _spec(task: TaskSpec) -> PhantomSpec:
    assert task.phantom is not None
    return task.phantom
