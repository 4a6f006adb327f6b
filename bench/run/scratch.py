"""The scratch folder of this machine for results that lie in an object store.

It is laid out as results are. What was brought up leaves it: weights, predictions and rows that are in it wait for
the store to be reached again.
"""

import hashlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from bench.results.move import move_trial
from bench.results.parts import DamagedError
from bench.results.place import Place
from bench.results.sound import sound_trials
from bench.results.store import Store

AT_ONCE = 8
INDEX = "index.json"
"""Of a folder of predictions; it says which files are in it."""


def scratch_of(place: Place, cache: Path) -> Path | None:
    """Returns where trials make their files before they are brought up; none if results are a folder."""
    if place.folder is not None:
        return None
    return cache / "scratch" / hashlib.sha256(str(place).encode()).hexdigest()[:12]


def bring_files(scratch: Path, place: Place, trial: str) -> None:
    """Brings up a trial's weights and predictions, as far as they are there.

    Raises:
        OSError: If the store cannot be reached; what was not brought stays.
        ResultsError: If the store refuses.
    """
    weights, predictions = f"weights/{trial}.safetensors", f"predictions/{trial}"
    if (scratch / weights).exists():
        place.bring(scratch / weights, weights)
        (scratch / weights).unlink(missing_ok=True)
    if (scratch / predictions / INDEX).exists():
        _bring_folder(scratch / predictions, place / predictions)
        shutil.rmtree(scratch / predictions, ignore_errors=True)


def _bring_folder(folder: Path, place: Place) -> None:
    # Without an index there are no predictions: those of an earlier attempt end here, the new ones begin last.
    place.delete(INDEX)
    names = sorted(path.name for path in folder.iterdir() if path.name != INDEX)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(lambda name: place.bring(folder / name, name), names))
    place.bring(folder / INDEX, INDEX)


def deliver(scratch: Path, place: Place, part: str) -> dict[str, Any] | None:
    """Brings up a result that waits; errors as in `bring_files`.

    Args:
        scratch: Of this machine.
        place: Of the results.
        part: Name of the trial's part.

    Returns:
        Its row of the trials table; none if none waits.
    """
    waiting = Store(scratch)
    if waiting.status(part) is None:
        return None
    bring_files(scratch, place, part.rpartition("-")[0])
    with suppress(FileNotFoundError):
        return move_trial(waiting, part, Store(place))
    return None


def deliver_all(
    place: Place, cache: Path, say: Callable[[str], object] = lambda line: None, anew: bool = False
) -> int:
    """Brings up all results that wait on this machine, and returns how many; errors as in `bring_files`.

    What is damaged, here or there, is set aside and said; `anew` as in `sound_trials`.
    """
    scratch = scratch_of(place, cache)
    if scratch is None:
        return 0
    bring = partial(deliver, scratch, place)
    try:
        return sum(bring(part) is not None for part in Store(scratch).parts())
    except DamagedError:
        for where in (scratch, place):
            sound_trials(Store(where), say, anew)
    return sum(bring(part) is not None for part in Store(scratch).parts())
