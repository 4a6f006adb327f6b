"""Moves a trial's result from one store to another."""

import errno
import os
from typing import Any

from bench.results.parts import part_file
from bench.results.schema import BESIDE
from bench.results.store import Store


def move_trial(source: Store, part: str, target: Store) -> dict[str, Any]:
    """Moves one result; where the target has a complete one of the same trial and code, that one stays.

    Args:
        source: Where it is.
        part: Name of its part, one of `Store.parts`.
        target: Where it goes.

    Returns:
        Its row of the trials table.

    Raises:
        FileNotFoundError: If it is not there.
        OSError: If the target cannot be reached; the source still has it then.
        ResultsError: If it cannot be read, or the target refuses.
    """
    trial = source.row(part)
    if trial is None:
        raise FileNotFoundError(
            errno.ENOENT, os.strerror(errno.ENOENT), str(source.root / part_file("trials", part))
        )
    if target.status(part) != "complete":
        key = trial["trial"], trial["code"], trial["attempt"]
        cases, curves = (source.beside(*key, name).to_pylist() for name in BESIDE)
        target.write(trial, cases, curves)
    source.drop(part)
    return trial
