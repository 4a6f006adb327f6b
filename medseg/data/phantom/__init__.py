"""Embedded data: generated once into the cache, in the layouts of the real downloads."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from medseg.data.cache import build_once, source_hash
from medseg.errors import DataError
from medseg.tasks import PhantomSpec, TaskSpec


def ensure_phantom(task: TaskSpec, cache_dir: Path) -> Path:
    """Generates a phantom data set unless it is there.

    Args:
        task: A task with ``phantom`` set; its format chooses the generator.
        cache_dir: It goes to ``phantoms/<task>-<hash>/`` below it.

    Returns:
        The folder, as a user would have downloaded it.

    Raises:
        DataError: If the task has no phantom or the folder cannot be written.
    """
    spec = task.phantom
    if spec is None:
        raise DataError(f"task '{task.name}' has no phantom to generate")
    write = _generators()[task.format]
    what = {"format": task.format, "generator": source_hash("phantom")} | spec.model_dump(mode="json")
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]
    return build_once(cache_dir / "phantoms" / f"{task.name}-{key}", lambda folder: write(spec, folder))


def _generators() -> Mapping[str, Callable[[PhantomSpec, Path], None]]:
    from medseg.data.phantom.cardiac import write_cardiac
    from medseg.data.phantom.chest import write_chest

    return {"acdc": write_cardiac, "covid_radiography": write_chest}
