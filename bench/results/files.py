"""Files that are there whole or not at all."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

TEMPORARY = ".tmp-"
"""Prefix of files in the making. They have no suffix, so that nothing that looks for a table takes them for one."""


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file beside its place, flushes it to the disk and moves it there in one step.

    Args:
        path: Final place; what is there is replaced, unless it is no file. Its folder is made if need be.
        write: Called with the temporary path.

    Raises:
        OSError: If the disk is full or read-only; nothing is left behind then, and `path` is as before.
    """
    if path.exists() and not path.is_file():
        # A device or a pipe, as /dev/stdout and /dev/null are: another file must not take its place.
        write(path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{TEMPORARY}{secrets.token_hex(6)}-{path.stem}")
    try:
        write(draft)
        _flush(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _flush(path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
