"""Kept predictions, wherever the results lie."""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.results.place import Place
from bench.run.scratch import AT_ONCE, INDEX

FOLDER = "predictions"


def trials_with_predictions(place: Place) -> set[str]:
    """Returns the trials whose predictions are there in whole."""
    kept = place / FOLDER
    names = kept.folders()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        whole = threads.map(lambda name: kept.exists(f"{name}/{INDEX}"), names)
        return {name for name, there in zip(names, whole, strict=True) if there}


@contextmanager
def kept_predictions(place: Place) -> Iterator[Callable[[str], Path]]:
    """Yields a function that returns the folder with a trial's predictions.

    Those of an object store are fetched when they are asked for, and thrown away when the block ends.
    """
    if place.folder is not None:
        root = place.folder / FOLDER
        yield lambda trial: root / trial
        return
    with tempfile.TemporaryDirectory(prefix="bench-predictions-") as scratch:
        yield lambda trial: _fetched(place / FOLDER / trial, Path(scratch) / trial)


def _fetched(place: Place, folder: Path) -> Path:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(lambda name: place.fetch(name, folder / name), place.files("")))
    return folder
