"""Where derived data live, and how a folder comes into being whole or not at all."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from medseg.errors import DataError


def cache_dir() -> Path:
    """Returns the folder of everything that can be made again: MEDSEG_CACHE, else ``~/.cache/medseg-bench``."""
    given = os.environ.get("MEDSEG_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "medseg-bench"


def source_hash(*names: str) -> str:
    """Returns 16 hex digits over the source of modules of this package.

    Part of the names of what they make, so that an edit can never be answered with what older code made.

    Args:
        *names: File names without ``.py``.
    """
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(name.encode() + b"\0" + Path(__file__).with_name(f"{name}.py").read_bytes())
    return digest.hexdigest()[:16]


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """Builds a folder unless it is there, atomically.

    The folder is filled under a temporary name beside its target and renamed once it is whole, so that a crash
    leaves nothing half-made and two processes that start together end up with one and the same folder.

    Args:
        target: The folder wanted.
        build: Fills the empty folder that it is given.

    Returns:
        `target`.

    Raises:
        DataError: If the folder cannot be written.
    """
    if target.is_dir():
        return target
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        temporary.chmod(0o755)
        build(temporary)
        _rename(temporary, target)
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return target


def _rename(temporary: Path, target: Path) -> None:
    try:
        temporary.rename(target)
    except OSError:
        # Another process was faster. What it made is the same, since names are hashes of contents.
        if not target.is_dir():
            raise


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file so that readers see the old or the new content, never a part.

    Raises:
        OSError: If the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
