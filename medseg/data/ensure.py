"""Makes sure that a task's arrays are there and as they were written."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.data.build import prepare, prepared_key
from medseg.data.case import DataSet
from medseg.data.files import Advance
from medseg.data.prepared import Prepared
from medseg.tasks import TaskSpec


@dataclass(frozen=True)
class Ensured:
    """Arrays that are there.

    Args:
        prepared: The arrays.
        how: Whether they were made now, were there and are as written, or were damaged and made anew.
        size_bytes: Of all their files.
        wall_s: Time that it took.
    """

    prepared: Prepared
    how: Literal["made", "verified", "made anew"]
    size_bytes: int
    wall_s: float


def ensure_prepared(
    task: TaskSpec, dataset: DataSet, cache_dir: Path, advance: Advance = lambda done, total: None
) -> Ensured:
    """Prepares a data set unless its arrays are there; then hashes them, which reads all of them.

    Args:
        task: Says how to preprocess.
        dataset: The data.
        cache_dir: The arrays go to ``prepared/<key>/`` below it.
        advance: Told how many cases of how many are done.

    Raises:
        DataError: If files are unfit, or the arrays cannot be written.
    """
    start = time.monotonic()
    target = cache_dir / "prepared" / prepared_key(task, dataset)
    before = _stamp(target)
    prepared = prepare(task, dataset, cache_dir, advance, thorough=True)
    how: Literal["made", "verified", "made anew"] = "made anew"
    if before is None:
        how = "made"
    elif before == _stamp(target):
        how = "verified"
    size = sum(path.stat().st_size for path in target.iterdir())
    return Ensured(prepared, how, size, time.monotonic() - start)


def _stamp(folder: Path) -> tuple[int, int] | None:
    """Tells one folder from the next of its name; inodes alone are used again at once."""
    if not folder.is_dir():
        return None
    stat = folder.stat()
    return stat.st_ino, stat.st_ctime_ns
